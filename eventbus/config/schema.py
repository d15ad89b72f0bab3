"""A JSON Schema of the configuration for editors: completion, descriptions, most mistakes as one types.

It is made from the models that check a configuration and from the options of all registered types, so it
cannot drift from them. It describes one file that holds everything.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, TypeAlias

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from eventbus.config.models import (
    DaemonSection,
    DeadLettersSection,
    DefaultsSection,
    Document,
    LogSection,
    MongoDBSection,
    NoticesSection,
    RouteSection,
    ServerSection,
    SinkSection,
    StageSection,
    SubscriptionSection,
    TracingSection,
)
from eventbus.config.resolution import STATE_SECTIONS
from eventbus.config.schema_for_people import REFERENCE, tidied
from eventbus.config.subscriptions import DEFAULT_SOURCE_TYPE
from eventbus.errors import ConfigurationError
from eventbus.registry import Registry

__all__ = ["json_schema"]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_SECTIONS: Final[Mapping[str, type[BaseModel]]] = {
    "mongodb": MongoDBSection,
    "server": ServerSection,
    "log": LogSection,
    "daemon": DaemonSection,
    "dead_letters": DeadLettersSection,
    "notices": NoticesSection,
    "tracing": TracingSection,
    "defaults": DefaultsSection,
}
_Schema: TypeAlias = dict[str, Any]
_Options: TypeAlias = Mapping[str, type[BaseModel] | str]
"""By type: the model of its options, or why it cannot be had."""


def json_schema(registry: Registry) -> dict[str, Any]:
    """JSON Schema, draft 2020-12, of a whole configuration.

    Args:
        registry: The types to include. One whose package is broken may have any options.
    """
    sinks = _options(registry.sinks, registry.sink)
    sources = _options(registry.sources, registry.source)
    stages = _options(registry.stages, registry.stage)
    own = [
        Document,
        SinkSection,
        SubscriptionSection,
        RouteSection,
        StageSection,
        *_SECTIONS.values(),
        *STATE_SECTIONS.values(),
    ]
    types = (*sinks.values(), *sources.values(), *stages.values())
    foreign = [model for model in types if not isinstance(model, str)]
    models = _Models([*own, *foreign])
    document = models.definition(Document)
    properties = document["properties"]
    for name, model in _SECTIONS.items():
        properties[name]["$ref"] = models.reference(model)
    properties["state"] |= models.one_of(STATE_SECTIONS, default="mongodb")
    _describe_entries(properties["sinks"], models.one_of(sinks, shared=SinkSection))
    _describe_entries(properties["subscriptions"], {"$ref": models.reference(SubscriptionSection)})
    subscription = models.definition(SubscriptionSection)["properties"]
    subscription["source"] |= models.one_of(sources, default=DEFAULT_SOURCE_TYPE)
    stage = models.stage({name: _short(registry, name) for name in stages}, stages)
    for section in (subscription, models.definition(RouteSection)["properties"]):
        section["pipeline"] |= {"type": "array", "items": {"$ref": "#/$defs/stage"}}
    models.definitions["stage"] = stage
    subscription["routes"]["items"] = _route(models.reference(RouteSection))
    whole: _Schema = tidied(document) | {"$schema": _DIALECT, "title": "eventbus"}
    definitions = {name: tidied(schema) for name, schema in models.definitions.items()} | dict(REFERENCE)
    return whole | {"$defs": _used(whole, definitions)}


class _HasOptions(Protocol):
    Options: type[BaseModel]


def _options(names: Mapping[str, Any], class_of: Callable[[str], _HasOptions]) -> _Options:
    found: dict[str, type[BaseModel] | str] = {}
    for name in sorted(names):
        try:
            model = class_of(name).Options
            _Models([model])
            found[name] = model
        except ConfigurationError as error:
            found[name] = str(error)
        except Exception as error:  # noqa: BLE001 - a plugin's types may bring code of their own
            found[name] = f"its options have no JSON Schema ({type(error).__name__})"
    return found


class _Models:
    """The schemas of several models, with names that do not clash."""

    def __init__(self, models: list[type[BaseModel]]) -> None:
        with warnings.catch_warnings(action="ignore"):  # of defaults that JSON cannot write
            references, schema = models_json_schema(
                [(model, "validation") for model in dict.fromkeys(models)]
            )
        self._references = {model: reference["$ref"] for (model, _), reference in references.items()}
        self.definitions: dict[str, _Schema] = schema["$defs"]

    def reference(self, model: type[BaseModel]) -> str:
        """Where the schema of `model` is found."""
        return str(self._references[model])

    def definition(self, model: type[BaseModel]) -> _Schema:
        """The schema of `model` itself."""
        return self.definitions[self.reference(model).rpartition("/")[2]]

    def one_of(
        self, options: _Options, default: str | None = None, shared: type[BaseModel] | None = None
    ) -> _Schema:
        """A mapping whose ``type`` says which of the options it has, besides those that all have."""
        branches = []
        general = self.definition(shared)["properties"] if shared is not None else {}
        for type_name, model in options.items():
            known = {"description": model} if isinstance(model, str) else self.definition(model)
            branches.append(_branch(type_name, known, general, needs_type=type_name != default))
        return {"oneOf": branches} if branches else {"type": "object"}

    def stage(self, short: Mapping[str, str | None], options: _Options) -> _Schema:
        """An entry of a pipeline: one stage, besides what all stages may say."""
        general = self.definition(StageSection)["properties"]
        branches = []
        for type_name, model in options.items():
            known: _Schema = (
                {"description": model} if isinstance(model, str) else {"$ref": self.reference(model)}
            )
            alone = short[type_name]
            if alone is not None and not isinstance(model, str):
                known = {"anyOf": [self.definition(model)["properties"][alone], known]}
            branches.append(
                {
                    "type": "object",
                    "properties": {type_name: known} | general,
                    "required": [type_name],
                    "additionalProperties": False,
                }
            )
        return {"oneOf": branches} if branches else {"type": "object"}


def _short(registry: Registry, type_name: str) -> str | None:
    """The option of a stage that may stand alone, if its class can be had."""
    try:
        short = getattr(registry.stage(type_name), "short", None)
    except ConfigurationError:
        return None
    return str(short) if short is not None else None


def _branch(type_name: str, options: _Schema, general: _Schema, *, needs_type: bool) -> _Schema:
    required = [key for key in options.get("required", []) if key != "type"]
    return options | {
        "type": "object",
        "properties": {"type": {"const": type_name}} | general | _without_type(options.get("properties", {})),
        "required": ["type", *required] if needs_type else required,
    }


def _without_type(properties: _Schema) -> _Schema:
    return {key: schema for key, schema in properties.items() if key != "type"}


def _describe_entries(mapping: _Schema, entry: _Schema) -> None:
    """Every name that may be given leads to `entry`, and no other name may be."""
    mapping["patternProperties"] = dict.fromkeys(mapping["patternProperties"], entry)
    mapping["additionalProperties"] = False


def _route(long_form: str) -> _Schema:
    return {"anyOf": [{"type": "string", "description": "Name of a sink."}, {"$ref": long_form}]}


def _used(schema: _Schema, definitions: Mapping[str, _Schema]) -> _Schema:
    """The definitions that `schema` refers to, directly or not."""
    used: _Schema = {}
    waiting: list[Any] = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            name = str(part.get("$ref", "")).rpartition("/")[2]
            if name in definitions and name not in used:
                used[name] = definitions[name]
                waiting.append(definitions[name])
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)
    return dict(sorted(used.items()))
