"""What an event carries beside the documents: transactions, old values, what was done to collections."""

from __future__ import annotations

from typing import Any

import bson
import pytest

from eventbus.model import Event, Filtered, Parked, Slot
from eventbus.sources.mongodb.delta import delta_of
from eventbus.sources.mongodb.options import LookupMissing
from eventbus.telemetry import metrics
from tests.sources.watching import Document, Watch, document, ids

pytestmark = [pytest.mark.anyio]

services = pytest.mark.services


async def with_images(watch: Watch) -> None:
    await watch.database.create_collection("orders", changeStreamPreAndPostImages={"enabled": True})


@services
async def test_the_place_in_a_transaction(either_watch: Watch) -> None:
    """Session, number, and index, which counts what the subscription does not read."""
    watch = either_watch
    await watch.database.other.insert_one({})
    reading = await watch.reader(collections=["orders"])
    await watch.database.orders.insert_one({"_id": "alone"})
    numbers = []
    async with watch.client.start_session() as session:
        for count in (3, 200):
            async with await session.start_transaction():
                for i in range(count):
                    await watch.database.orders.insert_one({"_id": f"{count} {i}"}, session=session)
                    await watch.database.other.insert_one({}, session=session)
                numbers.append(session._transaction_id)
        session_id = session.session_id["id"]
    alone, *events = await reading.events(1 + 3 + 200)
    assert alone.details is None
    told = [document(event.details)["transaction"] for event in events]
    assert [one["index"] for one in told] == [*range(0, 6, 2), *range(0, 400, 2)]
    assert {one["number"] for one in told[:3]} == {numbers[0]}
    assert {one["number"] for one in told[3:]} == {numbers[1]}
    assert {one["session"]["id"] for one in told} == {session_id}


@services
@pytest.mark.parametrize("delta", [False, True])
async def test_what_an_update_changed(either_watch: Watch, delta: bool) -> None:
    """With `delta` every path has its old and its new value; how arrays were cut is told in either case."""
    watch = either_watch
    await with_images(watch)
    reading = await watch.reader(before="required", delta=delta)
    before = {"a": [1, {"b": 2}, 3, 4], "s": {"t": {"u": 1.5}}, "n": None, "x.y": 1, "gone": {"deep": "z"}}
    await watch.database.orders.insert_one({"_id": 1, **before})
    for update in (
        {"$set": {"a.1.b": 5, "s.t.u": "text", "s.new": [1], "n": 0}, "$unset": {"gone.deep": 1}},
        [{"$set": {"a": {"$slice": ["$a", 2]}}}],
        [{"$replaceWith": {"$setField": {"field": "x.y", "input": "$$ROOT", "value": 2}}}],
    ):
        await watch.database.orders.update_one({"_id": 1}, update)
    _, plain, cut, dotted = await reading.events(4)
    assert plain.removed == ("gone.deep",)
    assert document(cut.details) == {"truncated_arrays": [{"field": "a", "newSize": 2}]}
    if not delta:
        assert document(plain.changed) == {"a.1.b": 5, "s.t.u": "text", "s.new": [1], "n": 0}
        assert document(cut.changed) == {}
        return
    assert document(plain.changed) == {
        "a.1.b": {"old": 2, "new": 5},
        "s.t.u": {"old": 1.5, "new": "text"},
        "s.new": {"new": [1]},
        "n": {"old": None, "new": 0},
        "gone.deep": {"old": "z"},
    }
    assert document(cut.changed) == {"a.2": {"old": 3}, "a.3": {"old": 4}}
    assert document(dotted.changed) == {"x.y": {"old": 1, "new": 2}}


