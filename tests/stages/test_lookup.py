"""The stage `lookup`: one query for a batch, what is known once, and what becomes of what is not found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import pytest
from bson import Decimal128, Int64

from eventbus.model import ClusterTime, Event, Slot
from eventbus.sdk import Collections
from eventbus.stages.memory import MemoryCollections
from eventbus.telemetry.metrics import REGISTRY
from tests.runtime.clock import run_virtual
from tests.stages.events import become, change, config, pipeline, problem, run, told

CUSTOMERS = {
    "customers": [
        {"_id": 1, "name": "Jo", "address": {"city": "Bonn", "zip": "1"}, "tags": ["a", "b"]},
        {"_id": 2, "name": "Al", "tags": ["b"]},
    ]
}
INTO = {"collection": "customers", "key": "document.customer", "into": "document.who", "fields": ["name"]}


class Asked(MemoryCollections):
    """Collections that note what they were asked."""

    def __init__(self, documents: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        super().__init__(documents)
        self.queries: list[tuple[str, str, list[Any], ClusterTime | None]] = []
        self.forgets = False

    async def find(
        self,
        database: str,
        collection: str,
        field: str,
        values: Sequence[Any],
        *,
        fields: Sequence[str] = (),
        at: ClusterTime | None = None,
    ) -> Sequence[Mapping[str, Any]] | None:
        """Note it, and answer."""
        self.queries.append((f"{database}.{collection}", field, list(values), at))
        if at is not None and self.forgets:
            return None
        return await super().find(database, collection, field, values, fields=fields, at=at)


def orders(*customers: Any, **parts: Any) -> list[Event]:
    """Changes of orders of these customers."""
    return [
        change(token=f"82{number:04}", document={"_id": number, "customer": customer}, **parts)
        for number, customer in enumerate(customers)
    ]


def looked_up(slots: Sequence[Slot]) -> list[Any]:
    """What was found for each."""
    found = [told(slot) for slot in slots]
    return [one if isinstance(one, str) else one["document"]["who"] for one in found]


def test_a_batch_takes_one_query_and_each_key_is_asked_for_once() -> None:
    """Numbers that MongoDB takes for equal are one key, whatever their type."""
    asked = Asked(CUSTOMERS)
    events = orders(1, 2, Int64(1), 1.0, Decimal128("2"), 3, None)
    found = run(pipeline({"lookup": INTO}, collections=asked), events)
    jo, al = {"name": "Jo"}, {"name": "Al"}
    assert looked_up(found) == [jo, al, jo, jo, al, None, None]
    assert asked.queries == [("shop.customers", "_id", [1.0, Decimal128("2"), 3], None)]


def test_what_is_known_is_not_asked_for_until_it_is_old() -> None:
    """And what was not found is asked for with every batch."""
    asked = Asked(CUSTOMERS)
    stage = pipeline({"lookup": {**INTO, "cache": {"ttl": "10s"}}}, collections=asked)

    async def applied() -> None:
        for wait in (0, 5, 6):
            await anyio.sleep(wait)
            await stage.apply(orders(1, 3))

    run_virtual(applied)
    assert [values for _, _, values, _ in asked.queries] == [[1, 3], [3], [1, 3]]


def test_the_cache_is_bounded() -> None:
    """What is asked for longest ago goes first."""
    asked = Asked({"customers": [{"_id": number, "name": str(number)} for number in range(10)]})
    stage = pipeline({"lookup": {**INTO, "cache": {"entries": 2}}}, collections=asked)

    async def applied() -> None:
        await stage.apply(orders(*range(10)))
        await stage.apply(orders(*range(10)))

    anyio.run(applied)
    assert len(asked.queries[1][2]) == 8


def test_without_a_cache_every_batch_asks() -> None:
    """For those who cannot do with what was true a moment ago."""
    asked = Asked(CUSTOMERS)
    stage = pipeline({"lookup": {**INTO, "cache": {"ttl": "0s"}}}, collections=asked)

    async def applied() -> None:
        await stage.apply(orders(1))
        await stage.apply(orders(1))

    anyio.run(applied)
    assert len(asked.queries) == 2


@pytest.mark.parametrize("forgets", [False, True])
def test_as_of_the_event_asks_for_each_cluster_time(forgets: bool) -> None:
    """Where the server no longer has that time, what is there now has to do."""
    asked = Asked(CUSTOMERS)
    asked.forgets = forgets
    early, late = ClusterTime(10, 1), ClusterTime(20, 1)
    events = orders(1, 2, cluster_time=early) + orders(1, cluster_time=late)
    found = run(pipeline({"lookup": {**INTO, "as_of": "event"}}, collections=asked), events)
    assert looked_up(found) == [{"name": "Jo"}, {"name": "Al"}, {"name": "Jo"}]
    again = [([1, 2], None), ([1], None)] if forgets else []
    expected = [([1, 2], early), *again[:1], ([1], late), *again[1:]]
    assert [(values, at) for _, _, values, at in asked.queries] == expected


@pytest.mark.parametrize(
    ("options", "becomes"),
    [
        ({}, None),
        ({"missing": "skip"}, "dropped"),
        ({"missing": "park"}, "parked: stage lookup (1): key: nothing is found in customers"),
        ({"key": "document.nothing", "missing": "park"}, "the event has no key in customers"),
    ],
)
def test_what_is_not_found_becomes_what_was_asked_for(options: dict[str, Any], becomes: Any) -> None:
    """Null, dropped, or a dead letter."""
    stage = pipeline({"lookup": INTO | options}, collections=MemoryCollections(CUSTOMERS))
    (found,) = looked_up(run(stage, orders(9)))
    assert found == becomes if becomes is None else becomes in found


def test_fields_go_into_the_document_with_a_prefix() -> None:
    """Those that were named are null where they are not there; `_id` stays behind."""
    options = {"collection": "customers", "key": "document.customer", "prefix": "c_"}
    collections = MemoryCollections(CUSTOMERS)
    some = {"lookup": {**options, "fields": ["name", "address.city"]}}
    jo, al = (told(slot)["document"] for slot in run(pipeline(some, collections=collections), orders(1, 2)))
    assert jo == {"_id": 0, "customer": 1, "c_name": "Jo", "c_address": {"city": "Bonn"}}
    assert al == {"_id": 1, "customer": 2, "c_name": "Al", "c_address": None}
    found = become(orders(2)[0], {"lookup": options}, collections=collections)
    assert found["document"] == {"_id": 0, "customer": 2, "c_name": "Al", "c_tags": ["b"]}


def test_a_list_of_keys_brings_a_list_and_a_field_may_be_an_array() -> None:
    """Several documents may have a value: the one with the least _id counts."""
    options = {**INTO, "key": "document.tags", "field": "tags", "into": "document.who"}
    event = change(document={"_id": 0, "tags": ["b", "x", "a"]})
    found = become(event, {"lookup": options}, collections=MemoryCollections(CUSTOMERS))
    assert found["document"]["who"] == [{"name": "Jo"}, {"name": "Jo"}]


def test_an_event_without_a_document_is_asked_for_and_gets_a_name_only() -> None:
    """A delete may still be routed by what is found."""
    options = {"collection": "customers", "key": "document_key._id", "into": "who", "fields": ["name"]}
    event = change(operation="delete", document=None, document_key={"_id": 1})
    found = become(event, {"lookup": options}, collections=MemoryCollections(CUSTOMERS))
    assert found["meta"] == {"who": {"name": "Jo"}}


def test_what_was_looked_up_is_counted() -> None:
    """By where it was found."""

    def counted(result: str) -> float:
        labels = {"subscription": "orders", "stage": "lookup (1)", "result": result}
        return REGISTRY.get_sample_value("eventbus_stage_lookups_total", labels) or 0.0

    stage = pipeline({"lookup": INTO}, collections=MemoryCollections(CUSTOMERS))

    async def applied() -> tuple[list[float], list[float]]:
        before = [counted(result) for result in ("cached", "found", "missing")]
        await stage.apply(orders(1, 2, 3))
        await stage.apply(orders(1, 3))
        return before, [counted(result) for result in ("cached", "found", "missing")]

    before, after = anyio.run(applied)
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, 2, 2]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"into": None}, "say where it goes: into, or prefix"),
        ({"prefix": "c_"}, "say where it goes: into, or prefix"),
        ({"key": "docment.x"}, "unknown name 'docment'"),
        ({"into": "document._id"}, "_id names the document"),
        ({"missing": "fail"}, "expected 'skip' or 'park'"),
    ],
)
def test_what_is_wrong_is_found_before_the_start(options: dict[str, Any], says: str) -> None:
    """With its place."""
    written = {name: value for name, value in {**INTO, **options}.items() if value is not None}
    assert says in problem({"lookup": written})


def test_a_route_may_not_look_anything_up() -> None:
    """A route's pipeline waits for nothing."""
    config([{"lookup": INTO}])
    says = problem(route={"pipeline": [{"lookup": INTO}]})
    assert "lookup waits for others: it belongs in the subscription's pipeline" in says


_: type[Collections] = MemoryCollections
