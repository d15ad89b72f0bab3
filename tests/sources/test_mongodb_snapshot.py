"""Snapshots on a real server: what they read, in which order, and how they go on."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import anyio
import bson
import pytest
from bson import Binary, Decimal128, Int64, MaxKey, MinKey, ObjectId, Timestamp
from structlog.testing import capture_logs

from eventbus.devservices import MongoService
from eventbus.errors import ConfigurationError
from eventbus.model import ClusterTime, PositionKind, Snapshot
from eventbus.sources.mongodb import snapshot_reader
from eventbus.sources.mongodb.snapshot_reader import SnapshotReader
from eventbus.sources.mongodb.tokens import is_high_water_mark
from eventbus.telemetry.metrics import REGISTRY
from tests.sources.faults import failing, no_cursors
from tests.sources.snapshots import Receiver, SnapshotReading, reads, snapshot
from tests.sources.watching import Client, Document, Watch, document, ids

pytestmark = [pytest.mark.anyio, pytest.mark.services]

SMALL: Document = {"chunk": 7, "parallel": 3}
ALL_TYPES: list[Any] = [
    *(
        MinKey(),
        None,
        -(2**40),
        -1.5,
        0,
        Int64(2),
        2.5,
        Decimal128("3"),
        float("inf"),
        "",
        "$a",
        "a",
        "k5",
        "k50",
    ),
    *(
        {},
        {"a": 1},
        {"b": {"c": None}},
        Binary(b"\0"),
        Binary(b"u" * 16, 4),
        ObjectId("5f" * 12),
        False,
        True,
    ),
    *(datetime(1969, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC), Timestamp(1, 1), MaxKey()),
]


class Writers:
    """Changes documents of two collections as long as a test wants, each write with a higher ``v``."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._names = ["a", "b"]
        self._version = 1000
        self._writes = 0
        self._random = random.Random(7)

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._write()
            self._writes += 1

    async def more(self) -> None:
        """Wait for some further writes."""
        wanted = self._writes + 10
        while self._writes < wanted:
            await anyio.lowlevel.checkpoint()

    async def _write(self) -> None:
        database, rng = self._watch.database, self._random
        collection, key = database[rng.choice(self._names)], rng.randrange(150)
        self._version += 1
        match rng.randrange(5):
            case 0:
                await collection.update_one({"_id": key}, {"$set": {"v": self._version}})
            case 1:
                await collection.replace_one({"_id": key}, {"v": self._version, "r": 1}, upsert=True)
            case 2:
                await collection.delete_one({"_id": key})
            case 3:
                await collection.update_many({"_id": {"$lt": key}}, {"$set": {"v": self._version}})
            case _:
                await self._transact(key)

    async def _transact(self, key: int) -> None:
        async with self._watch.client.start_session() as session, await session.start_transaction():
            for name in self._names:
                for other in range(key, key + 3):
                    await self._watch.database[name].update_one(
                        {"_id": other}, {"$set": {"v": self._version}}, upsert=True, session=session
                    )


async def filled(watch: Watch, name: str, keys: list[Any]) -> None:
    await watch.database[name].insert_many([{"_id": key, "v": i + 1} for i, key in enumerate(keys)])


async def stored(watch: Watch, *names: str) -> dict[Any, Document]:
    """What the collections hold, as a receiver keeps it."""
    return {
        (name, bson.encode({"_id": found["_id"]})): found
        for name in names
        async for found in watch.database[name].find()
    }


