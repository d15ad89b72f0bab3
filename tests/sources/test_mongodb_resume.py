"""Going on from a position, on a real server: across readers, drops, renames and edited configurations."""

from __future__ import annotations

from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from eventbus.errors import PositionLost
from eventbus.model import ClusterTime, Event, PositionKind
from eventbus.sources.mongodb.tokens import high_water_mark
from tests.sources.watching import Document, Watch, ids

pytestmark = [pytest.mark.anyio, pytest.mark.services]


async def test_from_the_position_of_any_event(either_watch: Watch) -> None:
    """A reader from each event's position gives exactly the events behind it, transactions included."""
    watch = either_watch
    reading = await watch.reader()
    for i in range(3):
        await watch.database.orders.insert_one({"_id": i})
    async with watch.client.start_session() as session, await session.start_transaction():
        for i in range(3, 6):
            await watch.database.orders.insert_one({"_id": i + 0.5}, session=session)
            await watch.database.stock.insert_one({"_id": i}, session=session)
    await watch.database.orders.update_many({}, {"$set": {"a": 1}})
    events = await reading.events(15)
    for i, event in enumerate(events[:-1]):
        again = await watch.reader(event.position)
        later = await again.events(len(events) - i - 1)
        assert [e.id for e in later] == [e.id for e in events[i + 1 :]]


async def test_from_the_end_of_each_batch(watch: Watch) -> None:
    """One reader after another, each from where the last one stopped: no gap and no duplicate."""
    position = await watch.source().now()
    seen: list[Event] = []
    for i in range(20):
        for j in range(i % 4):
            await watch.database.orders.insert_one({"_id": i * 100 + j})
        if i % 3 == 0:
            await watch.database.other.insert_one({})
        reading = await watch.reader(position, collections=["orders"])
        batch = await reading.batch()
        seen += [slot.event for slot in batch.slots]
        position = batch.end
        await reading.reader.close()
    rest = await watch.reader(position, collections=["orders"])
    await watch.database.orders.insert_one({"_id": "last"})
    while not seen or ids(seen[-1:]) != ["last"]:
        seen += [slot.event for slot in (await rest.batch()).slots]
    assert ids(seen) == [i * 100 + j for i in range(20) for j in range(i % 4)] + ["last"]


@pytest.mark.parametrize("operations", [["insert", "drop", "invalidate"], ["insert"]], ids=str)
@pytest.mark.parametrize("scope", ["collection", "database"])
async def test_drop_and_re_creation(either_watch: Watch, scope: str, operations: list[str]) -> None:
    """What is watched may be dropped and made again under an open reader, asked for or not."""
    watch = either_watch
    options: Document = {"operations": operations}
    if scope == "collection":
        options["collections"] = ["orders"]
    reading = await watch.reader(**options)
    for i in range(3):
        await watch.database.orders.insert_one({"_id": i})
        if scope == "collection":
            await watch.database.orders.drop()
        else:
            await watch.client.drop_database(watch.name)
    await watch.database.orders.insert_one({"_id": 3})
    around = ["insert"] if operations == ["insert"] else ["insert", "drop", "invalidate"]
    events = await reading.events(3 * len(around) + 1)
    assert [event.operation for event in events] == [*(3 * around), "insert"]
    assert ids([event for event in events if event.operation == "insert"]) == [0, 1, 2, 3]


async def test_rename_of_a_watched_collection(watch: Watch) -> None:
    """A rename ends what the name stood for; what gets the name afterwards is read."""
    reading = await watch.reader(collections=["orders"])
    await watch.database.orders.insert_one({"_id": 1})
    await watch.database.orders.rename("archive")
    await watch.database.archive.insert_one({"_id": 2})
    await watch.database.orders.insert_one({"_id": 3})
    events = await reading.events(4)
    assert [event.operation for event in events] == ["insert", "rename", "invalidate", "insert"]
    assert ids([events[0], events[3]]) == [1, 3]


