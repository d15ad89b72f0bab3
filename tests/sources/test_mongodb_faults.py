"""What a real server does to a stream, and that nothing is lost or doubled by it."""

from __future__ import annotations

import anyio
import pytest
from pymongo import MongoClient
from structlog.testing import capture_logs

from eventbus.devservices import MongoService
from eventbus.errors import ConfigurationError, PositionLost, Unreachable
from eventbus.sources.mongodb.errors import LABELS, TABLE, Reaction
from eventbus.telemetry import metrics
from tests.sources.faults import NOT_INJECTABLE, failing, failing_get_more, open_cursors
from tests.sources.proxy import Proxy
from tests.sources.watching import HANG_SECS, Client, Document, Reading, Watch, ids, impatient_client

pytestmark = [pytest.mark.anyio, pytest.mark.services]


def recoveries() -> float:
    """How often reading was held up and went on."""
    name = "eventbus_reader_recovery_seconds_count"
    return metrics.REGISTRY.get_sample_value(name, {"subscription": "test"}) or 0.0


ENDING = {Reaction.HISTORY_LOST: PositionLost, Reaction.FATAL_CONFIGURATION: ConfigurationError}


def reopened(reaction: str) -> float:
    """How often streams of the test's subscription were opened again for this reason."""
    labels = {"subscription": "test", "reaction": reaction}
    return metrics.REGISTRY.get_sample_value("eventbus_reader_reopened_total", labels) or 0.0


@pytest.fixture
async def running(either_faulty_watch: Watch) -> Reading:
    """A reader that has read one event, ``_id`` 0."""
    reading = await either_faulty_watch.reader()
    await either_faulty_watch.database.orders.insert_one({"_id": 0})
    await reading.events(1)
    return reading


async def goes_on(watch: Watch, reading: Reading, *keys: object) -> None:
    """The changes made meanwhile come, each once."""
    keys = keys or (1, 2)
    await watch.database.orders.insert_many([{"_id": key} for key in keys])
    assert ids(await reading.events(len(keys))) == list(keys)


PASSING = [reaction for reaction in Reaction if reaction not in ENDING]


@pytest.mark.parametrize("reaction", PASSING)
async def test_every_error_that_a_stream_survives(
    either_faulty_watch: Watch, running: Reading, reaction: Reaction
) -> None:
    """Each row of the table, given by the server, has its reaction, once, and nothing is lost."""
    watch = either_faulty_watch
    for row in TABLE:
        if row.reaction is reaction and row.code not in NOT_INJECTABLE:
            before = reopened(reaction)
            with capture_logs() as logs:
                async with failing(watch.client, "getMore", errorCode=row.code):
                    await goes_on(watch, running, row.code)
            assert reopened(reaction) == before + 1, row
            codes = {line["code"] for line in logs if line["log_level"] != "debug"}
            assert codes == (set() if reaction is Reaction.OVERSIZE else {row.code})
            if reaction is Reaction.OVERSIZE:  # the next one would be taken for what is too large
                assert not (await running.batch()).slots


@pytest.mark.parametrize("reaction", ENDING)
async def test_every_error_that_ends_a_stream(
    either_faulty_watch: Watch, running: Reading, reaction: Reaction
) -> None:
    """Each row of the table that ends a stream does so with the right class, and leaves no cursor."""
    watch = either_faulty_watch
    for row in TABLE:
        if row.reaction is reaction:
            async with failing(watch.client, "getMore", errorCode=row.code):
                with pytest.raises(ENDING[reaction], match=row.name):
                    await running.batch()
            assert await open_cursors(watch.client) == [], row
    await goes_on(watch, running)


@pytest.mark.parametrize("label", LABELS)
async def test_labels(either_faulty_watch: Watch, running: Reading, label: str) -> None:
    """A label decides about an error that nobody knows."""
    before = reopened(LABELS[label])
    client = either_faulty_watch.client
    async with failing(client, "getMore", errorCode=987_654, errorLabels=[label]):
        await goes_on(either_faulty_watch, running)
    assert reopened(LABELS[label]) == before + 1