async def test_documents_among_changes(either_watch: Watch) -> None:
    """With writers all the time no document goes backwards, and the end is what the collections hold.

    From wherever a reader goes on, the rest makes the same of it, and a document has the same id.
    """
    watch = either_watch
    for name in ("a", "b"):
        await filled(watch, name, list(range(100)))
    reading = await snapshot(watch, snapshot=SMALL)
    writers = Writers(watch)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writers.run)
        while not reading.is_finished:
            await reading.batch()
            await writers.more()
        tasks.cancel_scope.cancel()
    await watch.database.a.insert_one({"_id": "end", "v": 10**9})
    expected = await stored(watch, "a", "b")
    await until_the_end(reading)
    slots = reading.slots
    receiver = Receiver()
    receiver.take(slots)
    assert receiver.documents == expected
    operations = [slot.event.operation for slot in slots]
    assert {"insert", "update", "replace", "delete", "read"} == set(operations)
    assert {"update", "read"} <= set(operations[operations.index("read") + 50 :]), (
        "documents came all at once"
    )
    known = {event.key: event.id for event in reads(slots)}
    for place in random.Random(1).sample(range(len(slots) - 1), 3):
        again = await snapshot(watch, start=slots[place].event.position, snapshot=SMALL)
        await again.finish()
        await until_the_end(again)
        receiver = Receiver()
        receiver.take([*slots[: place + 1], *again.slots])
        assert receiver.documents == expected
        assert all(known.get(event.key, event.id) == event.id for event in reads(again.slots))


async def until_the_end(reading: SnapshotReading) -> None:
    """Read all changes up to the one that is the end."""
    while not any(s.event.operation == "insert" and ids([s.event]) == ["end"] for s in reading.slots):
        await reading.batch()


async def test_no_poll_is_empty_inside_of_a_transaction(either_watch: Watch) -> None:
    """An empty poll says that all changes of the last one's time were returned, however many and filtered."""
    watch = either_watch
    documents = [
        {"i": i, "text": "x" * 8000} for i in range(2200)
    ]  # more than fits into one entry of the oplog

    async def write() -> None:
        for _ in range(2):
            async with watch.client.start_session() as session, await session.start_transaction():
                await watch.database.orders.insert_many([dict(one) for one in documents], session=session)

    for step in (1, 499):
        reading = await watch.reader(match={"fullDocument.i": {"$mod": [step, 0]}})
        reading.reader.wait_at_most_ms = 1
        empty, over = 0, set[ClusterTime | None]()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write)
            while len(reading.slots) < 2 * len(range(0, len(documents), step)):
                batch = await reading.batch()
                assert not over & {slot.event.cluster_time for slot in batch.slots}
                empty += reading.reader.is_idle
                if reading.reader.is_idle and reading.slots:
                    over.add(reading.slots[-1].event.cluster_time)
        assert empty


async def test_keys_of_all_types(either_watch: Watch) -> None:
    """They come in the server's own order; from each place the rest comes, with the same ids."""
    watch = either_watch
    shuffled = random.Random(3).sample(ALL_TYPES, len(ALL_TYPES))
    await filled(watch, "orders", shuffled)
    before = _metric("eventbus_snapshot_documents_read_total"), _metric("eventbus_snapshot_chunks_read_total")
    reading = await snapshot(watch, snapshot={"chunk": 2, "parallel": 3})
    events = await reading.finish()
    in_order = [found async for found in watch.database.orders.find().sort("_id")]
    assert [document(event.document) for event in events] == in_order
    assert ids(events) == [found["_id"] for found in in_order]
    assert [event.position.snapshot.read for event in events if event.position.snapshot] == [
        *range(1, len(ALL_TYPES) + 1)
    ]
    assert {(event.database, event.collection, event.operation, event.is_barrier) for event in events} == {
        (watch.name, "orders", "read", False)
    }
    assert _metric("eventbus_snapshot_documents_read_total") == before[0] + len(ALL_TYPES)
    assert _metric("eventbus_snapshot_chunks_read_total") == before[1] + len(ALL_TYPES) / 2
    for place, event in enumerate(events):
        rest = await (await snapshot(watch, start=event.position, snapshot=SMALL)).finish()
        assert [again.id for again in rest] == [other.id for other in events[place + 1 :]]


def _metric(name: str) -> float:
    return REGISTRY.get_sample_value(name, {"subscription": "test"}) or 0.0


