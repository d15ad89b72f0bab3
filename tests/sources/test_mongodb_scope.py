"""Which changes a subscription's options let in, decided by a real server."""

from __future__ import annotations

from typing import Any

import pytest
from bson import ObjectId

from eventbus.model import Position, PositionKind
from tests.sources.watching import Watch, document, ids

pytestmark = [pytest.mark.anyio, pytest.mark.services]


async def test_one_collection(watch: Watch) -> None:
    """One named collection is watched and nothing beside it."""
    reading = await watch.reader(collections=["orders"])
    await watch.database.other.insert_one({"_id": 0})
    await watch.database.orders.insert_one({"_id": 1})
    (event,) = await reading.events(1)
    assert (event.database, event.collection, event.operation) == (watch.name, "orders", "insert")
    assert ids([event]) == [1]


async def test_several_collections(watch: Watch) -> None:
    """Several named collections come in one order; what is renamed into one of them comes too."""
    reading = await watch.reader(collections=["a", "b"])
    for i, name in enumerate(["a", "c", "b", "a"]):
        await watch.database[name].insert_one({"_id": i})
    assert [(e.collection, *ids([e])) for e in await reading.events(3)] == [("a", 0), ("b", 2), ("a", 3)]
    await watch.database.b.drop()
    await watch.database.c.rename("b")
    drop, rename = await reading.events(2)
    assert (drop.operation, drop.collection) == ("drop", "b")
    assert (rename.operation, rename.collection) == ("rename", "c")
    assert document(rename.changed) == {"to": {"db": watch.name, "coll": "b"}}


async def test_database_that_does_not_exist_yet(watch: Watch) -> None:
    """A whole database, from before its first collection."""
    reading = await watch.reader()
    await watch.database.a.insert_one({"_id": 1})
    await watch.database.b.insert_one({"_id": 2})
    assert ids(await reading.events(2)) == [1, 2]


async def test_cluster_without_own_database(watch: Watch) -> None:
    """The whole cluster, less the daemon's own database; a longer name with the same beginning is read."""
    own, other = f"{watch.name}_own", f"{watch.name}_own_not"
    reading = await watch.reader(
        database=None, own_database=own, match={"ns.db": {"$regex": f"^{watch.name}"}}
    )
    for i, name in enumerate([own, watch.name, own, other]):
        await watch.client[name].things.insert_one({"_id": i})
    events = await reading.events(2)
    assert [(event.database, *ids([event])) for event in events] == [(watch.name, 1), (other, 3)]
    await watch.client.drop_database(own)
    await watch.client.drop_database(other)
    assert [event.operation for event in await reading.events(2)] == ["drop", "dropDatabase"]


async def test_operations(watch: Watch) -> None:
    """Only the named operations come; the position passes the others."""
    reading = await watch.reader(operations=["replace", "delete"])
    orders = watch.database.orders
    await orders.insert_one({"_id": 1})
    await orders.update_one({"_id": 1}, {"$set": {"a": 1}})
    await orders.replace_one({"_id": 1}, {"b": 1})
    await orders.delete_one({"_id": 1})
    assert [event.operation for event in await reading.events(2)] == ["replace", "delete"]


async def test_every_operation_by_default(watch: Watch) -> None:
    """All kinds that the server gives by itself, in their order; namespaces and keys where there are any."""
    reading = await watch.reader()
    orders = watch.database.orders
    await orders.insert_one({"_id": 1})
    await orders.update_one({"_id": 1}, {"$set": {"a": 1}, "$unset": {"b": 1}})
    await orders.replace_one({"_id": 1}, {"b": 1})
    await orders.delete_one({"_id": 1})
    await orders.rename("old")
    await watch.client.drop_database(watch.name)
    events = await reading.events(8)
    assert [event.operation for event in events] == [
        *("insert", "update", "replace", "delete", "rename", "drop", "dropDatabase", "invalidate"),
    ]
    assert [event.collection for event in events[3:]] == ["orders", "orders", "old", "", ""]
    assert [event.is_barrier for event in events] == [False] * 4 + [True] * 4
    assert [event.kind for event in events] == [PositionKind.EVENT] * 7 + [PositionKind.INVALIDATE]


async def test_star_is_everything(watch: Watch) -> None:
    """``"*"`` filters nothing."""
    reading = await watch.reader(operations=["*"])
    await watch.database.orders.insert_one({"_id": 1})
    await watch.database.orders.drop()
    assert [event.operation for event in await reading.events(2)] == ["insert", "drop"]


async def test_match_and_extended_json(watch: Watch) -> None:
    """A filter in MQL, with values in Extended JSON, is applied by the server."""
    oid = "5f5f5f5f5f5f5f5f5f5f5f5f"
    reading = await watch.reader(
        match={"$or": [{"fullDocument.customer": {"$oid": oid}}, {"fullDocument.n": {"$gt": 5}}]}
    )
    extras: list[dict[str, Any]] = [{"customer": oid}, {"customer": ObjectId(oid)}, {"n": 5}, {"n": 6}]
    for i, extra in enumerate(extras):
        await watch.database.orders.insert_one({"_id": i, **extra})
    assert ids(await reading.events(2)) == [1, 3]


async def test_pipeline(watch: Watch) -> None:
    """Further stages change the document in the server, after the filter."""
    reading = await watch.reader(
        match={"fullDocument.secret": {"$exists": True}},
        pipeline=[
            {"$set": {"fullDocument.n": {"$multiply": ["$fullDocument.n", 2]}}},
            {"$unset": "fullDocument.secret"},
        ],
    )
    await watch.database.orders.insert_many([{"_id": 1, "n": 4, "secret": "s"}, {"_id": 2, "n": 4}])
    await watch.database.orders.insert_one({"_id": 3, "n": 5, "secret": "t"})
    assert [document(event.document) for event in await reading.events(2)] == [
        {"_id": 1, "n": 8},
        {"_id": 3, "n": 10},
    ]


async def test_idle_position_moves(either_watch: Watch) -> None:
    """A stream that nothing matches has a position all the same, beyond what others wrote, and it resumes."""
    watch = either_watch
    reading = await watch.reader(collections=["quiet"])
    start = reading.position
    marker = await watch.reader()
    await watch.database.busy.insert_one({"_id": 1})
    (written,) = await marker.events(1)
    await reading.until(written.token[:18])
    assert reading.slots == []
    assert reading.position.kind is PositionKind.IDLE
    assert start.token < reading.position.token
    assert reading.position.cluster_time is not None
    assert start.cluster_time is not None
    assert reading.position.cluster_time > start.cluster_time
    again = await watch.reader(reading.position, collections=["quiet"])
    await watch.database.quiet.insert_one({"_id": 2})
    assert ids(await again.events(1)) == [2]


async def test_now_is_before_every_later_change(watch: Watch) -> None:
    """Of the changes before and after the moment, a reader from it gives exactly the later ones."""
    for i in range(5):
        await watch.database.orders.insert_one({"_id": i, "when": "before"})
        now: Position = await watch.source().now()
        await watch.database.orders.insert_one({"_id": i + 100, "when": "after"})
        events = await (await watch.reader(now)).events(1)
        assert ids(events) == [i + 100]