async def test_passing_errors_from_the_inside(either_faulty_watch: Watch, running: Reading) -> None:
    """The same where the server really ends the cursor and sets its labels."""
    for code in (43, 91, 136, 222, 234, 237, 11_601):
        await failing_get_more(either_faulty_watch.client, code)
        await goes_on(either_faulty_watch, running, code)


async def test_many_failures_in_a_row(either_faulty_watch: Watch, running: Reading) -> None:
    """Failures of polls and of openings, one after another: one line when it begins, one when it is over."""
    before = reopened("resume")
    with capture_logs() as logs:
        async with failing(either_faulty_watch.client, "getMore", "aggregate", times=5, errorCode=91):
            await goes_on(either_faulty_watch, running)
    lines = [line for line in logs if line["log_level"] != "debug"]
    assert [line["event"] for line in lines] == ["stream_interrupted", "stream_resumed"]
    assert (lines[0]["code"], lines[1]["attempts"]) == (91, 5)
    assert reopened("resume") == before + 1


async def test_an_unknown_error_is_visible(either_faulty_watch: Watch, running: Reading) -> None:
    """An error in no row is told with the server's own words."""
    with capture_logs() as logs:
        async with failing(either_faulty_watch.client, "getMore", errorCode=987_654):
            await goes_on(either_faulty_watch, running)
    assert "failCommand" in str(logs[0]["unknown_error"])


@pytest.mark.parametrize("command", ["getMore", "aggregate", "buildInfo"])
async def test_a_cut_connection(either_faulty_watch: Watch, running: Reading, command: str) -> None:
    """A connection that is cut in any of our commands is followed by going on."""
    await failing_get_more(either_faulty_watch.client, 43)
    async with failing(either_faulty_watch.client, command, times=2, closeConnection=True):
        await goes_on(either_faulty_watch, running)


async def test_a_network_that_is_cut(either_faulty_mongo: MongoService, either_faulty_watch: Watch) -> None:
    """Connections are reset under a waiting poll and refused for a while; then the stream goes on."""
    watch = either_faulty_watch
    async with (
        Proxy(either_faulty_mongo.port) as network,
        impatient_client(f"mongodb://127.0.0.1:{network.port}/?directConnection=true") as client,
    ):
        reading = await watch.reader(client=client)
        await watch.database.orders.insert_one({"_id": 0})
        await reading.events(1)
        recovered = recoveries()
        with capture_logs() as logs:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(reading.events, 2)
                await network.cut()
                await watch.database.orders.insert_many([{"_id": 1}, {"_id": 2}])
                with anyio.fail_after(HANG_SECS):
                    while not logs:  # noqa: ASYNC110 - a log line wakes nobody
                        await anyio.sleep(0.01)
                await network.mend()
        assert ids([slot.event for slot in reading.slots]) == [0, 1, 2]
        assert recoveries() == recovered + 1
        await reading.reader.close()


async def test_a_killed_cursor(either_faulty_watch: Watch, running: Reading) -> None:
    """An operator may kill the cursor; the reader opens another one, and leaves none behind."""
    (cursor,) = await open_cursors(either_faulty_watch.client)
    target = {"killCursors": "$cmd.aggregate", "cursors": [cursor["cursorId"]]}
    await either_faulty_watch.database.command(target)
    await goes_on(either_faulty_watch, running)
    assert len(await open_cursors(either_faulty_watch.client)) == 1


async def test_the_cursor_before_is_given_up(either_faulty_watch: Watch, running: Reading) -> None:
    """A failure may leave the cursor alive at the server; it is killed once another one is open."""
    (before,) = await open_cursors(either_faulty_watch.client)
    async with failing(either_faulty_watch.client, "getMore", errorCode=89):
        await goes_on(either_faulty_watch, running)
    (after,) = await open_cursors(either_faulty_watch.client)
    assert before["cursorId"] != after["cursorId"]


