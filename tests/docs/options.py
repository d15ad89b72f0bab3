"""Every model that users write, by the heading under which its options are documented."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from eventbus.config import models
from eventbus.registry import Registry

__all__ = [
    "SECTIONS",
    "built_in",
    "documented_models",
    "is_typed",
    "models_in",
    "plugin_models",
    "stage_models",
    "written_options",
]

SECTIONS: dict[str, type[BaseModel]] = {
    "The sections": models.Document,
    "`mongodb`": models.MongoDBSection,
    "`tls`": models.TLSSection,
    "`heartbeat`": models.HeartbeatSection,
    "`state` with `type: mongodb`": models.MongoDBStateSection,
    "`state` with `type: sqlite`": models.SQLiteStateSection,
    "`server`": models.ServerSection,
    "`tokens` of `server`": models.TokenSection,
    "`tls` of `server`": models.ServerTLSSection,
    "`log`": models.LogSection,
    "`tracing`": models.TracingSection,
    "`daemon`": models.DaemonSection,
    "`dead_letters`": models.DeadLettersSection,
    "`notices`": models.NoticesSection,
    "`defaults`": models.DefaultsSection,
    "`retry`": models.RetryPolicy,
    "`window`": models.WindowPolicy,
    "`circuit`": models.CircuitPolicy,
    "`dead_letters` of a route": models.DeadLetterPolicy,
    "`encoding`": models.EncodingPolicy,
    "`claim_check`": models.ClaimCheckPolicy,
    "`registry`": models.RegistryPolicy,
    "`sinks.<name>`": models.SinkSection,
    "`subscriptions.<name>`": models.SubscriptionSection,
    "`catch_up`": models.CatchUpPolicy,
    "`routes`": models.RouteSection,
    "`batch`": models.BatchPolicy,
    "`priority`": models.PriorityPolicy,
    "`pipeline`": models.StageSection,
}


def built_in() -> Registry:
    """What comes with the daemon, without the packages of `plugins/`: each of those has a page of its own."""
    every = Registry.from_entry_points()
    sinks, sources, stages = (
        {
            name: points
            for name, points in declared.items()
            if all(point.value.startswith("eventbus.") for point in points)
        }
        for declared in (every.sinks, every.sources, every.stages)
    )
    return Registry(sinks, sources, stages)


def plugin_models() -> dict[str, type[BaseModel]]:
    """The options of the built-in sinks and sources, and the models inside them, by heading."""
    registry = Registry.from_entry_points()
    found: dict[str, type[BaseModel]] = {}
    for name in registry.sinks:
        found |= _with_inner(f"`sinks.<name>` with `type: {name}`", name, registry.sink(name).Options)
    for name in registry.sources:
        found |= _with_inner(f"`source` with `type: {name}`", name, registry.source(name).Options)
    return {heading: model for heading, model in found.items() if model.__module__.startswith("eventbus.")}


def stage_models() -> dict[str, type[BaseModel]]:
    """The options of the built-in stages, and the models inside them, by heading."""
    registry = Registry.from_entry_points()
    found: dict[str, type[BaseModel]] = {}
    for name in registry.stages:
        found |= _with_inner(f"`{name}`", name, registry.stage(name).Options)
    return {heading: model for heading, model in found.items() if model.__module__.startswith("eventbus.")}


def written_options(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The options of a model by the names that users write."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def documented_models() -> dict[str, type[BaseModel]]:
    """All of them."""
    return SECTIONS | plugin_models()


def is_typed(heading: str) -> bool:
    """Whether a key `type` decides that a mapping is this one."""
    return heading.startswith("`state` with")


def _with_inner(heading: str, type_name: str, model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    found = {heading: model}
    for name, field in model.model_fields.items():
        for inner in models_in(field.annotation):
            found |= _with_inner(f"`{name}` of `type: {type_name}`", type_name, inner)
    return found


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that an option of such a type may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from models_in(argument)