async def test_what_is_read(watch: Watch) -> None:
    """Collections in order of their names, those that are chosen, less views and what the server keeps."""
    for name in ("b", "a", "c", "other"):
        await filled(watch, name, list(range(3)))
    await watch.database.create_collection("view", viewOn="a", pipeline=[])
    await watch.database.create_collection("weather", timeseries={"timeField": "t"})
    await watch.database.weather.insert_one({"t": datetime(2024, 1, 1, tzinfo=UTC)})
    options: Document = {"collections": ["c", "a", "b", "missing"], "snapshot": SMALL}
    reading = await snapshot(watch, **options)
    assert [(event.collection, *ids([event])) for event in await reading.finish()] == [
        (name, key) for name in "abc" for key in range(3)
    ]
    state = reading.position.snapshot
    assert state is not None
    assert (state.read, state.total, state.is_finished) == (9, 9, True)
    chosen = await snapshot(watch, only=["c", "a"], **options)
    assert [event.collection for event in await chosen.finish()] == ["a"] * 3 + ["c"] * 3
    everything = await snapshot(watch)
    assert {event.collection for event in await everything.finish()} == {"a", "b", "c", "other"}
    of_cluster = await snapshot(watch, database=None, only=[f"{watch.name}.b"], where={"_id": {"$gt": 0}})
    assert ids(await of_cluster.finish()) == [1, 2]


async def test_the_own_database_is_not_read(watch: Watch) -> None:
    """As its changes are not."""
    await filled(watch, "a", [1])
    source = watch.source(database=None, own_database=watch.name)
    with pytest.raises(ConfigurationError, match="reads no collection"):
        await source.begin_snapshot("s", collections=[f"{watch.name}.a"])


async def test_filters_and_stages(watch: Watch) -> None:
    """Those of the source hold for documents in the form of changes, but for its operations.

    The snapshot's own filter holds for documents as they are. What is dropped counts as read.
    """
    oid = ObjectId()
    await watch.database.orders.insert_many(
        [{"_id": i, "n": i, "of": oid if i % 2 else None, "secret": "s"} for i in range(40)]
    )
    reading = await snapshot(
        watch,
        where={"of": {"$oid": str(oid)}},
        match={"fullDocument.n": {"$gte": 30}, "operationType": "read", "ns.coll": "orders"},
        operations=["delete"],
        pipeline=[
            {"$set": {"fullDocument.n": {"$multiply": ["$fullDocument.n", 2]}}},
            {"$unset": "fullDocument.secret"},
        ],
        snapshot=SMALL,
    )
    assert [document(event.document) for event in await reading.finish()] == [
        {"_id": i, "n": 2 * i, "of": oid} for i in range(31, 40, 2)
    ]
    assert reading.position.snapshot is not None
    assert reading.position.snapshot.read == 40


async def test_a_collation_orders_keys(watch: Watch) -> None:
    """The index of ``_id`` has the collection's own collation, and so have the ranges of keys."""
    await watch.database.create_collection("orders", collation={"locale": "en", "strength": 2})
    await filled(watch, "orders", [f"{'kK'[i % 2]}{i}" for i in range(40)])
    events = await (await snapshot(watch, snapshot=SMALL)).finish()
    assert ids(events) == [found["_id"] async for found in watch.database.orders.find().sort("_id")]


async def test_a_collection_that_is_dropped_meanwhile(either_watch: Watch) -> None:
    """What is left of it is nothing; the next one is read; what is made anew comes as changes."""
    watch = either_watch
    for name in ("a", "b", "c"):
        await filled(watch, name, list(range(30)))
    reading = await snapshot(watch, snapshot={"chunk": 10, "parallel": 1})
    while not reads(reading.slots):
        await reading.batch()
    await watch.database.a.drop()
    await watch.database.b.drop()
    await watch.database.b.insert_one({"_id": "new", "v": 1})
    await watch.database.d.insert_one({"_id": "end", "v": 1})
    events = await reading.finish()
    await until_the_end(reading)
    by_name = {name: [event for event in events if event.collection == name] for name in "abc"}
    assert 10 <= len(by_name["a"]) < 30
    assert ids(by_name["c"]) == list(range(30))
    assert set(ids(by_name["b"])) <= {"new"}
    operations = [(slot.event.operation, slot.event.collection) for slot in reading.slots]
    assert ("drop", "a") in operations
    assert ("insert", "b") in operations