async def test_stepdown(
    either_faulty_mongo: MongoService, either_faulty_watch: Watch, running: Reading
) -> None:
    """A primary that steps down ends the stream; it goes on with the next primary."""
    await either_faulty_watch.client.admin.command(
        {"replSetStepDown": 1, "secondaryCatchUpPeriodSecs": 0, "force": True}
    )
    await anyio.to_thread.run_sync(either_faulty_mongo.wait_for_primary)
    await goes_on(either_faulty_watch, running)


@pytest.mark.parametrize("how", ["terminate", "kill"])
async def test_restarted_server(
    either_faulty_mongo: MongoService, either_faulty_watch: Watch, running: Reading, how: str
) -> None:
    """The server goes away under a waiting poll and comes back: the reader goes on by itself."""
    waiting = anyio.Event()

    async def read() -> None:
        waiting.set()
        assert ids(await running.events(2)) == [1, 2]

    with anyio.fail_after(HANG_SECS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await waiting.wait()
            await anyio.to_thread.run_sync(getattr(either_faulty_mongo, how))
            await anyio.to_thread.run_sync(either_faulty_mongo.restart)
            await either_faulty_watch.database.orders.insert_many([{"_id": 1}, {"_id": 2}])


async def test_a_server_that_falls_silent(
    either_faulty_mongo: MongoService, either_faulty_watch: Watch, running: Reading
) -> None:
    """A halted server keeps its connections open and answers nothing; the poll is given up all the same."""
    with capture_logs() as logs:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(running.events, 2)
            either_faulty_mongo.pause()
            try:
                with anyio.fail_after(HANG_SECS):
                    while not logs:  # noqa: ASYNC110 - a log line wakes nobody
                        await anyio.sleep(0.01)
            finally:
                either_faulty_mongo.resume()
            await either_faulty_watch.database.orders.insert_many([{"_id": 1}, {"_id": 2}])
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["stream_interrupted"]
    assert ids([slot.event for slot in running.slots]) == [0, 1, 2]


async def test_the_oldest_change_is_that_of_the_oplog(faulty_watch: Watch) -> None:
    """Who may not look at it is told what is missing; a fault that passes is one to wait for."""
    source = faulty_watch.source()
    entries = faulty_watch.client.local["oplog.rs"].find().sort("$natural", 1).limit(1)
    (first,) = [entry async for entry in entries]
    found = (await source.oldest()).cluster_time
    assert found is not None
    assert found.seconds == first["ts"].time
    async with failing(faulty_watch.client, "find", errorCode=13):
        with pytest.raises(ConfigurationError, match=r"Unauthorized \(13\).* find on local.oplog.rs"):
            await source.oldest()
    async with failing(faulty_watch.client, "find", times=2, errorCode=91):
        with pytest.raises(Unreachable, match="ShutdownInProgress"):
            await source.oldest()


async def test_history_that_is_gone() -> None:
    """The oplog has rolled over what comes after the position: that is told, and nothing is skipped."""
    with (
        MongoService.start(oplog_mb=1, extra_args=["--syncdelay", "1"], own=True) as small,
        MongoClient[Document](small.uri) as writer,
    ):
        async with Client(small.uri) as client, Watch(client, "shop") as watch:
            start = await watch.source().now()
            await watch.database.orders.insert_one({"_id": 1})
            await anyio.to_thread.run_sync(roll_over, writer)
            with pytest.raises(PositionLost, match="286"):
                await (await watch.reader(start)).batch()


def roll_over(client: MongoClient[Document]) -> None:
    """Write until the oldest entry of the oplog is another one."""

    def oldest() -> object:
        return next(client.local["oplog.rs"].find().sort("$natural", 1).limit(1))["ts"]

    first = oldest()
    while oldest() == first:
        client.filler.things.insert_many([{"pad": "x" * 200_000} for _ in range(20)])