def an_update(
    before: Document | None, changed: Document, removed: tuple[str, ...] = (), **details: Any
) -> Event:
    return Event(
        token="82",
        operation="update",
        database="shop",
        collection="orders",
        before=bson.encode(before) if before is not None else None,
        changed=bson.encode(changed),
        removed=removed,
        details=bson.encode(details) if details else None,
    )


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (an_update(None, {"a": 1}, ("b",)), {"a": {"new": 1}, "b": {}}),
        (an_update({"a": 5}, {"a.b": 1}), {"a.b": {"new": 1}}),
        (an_update({"a": {"b": 1}, "a.b": 2}, {"a.b": 3}), {"a.b": {"old": 1, "new": 3}}),
        (an_update({"a": {"b.c": {"d": 1}}}, {"a.b.c.d": 2}), {"a.b.c.d": {"old": 1, "new": 2}}),
        (
            an_update({"a": {"b": 1}, "a.b": 2}, {"a.b": 3}, disambiguated_paths={"a.b": ["a.b"]}),
            {"a.b": {"old": 2, "new": 3}},
        ),
        (
            an_update({"a": [7, 8], "a.1": 9}, {"a.1": 3}, disambiguated_paths={"a.1": ["a", 1]}),
            {"a.1": {"old": 8, "new": 3}},
        ),
        (
            an_update({"a.0": 9}, {"a.0": 3}, disambiguated_paths={"a.0": ["a", "0"]}),
            {"a.0": {"new": 3}},
        ),
        (
            an_update({"a": [1, 2, 3]}, {"a.0": 4}, truncated_arrays=[{"field": "a", "newSize": 1}]),
            {"a.0": {"old": 1, "new": 4}, "a.1": {"old": 2}, "a.2": {"old": 3}},
        ),
        (an_update({"a": 1}, {}, truncated_arrays=[{"field": "a", "newSize": 0}]), {}),
    ],
    ids=[
        "no image",
        "path below a value",
        "two readings",
        "a dot inside",
        "the server says: name",
        "the server says: place in an array",
        "the server says: not there",
        "cut short",
        "no array",
    ],
)
def test_old_values(event: Event, told: Document) -> None:
    """Where a path can be read in two ways the server's word is taken; not all have an old value."""
    assert bson.decode(delta_of(event)) == told


@services
async def test_expanded_events(either_watch: Watch) -> None:
    """What happens to collections comes with its description, and no document; nothing may pass it."""
    watch = either_watch
    reading = await watch.reader(expanded_events=True)
    only = await watch.reader(expanded_events=True, operations=["create", "insert"])
    await watch.database.create_collection("orders")
    await watch.database.orders.create_index("x")
    await watch.database.command("collMod", "orders", index={"name": "x_1", "hidden": True})
    await watch.database.orders.insert_one({"_id": 1})
    await watch.database.orders.drop_index("x_1")
    await watch.database.orders.rename("archive")
    events = await reading.events(6)
    assert [event.operation for event in events] == [
        *("create", "createIndexes", "modify", "insert", "dropIndexes", "rename")
    ]
    assert [event.is_barrier for event in events] == [True, True, True, False, True, True]
    descriptions = [document(event.details)["description"] for event in events if event.details]
    assert descriptions[0]["idIndex"]["name"] == "_id_"
    assert descriptions[1]["indexes"][0]["key"] == {"x": 1}
    assert descriptions[2] == {"index": {"name": "x_1", "hidden": True}}
    assert document(events[5].changed)["to"]["coll"] == "archive"
    assert [event.operation for event in await only.events(2)] == ["create", "insert"]
    again = await watch.reader(events[2].position, expanded_events=True)
    assert [event.id for event in await again.events(3)] == [event.id for event in events[3:]]


@services
@pytest.mark.parametrize("policy", LookupMissing)
async def test_a_document_that_is_gone_when_it_is_looked_up(
    either_watch: Watch, policy: LookupMissing
) -> None:
    """The update is delivered with null, filtered, or parked with the reason, and counted."""
    watch = either_watch
    reading = await watch.reader(full_document="update_lookup", lookup_missing=policy)
    await watch.database.orders.insert_many([{"_id": 1}, {"_id": 2}])
    await watch.database.orders.update_many({}, {"$set": {"a": 2}})
    await watch.database.orders.delete_one({"_id": 1})
    before = missing(policy)
    slots: list[Slot] = await reading.take(5)
    kinds = {
        LookupMissing.DELIVER_NULL: Event,
        LookupMissing.SKIP: Filtered,
        LookupMissing.DEAD_LETTER: Parked,
    }
    assert [type(slot) for slot in slots] == [Event, Event, kinds[policy], Event, Event]
    assert ids([slot.event for slot in slots]) == [1, 2, 1, 2, 1]
    assert slots[2].event.document is None
    assert document(slots[3].event.document) == {"_id": 2, "a": 2}
    if isinstance(slots[2], Parked):
        assert "gone" in slots[2].reason
    assert missing(policy) == before + 1


def missing(policy: LookupMissing) -> float:
    labels = {"subscription": "test", "policy": policy.value}
    return metrics.REGISTRY.get_sample_value("eventbus_lookups_missing_total", labels) or 0.0
