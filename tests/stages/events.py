"""Events to put through stages, and pipelines as users write them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import bson
from bson import ObjectId

from eventbus.assembly import pipeline_of
from eventbus.config import Config, load
from eventbus.errors import ConfigurationError
from eventbus.model import ClusterTime, Event, Filtered, Parked, Section, Slot
from eventbus.registry import Registry
from eventbus.sdk import Collections, StageContext, Views
from eventbus.stages.pipeline import Pipeline

__all__ = [
    "OID",
    "become",
    "change",
    "config",
    "context",
    "pipeline",
    "problem",
    "read",
    "route_pipeline",
    "run",
    "told",
]

OID = ObjectId("64b7f0c2a1b2c3d4e5f60718")
_REGISTRY = Registry.from_entry_points()
_SECTIONS = ("document", "before", "changed")


def change(**parts: Any) -> Event:
    """An update of an order; sections are given decoded, and stand there as the server sends them."""
    defaults: dict[str, Any] = {
        "token": "8264B7F0C2",
        "operation": "update",
        "database": "shop",
        "collection": "orders",
        "cluster_time": ClusterTime(1_700_000_000, 7),
        "document_key": {"_id": OID},
        "size": 100,
    }
    sections = {"document_key", "document", "before", "changed", "details"}
    merged: dict[str, Any] = {
        name: bson.encode(part) if name in sections and isinstance(part, Mapping) else part
        for name, part in (defaults | parts).items()
    }
    return Event(**merged)


def config(
    stages: Sequence[Any], route: Mapping[str, Any] | None = None, source: Mapping[str, Any] | None = None
) -> Config:
    """The smallest configuration with such a pipeline, such a route and such a source."""
    written = {
        "mongodb": {"uri": "mongodb://localhost"},
        "sinks": {"lines": {"type": "discard"}},
        "subscriptions": {
            "orders": {
                "service": "shop",
                "source": {"database": "shop", **(source or {})},
                "pipeline": list(stages),
                "routes": [{"sink": "lines", **(route or {})}],
            }
        },
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "c.yaml"
        file.write_text(json.dumps(written))
        return load([file], _REGISTRY, {})


def problem(
    *stages: Any, route: Mapping[str, Any] | None = None, source: Mapping[str, Any] | None = None
) -> str:
    """The one thing that is wrong with a pipeline, a route or a source, less its place."""
    try:
        config(stages, route, source)
    except ConfigurationError as error:
        (text,) = error.problems
        return text.partition(": subscriptions.orders.")[2]
    raise AssertionError("nothing is wrong")


def context(collections: Collections | None = None) -> StageContext:
    """What a stage is given."""
    return StageContext(
        "orders", "shop", Views({"subscription": "orders", "service": "shop"}), collections=collections
    )


def pipeline(*stages: Any, collections: Collections | None = None) -> Pipeline:
    """A pipeline as users write it."""
    made = pipeline_of(config(stages).subscriptions["orders"].pipeline, context(collections))
    assert made is not None
    return made


def route_pipeline(*stages: Any) -> Pipeline:
    """A route's pipeline as users write it, in one life of the route."""
    (route,) = config([], {"pipeline": list(stages)}).subscriptions["orders"].routes
    made = pipeline_of(route.pipeline, context())
    assert made is not None
    return made


def run(pipeline: Pipeline, slots: Sequence[Slot]) -> list[Slot]:
    """What becomes of a batch."""

    async def applied() -> list[Slot]:
        try:
            return list(await pipeline.apply(slots))
        finally:
            await pipeline.close()

    return anyio.run(applied)


def become(event: Event, *stages: Any, collections: Collections | None = None) -> Any:
    """What becomes of one event: see `told`."""
    (slot,) = run(pipeline(*stages, collections=collections), [event])
    return told(slot)


def told(slot: Slot) -> Any:
    """A slot as documentation has it: its documents and what stages have set, or what became of it."""
    match slot:
        case Filtered():
            return "dropped"
        case Parked():
            return f"parked: {slot.reason}"
        case Event():
            found: dict[str, Any] = {name: read(getattr(slot, name)) for name in _SECTIONS}
            found |= {"removed": list(slot.removed), "meta": dict(slot.attributes or {})}
            return {name: value for name, value in found.items() if value not in (None, [], {})}


def read(section: Section) -> dict[str, Any] | None:
    """A section that is there as raw BSON, decoded."""
    if section is None:
        return None
    assert isinstance(section, bytes)
    return bson.decode(section)