async def test_a_collection_that_is_renamed_meanwhile(either_watch: Watch) -> None:
    """It is read under its new name where that lies ahead; where it lies behind, what is missing is said."""
    watch = either_watch
    for name in ("b", "c", "d", "e"):
        await filled(watch, name, list(range(30)))
    reading = await snapshot(watch, snapshot={"chunk": 10, "parallel": 1})
    while not any(event.collection == "c" for event in reads(reading.slots)):
        await reading.batch()
    await watch.database.b.rename("gone")
    await watch.database.d.rename("f")
    await watch.database.e.rename("a")
    with capture_logs() as logs:
        events = await reading.finish()
    by_name = {name: ids([event for event in events if event.collection == name]) for name in "abcdef"}
    assert by_name["b"] == by_name["c"] == by_name["f"] == list(range(30))
    assert by_name["a"] == by_name["d"] == by_name["e"] == []
    (missed,) = [line for line in logs if line["event"] == "snapshot_missed_renamed"]
    name = watch.database.name
    assert (missed["namespace"], missed["to"]) == (f"{name}.e", f"{name}.a")


async def test_nothing_to_read(watch: Watch) -> None:
    """A snapshot of nothing is finished at once, at a later position, and the reader goes on with changes."""
    reading = await snapshot(watch)
    start = reading.position
    assert await reading.finish() == []
    assert reading.position.token > start.token
    await watch.database.orders.insert_one({"_id": 1})
    while not reading.slots:
        await reading.batch()
    (slot,) = reading.slots
    assert slot.event.position.snapshot == reading.position.snapshot
    assert reading.is_finished


async def test_a_finished_snapshot_is_a_position(either_watch: Watch) -> None:
    """A reader without any snapshot goes on from it, whatever its token looks like."""
    watch = either_watch
    await filled(watch, "orders", list(range(5)))
    reading = await snapshot(watch)
    last = (await reading.finish())[-1]
    await watch.database.orders.insert_one({"_id": "later"})
    for position in (last.position, reading.position, watch.source().position(last.token)):
        again = await watch.reader(replace(position, snapshot=None))
        assert ids(await again.events(1)) == ["later"]


async def test_documents_behind_the_last_change(either_watch: Watch) -> None:
    """They need not wait for another change; from their places a reader goes on as from any other."""
    watch = either_watch
    await filled(watch, "orders", list(range(9)))
    behind: list[int] = []
    while not behind:  # the server's own heartbeat may have moved the stream
        await watch.database.orders.delete_one({"_id": 1.5})
        reading = await snapshot(watch, snapshot={"chunk": 2, "parallel": 1})
        await watch.database.orders.insert_one({"_id": 1.5})  # whose token does not say all about its key
        events = await reading.finish()
        assert ids(events) == [0, 1, 1.5, *range(2, 9)]
        behind = [i for i, event in enumerate(events) if not is_high_water_mark(event.token)]
    for i in behind:
        again = await snapshot(watch, start=events[i].position)
        assert ids(await again.finish()) == ids(events[i + 1 :])


async def test_large_documents(watch: Watch) -> None:
    """A reply has room for one of them: the rest of the range is asked for again, and no cursor is left."""
    room = 16 * 1024 * 1024 - len(bson.encode({"_id": 0, "text": ""}))
    for i, size in enumerate((15_000_000, 1, room, 15_000_000)):
        await watch.database.orders.insert_one({"_id": i, "text": "a" * size})
    reading = await snapshot(watch)
    assert ids(await reading.finish()) == [0, 1, 2, 3]
    await reading.reader.close()
    await no_cursors(watch.client)