async def test_from_the_position_of_an_invalidate(either_watch: Watch) -> None:
    """The position behind an invalidate works in another reader, also if its kind was forgotten."""
    watch = either_watch
    reading = await watch.reader(collections=["orders"])
    await watch.database.orders.insert_one({"_id": 1})
    await watch.database.orders.drop()
    end = (await reading.events(3))[-1].position
    assert end.kind is PositionKind.INVALIDATE
    await watch.database.orders.insert_one({"_id": 2})
    for start in (end, replace(end, kind=PositionKind.EVENT)):
        assert ids(await (await watch.reader(start, collections=["orders"])).events(1)) == [2]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"match": {"fullDocument.keep": True}}),
        ({"match": {"fullDocument.keep": {"$exists": True}}}, {"match": {"fullDocument.keep": True}}),
        ({"match": {"fullDocument.keep": False}}, {"match": {"fullDocument.keep": True}}),
        ({}, {"operations": ["replace", "delete"]}),
        ({"collections": ["orders", "other"]}, {"collections": ["other", "third"]}),
        ({"collections": ["orders"]}, {}),
        ({}, {"pipeline": [{"$match": {"documentKey._id": {"$gt": 100}}}]}),
        ({}, {"full_document": "update_lookup", "before": "when_available"}),
    ],
    ids=str,
)
async def test_an_edited_filter(either_watch: Watch, before: Document, after: Document) -> None:
    """From a position of one filter, another one gives exactly what matches it from there on."""
    watch = either_watch
    names = ["orders", "other", "third"]
    await watch.database.orders.insert_one({"_id": 0})
    reading = await watch.reader(**before)
    everything = await watch.reader()
    for i in range(1, 4):
        await watch.database.orders.insert_one({"_id": i, "keep": False})
    position = (await reading.events(3))[1].position
    for i, name in enumerate(names):
        await watch.database[name].insert_one({"_id": 100 + i, "keep": i % 2 == 0})
    await watch.database.orders.replace_one({"_id": 1}, {"keep": True})
    await watch.database.orders.delete_one({"_id": 2})
    expected = [
        event for event in await everything.events(8) if event.token > position.token and fits(event, after)
    ]
    assert expected

    with capture_logs() as logs:
        again = await watch.reader(position, **after)
        events = await again.events(len(expected))
    assert [event.id for event in events] == [event.id for event in expected]
    assert len([line for line in logs if line["log_level"] != "debug"]) <= 1


def fits(event: Event, options: Document) -> bool:
    """What a filter of the test above means."""
    if "operations" in options:
        return event.operation in options["operations"]
    if "collections" in options:
        return event.collection in options["collections"]
    if "match" in options:
        return isinstance(event.document, bytes) and b"\x08keep\0\1" in event.document
    if "pipeline" in options:
        return bool(ids([event])[0] > 100)
    return True


async def test_a_refused_position_is_told_in_one_line(watch: Watch) -> None:
    """A position whose change the edited filter drops costs one line in the log, and no wait."""
    reading = await watch.reader()
    await watch.database.orders.insert_one({"_id": 1})
    (event,) = await reading.events(1)
    await watch.database.orders.insert_one({"_id": 2, "keep": True})
    with capture_logs() as logs:
        again = await watch.reader(event.position, match={"fullDocument.keep": True})
        assert ids(await again.events(1)) == [2]
    (line,) = [line for line in logs if line["log_level"] != "debug"]
    assert (line["event"], line["reaction"], line["code"]) == (
        "stream_resumed",
        "reopen_at_cluster_time",
        280,
    )


async def test_a_stored_position_without_the_types_of_its_numbers(either_watch: Watch) -> None:
    """The server cannot read such a token for some keys; then its cluster time serves."""
    watch = either_watch
    reading = await watch.reader()
    await watch.database.orders.insert_many([{"_id": 1.5}, {"_id": 2.5}])
    first, second = await reading.events(2)
    assert first.extra is not None
    again = await watch.reader(replace(first.position, extra=None))
    assert [event.id for event in await again.events(1)] == [second.id]


async def test_a_position_from_a_point_in_time(watch: Watch) -> None:
    """A position made of a cluster time begins with the changes of that time."""
    reading = await watch.reader()
    for i in range(3):
        await watch.database.orders.insert_one({"_id": i})
    events = await reading.events(3)
    assert events[1].cluster_time is not None
    again = await watch.reader(high_water_mark(events[1].cluster_time))
    assert [event.id for event in await again.events(2)] == [event.id for event in events[1:]]


async def test_a_position_of_the_future(watch: Watch) -> None:
    """A server that was restored is behind the position: that is a lost position and no endless wait."""
    now = await watch.source().now()
    assert now.cluster_time is not None
    future = high_water_mark(ClusterTime(now.cluster_time.seconds + 3600, 1))
    with pytest.raises(PositionLost, match="future"):
        await (await watch.reader(future)).batch()


async def test_a_token_of_the_plain_form_on_a_server_that_splits(watch: Watch) -> None:
    """A position stored before the server could split large events (its tokens had another form) goes on."""
    plain = await watch.database.watch()
    async with plain:
        async with watch.client.start_session() as session, await session.start_transaction():
            for i in range(3):
                await watch.database.orders.insert_one({"_id": i}, session=session)
        tokens = [(await plain.next())["_id"]["_data"] for _ in range(3)]
    for i, token in enumerate(tokens):
        await watch.database.orders.insert_one({"_id": 10 + i})
        start = replace(
            high_water_mark(ClusterTime(0, 0)), token=token, kind=PositionKind.EVENT, cluster_time=None
        )
        reading = await watch.reader(start)
        expected = [*range(i + 1, 3), *range(10, 11 + i)]
        assert ids(await reading.events(len(expected))) == expected


@pytest.mark.parametrize("cut", ["46", "2B04", "2B0429296E1400FF"])
async def test_a_token_that_the_server_cannot_read(either_watch: Watch, cut: str) -> None:
    """It still says a time: what the server has from there on is read, and nothing is given up for it."""
    watch = either_watch
    start = await watch.source().now()
    for i in range(3):
        await watch.database.orders.insert_one({"_id": i})
    reading = await watch.reader(replace(start, token=start.token[:18] + cut))
    assert ids(await reading.events(3)) == [0, 1, 2]
