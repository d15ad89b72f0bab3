"""What each stage costs an event, in this process, from its BSON to its JSON.

Every type of stage has a sample here, on changes as the backlog has them. The first one, without a stage, is
what all the others are held against: its documents become JSON without being decoded.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import anyio
import bson

from benchmarks.throughput.measuring import Numbers
from benchmarks.throughput.scene import Case, Kind, Measure, Scene
from benchmarks.throughput.workload import order_of
from eventbus.assembly import pipeline_of
from eventbus.config import load
from eventbus.encoding.json import relaxed_json
from eventbus.model import Event
from eventbus.registry import Registry
from eventbus.sdk import StageContext, Views
from eventbus.stages.memory import MemoryCollections
from eventbus.stages.pipeline import Pipeline

__all__ = ["ELSEWHERE", "SAMPLES", "enrich", "stage_cases"]

SAMPLES: Final[Mapping[str, Sequence[Mapping[str, Any]]]] = {
    "none": (),
    "unlooked": ({"filter": "operation == 'insert'"},),
    "filter": ({"filter": "document.total >= 0"},),
    "set": ({"set": {"fields": {"document.twice": "document.total * 2"}}},),
    "classify": (
        {
            "classify": {
                "target": "size",
                "cases": [{"when": "document.total > 500", "then": "large"}],
                "otherwise": "small",
            }
        },
    ),
    "mask": ({"mask": {"fields": {"customer": "tokenise"}, "salt": "of the benchmark"}},),
    "project": ({"project": ["customer", "total"]},),
    "drop": ({"drop": ["note"]},),
    "sample": ({"sample": 1.0},),
    "rename": ({"rename": {"note": "remark"}},),
    "map": ({"map": {"fields": {"who": "document.customer", "total": "document.total"}}},),
    "convert": ({"convert": {"total": "decimal"}},),
    "text": ({"text": {"fields": ["customer"], "steps": ["normalise", "upper"]}},),
    "date": (
        {"date": {"fields": ["placed"], "zone": "Europe/Berlin", "truncate": "month", "target": "month"}},
    ),
    "number": ({"number": {"fields": ["total"], "round": {"digits": 1}, "target": "document.rounded"}},),
    "flatten": ({"flatten": {}},),
    "upcast": ({"upcast": {"versions": {2: [{"rename": {"total": "sum"}}, {"add": {"currency": "EUR"}}]}}},),
    "validate": (
        {
            "validate": [
                {"name": "sane total", "field": {"path": "total", "type": "number", "min": 0, "max": 10_000}},
                {"name": "has a customer", "condition": "has(document.customer)"},
            ]
        },
    ),
    "dedupe": ({"dedupe": {"entries": 10_000}},),
    "python": ({"python": {"function": "benchmarks.throughput.stages:enrich"}},),
    "lookup": ({"lookup": {"collection": "customers", "key": "document.customer", "into": "document.who"}},),
}
"""By name; `unlooked` asks for nothing of a document."""

ELSEWHERE: Final[Mapping[str, str]] = {"http_lookup": "costs what the service costs that it asks"}
"""Stages of which a time would say nothing."""

_OF_ROUTES: Final = frozenset({"dedupe"})
"""Stages that belong in the pipeline of a route."""
_EVENTS: Final = 2000
_BATCH: Final = 500
_ROUNDS: Final = 5


def enrich(event: Any) -> Any:
    """For the stage `python`: as little as a function can do."""
    event.document["seen"] = True
    return event


def stage_cases() -> list[Case]:
    """One for each sample."""
    return [
        Case(f"stage-{name}", _says(name, stages), Kind.STAGE, _measured(stages))
        for name, stages in SAMPLES.items()
    ]


def _says(name: str, stages: Sequence[Mapping[str, Any]]) -> str:
    if name == "none":
        return "no stage: from BSON to JSON, undecoded"
    return ", ".join(f"`{json.dumps(stage)}`" for stage in stages)


def _measured(stages: Sequence[Mapping[str, Any]]) -> Measure:
    def measure(_scene: Scene) -> Numbers:
        return {"stage_us": round(anyio.run(_best_us, stages), 2)}

    return measure


async def _best_us(stages: Sequence[Mapping[str, Any]]) -> float:
    """Microseconds of processor time for an event: the median of some rounds, each with events of its own."""
    rounds = []
    for number in range(_ROUNDS + 1):
        pipeline = _pipeline(stages)
        batches = _batches(number)
        begun = time.process_time()
        for batch in batches:
            slots = await pipeline.apply(batch) if pipeline is not None else batch
            for slot in slots:
                relaxed_json(_document(slot.event))
        rounds.append((time.process_time() - begun) / _EVENTS * 1e6)
    return median(rounds[1:])


def _batches(number: int) -> list[list[Event]]:
    """Inserts that nothing has looked at yet."""
    first = number * _EVENTS
    return [
        [_event(one) for one in range(start, start + _BATCH)]
        for start in range(first, first + _EVENTS, _BATCH)
    ]


def _event(number: int) -> Event:
    order = order_of(number)
    return Event(
        token=f"82{number:010}",
        operation="insert",
        database="bench",
        collection="orders",
        document_key=bson.encode({"_id": order["_id"]}),
        document=bson.encode(order),
        size=700,
    )


def _document(event: Event) -> bytes:
    document = event.document
    assert isinstance(document, bytes)
    return document


def _pipeline(stages: Sequence[Mapping[str, Any]]) -> Pipeline | None:
    is_of_route = any(stage.keys() & _OF_ROUTES for stage in stages)
    written = {
        "mongodb": {"uri": "mongodb://localhost"},
        "sinks": {"null": {"type": "discard"}},
        "subscriptions": {
            "orders": {
                "source": {"database": "bench"},
                "pipeline": [] if is_of_route else list(stages),
                "routes": [{"sink": "null", "pipeline": list(stages) if is_of_route else []}],
            }
        },
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "eventbus.yaml")
        file.write_text(json.dumps(written))
        config = load([file], Registry.from_entry_points(), {})
    customers = [{"_id": f"customer-{number}", "tier": "gold"} for number in range(5000)]
    collections = _Indexed({"customers": customers})
    context = StageContext("orders", "orders", Views(), collections)
    subscription = config.subscriptions["orders"]
    return pipeline_of(subscription.routes[0].pipeline if is_of_route else subscription.pipeline, context)


class _Indexed(MemoryCollections):
    """Collections that find by ``_id`` at once, as one with an index does."""

    def __init__(self, documents: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        super().__init__(documents)
        self._by_id = {name: {one["_id"]: one for one in all_} for name, all_ in documents.items()}

    async def find(
        self, database: str, collection: str, field: str, values: Sequence[Any], **_: Any
    ) -> Sequence[Mapping[str, Any]] | None:
        """See `eventbus.sdk.Collections`."""
        assert field == "_id", database
        found = self._by_id[collection]
        return [found[value] for value in values if value in found]