async def test_what_cannot_be_read(watch: Watch) -> None:
    """It is said before anything is promised; of several collections the odd one is left out, and named."""
    await watch.database.create_collection("capped", capped=True, size=100_000)
    await watch.database.create_collection("view", viewOn="capped", pipeline=[])
    source = watch.source()
    for names in ([], ["capped"]):
        with pytest.raises(
            ConfigurationError, match="capped is a capped collection, which no snapshot can read"
        ):
            await source.begin_snapshot("s", collections=names)
    await filled(watch, "orders", [1])
    with pytest.raises(ConfigurationError, match="view is a view"):
        await source.begin_snapshot("s", collections=["view"])
    with pytest.raises(ConfigurationError, match=r"reads no collection .*\.order, did you mean .*\.orders"):
        await source.begin_snapshot("s", collections=["order"])
    with pytest.raises(ConfigurationError, match=r"filter of the snapshot: .*unknown operator: \$no \(2\)"):
        await source.begin_snapshot("s", match={"a": {"$no": 1}})
    with pytest.raises(ConfigurationError, match=r"filter of the snapshot: .*\$text"):
        await source.begin_snapshot("s", match={"$text": {"$search": "a"}})
    with pytest.raises(ConfigurationError, match="filter of the snapshot: not a value of Extended JSON"):
        await source.begin_snapshot("s", match={"a": {"$oid": "no"}})
    with capture_logs() as logs:
        begun = await source.begin_snapshot("s")
    assert [(line["event"], line["namespace"]) for line in logs] == [
        ("snapshot_left_out", f"{watch.name}.{name}") for name in ("capped", "view")
    ]
    assert begun == Snapshot("s", begun.scope, total=1)
    reading = await snapshot(watch)
    assert ids(await reading.finish()) == [1]


async def test_the_knobs_are_turned(watch: Watch) -> None:
    """Documents in one query and in one round, by ``chunk``, ``parallel`` and ``rate``."""
    await filled(watch, "orders", list(range(130)))

    await filled(watch, "few", list(range(70)))

    async def rounds(name: str = "orders", **options: Any) -> list[int]:
        reading = await snapshot(watch, collections=[name], snapshot=options)
        await reading.finish()
        return [len(reads(batch.slots)) for batch in reading.batches if batch.slots]

    assert await rounds() == [100, 30]
    assert await rounds(chunk=50, parallel=1) == [50, 50, 30]
    assert await rounds(chunk=20, parallel=3) == [20, 60, 50]
    assert await rounds("few", rate="60/s") == [60, 10]


async def test_changes_alone_while_the_stream_is_behind(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Documents have to wait while changes are later than ``pause_on_lag``.

    That they wait for the present when a reader begins is a rule of its own, which is not in the way here.
    """

    async def never(_reader: object, _as_of: object) -> bool:
        return False

    monkeypatch.setattr(snapshot_reader.SnapshotReader, "_is_past", never)
    start = await watch.source().now()
    await filled(watch, "orders", list(range(1500)))
    second = (await watch.source().now()).cluster_time
    assert second is not None
    while (await watch.source().now()).cluster_time < (second[0] + 1, 2):  # type: ignore[operator]
        await watch.database.orders.update_one({"_id": 0}, {"$inc": {"n": 1}})
    begun = replace(start, snapshot=Snapshot("s"))
    for lag, at_once in (("900ms", False), ("1h", True)):
        reading = await snapshot(watch, start=begun, snapshot={"pause_on_lag": lag})
        assert bool(reads((await reading.batch()).slots)) is at_once
        assert len(await reading.finish()) == 1500


@pytest.mark.parametrize("code", [239, 246, 72, 13])
async def test_documents_that_cannot_be_read_now(
    mongo: MongoService, watch: Watch, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Changes go on, the reason is told once it lasts, and documents come as soon as they can be read."""
    monkeypatch.setattr(snapshot_reader, "_PATIENCE_SECS", 0.0)
    monkeypatch.setattr(snapshot_reader, "_LONGEST_RETRY_SECS", 0.01)
    await filled(watch, "orders", [1])
    reading = await snapshot(watch)
    with capture_logs() as logs:
        async with (
            failing(watch.client, "find", times=100_000, errorCode=code),
            Client(mongo.uri) as other,
        ):
            while trouble(reading) is None:
                await reading.batch()
            assert str(code) in str(trouble(reading))
            await other[watch.name].orders.insert_one({"_id": 2})
            while not reading.slots:
                await reading.batch()
        assert ids([slot.event for slot in reading.slots]) == [2]
        assert sorted(ids(await reading.finish())) == [1, 2]
    assert trouble(reading) is None
    assert [line["event"] for line in logs if line["log_level"] != "debug"] == [
        "snapshot_interrupted",
        "snapshot_resumed",
    ]


def trouble(reading: SnapshotReading) -> str | None:
    """As the daemon asks for it."""
    return reading.reader.trouble


async def test_what_passes_soon_is_no_trouble(watch: Watch) -> None:
    """A collection that was made a moment ago has no past; with the next place of the stream it has."""
    await filled(watch, "orders", [1])
    reading = await snapshot(watch)
    with capture_logs() as logs:
        async with failing(watch.client, "find", times=2, errorCode=246):
            await reading.finish()
    assert reading.reader.trouble is None
    assert [line for line in logs if line["log_level"] != "debug"] == []


class Gate:
    """Stands before a query until it is opened."""

    def __init__(self, reader: SnapshotReader, monkeypatch: pytest.MonkeyPatch) -> None:
        self._keys = reader._queries.keys
        self.reached = anyio.Event()
        self.open = anyio.Event()
        monkeypatch.setattr(reader._queries, "keys", self._wait)

    async def _wait(self, *args: Any) -> Any:
        self.reached.set()
        await self.open.wait()
        return await self._keys(*args)


async def test_closed_while_documents_are_read(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """The query is given up; nothing comes but what had come already."""
    await filled(watch, "orders", [1])
    reading = await snapshot(watch)
    gate = Gate(reading.reader, monkeypatch)
    async with anyio.create_task_group() as tasks:

        async def close() -> None:
            await gate.reached.wait()
            await reading.reader.close()

        tasks.start_soon(close)
        with anyio.fail_after(60):
            while await reading.reader.next() is not None:
                pass
    assert await reading.reader.next() is None
    await no_cursors(watch.client)


async def test_cancelled_while_documents_are_read(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """The changes that had come already come with the next call."""
    await filled(watch, "orders", [0])
    reading = await snapshot(watch)
    gate = Gate(reading.reader, monkeypatch)  # documents come behind what had happened before they were read
    inserted = 0
    while not gate.reached.is_set():
        inserted += 1
        await watch.database.orders.insert_one({"_id": inserted})
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:

                async def cancel() -> None:
                    await gate.reached.wait()
                    scope.cancel()

                tasks.start_soon(cancel)
                await reading.batch()
                tasks.cancel_scope.cancel()
    gate.open.set()
    await reading.finish()
    changes = [slot.event for slot in reading.slots if slot.event.operation == "insert"]
    assert ids(changes) == list(range(1, inserted + 1))
    assert 0 in ids(reads(reading.slots))


async def test_a_position_of_an_invalidate_in_a_snapshot(watch: Watch) -> None:
    """What the stream reads was dropped: the snapshot has nothing left, and changes go on behind."""
    await filled(watch, "orders", list(range(30)))
    reading = await snapshot(watch, collections=["orders"], snapshot=SMALL)
    while not reads(reading.slots):
        await reading.batch()
    await watch.database.orders.drop()
    await watch.database.orders.insert_one({"_id": "end"})
    await reading.finish()
    await until_the_end(reading)
    kinds = [slot.event.kind for slot in reading.slots if slot.event.operation == "invalidate"]
    assert kinds == [PositionKind.INVALIDATE]
