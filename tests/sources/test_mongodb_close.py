"""The end of a reader: soon, from anywhere, and with nothing left behind, here and at the server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)

from eventbus.devservices import MongoService
from eventbus.errors import ConfigurationError
from tests.sources.faults import no_cursors, open_cursors
from tests.sources.watching import APP_NAME, HANG_SECS, Client, Document, Watch, ids

pytestmark = [pytest.mark.anyio, pytest.mark.services]


class Recorder(CommandListener):
    """Counts commands, and wakes who waits for one to be under way."""

    def __init__(self) -> None:
        self.started_names: list[str] = []
        self.ended_names: list[str] = []
        self.sessions: set[bytes] = set()
        self.polling = anyio.Event()

    def started(self, event: CommandStartedEvent) -> None:
        self.started_names.append(event.command_name)
        if event.command_name == "aggregate":
            self.sessions.add(bytes(event.command["lsid"]["id"]))
        if event.command_name == "getMore":
            self.polling.set()

    def succeeded(self, event: CommandSucceededEvent) -> None:
        self.ended_names.append(event.command_name)

    def failed(self, event: CommandFailedEvent) -> None:
        self.ended_names.append(event.command_name)

    @property
    def unanswered_polls(self) -> int:
        """Polls that the server has not answered."""
        return self.started_names.count("getMore") - self.ended_names.count("getMore")


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
async def recorded(faulty_mongo: MongoService, recorder: Recorder) -> AsyncIterator[Client]:
    """A client with so few connections that one which is not given back is missed."""
    async with Client(
        faulty_mongo.uri,
        appname=APP_NAME,
        maxPoolSize=2,
        event_listeners=[recorder],
        serverSelectionTimeoutMS=30_000,
    ) as client:
        yield client


async def test_close_while_idle(
    faulty_mongo: MongoService, faulty_watch: Watch, recorded: Client, recorder: Recorder
) -> None:
    """A waiting poll is given up sooner than the server answers it: one that began before waits still."""
    reading = await faulty_watch.reader(client=recorded)
    reading.reader._wait_ms = 5000  # as after some idle polls
    batches: list[object] = []

    async def read() -> None:
        batches.append(await reading.reader.next())

    with anyio.fail_after(HANG_SECS):
        async with anyio.create_task_group() as tasks, waiting_poll(faulty_mongo, faulty_watch) as other:
            tasks.start_soon(read)
            await recorder.polling.wait()
            await reading.reader.close()
            while not batches:
                await anyio.lowlevel.checkpoint()
            assert other.unanswered_polls == 1
    assert batches == [None]
    assert "killCursors" in recorder.started_names
    assert await reading.reader.next() is None
    await faulty_watch.database.orders.insert_one({})  # any write ends the waits at the server
    await no_cursors(faulty_watch.client)


@asynccontextmanager
async def waiting_poll(mongo: MongoService, watch: Watch) -> AsyncIterator[Recorder]:
    """Another reader's poll, which the server has been asked for and answers in some seconds."""
    recorder = Recorder()
    async with (
        Client(mongo.uri, event_listeners=[recorder]) as client,
        anyio.create_task_group() as tasks,
    ):
        reading = await watch.reader(client=client)
        reading.reader._wait_ms = 5000
        tasks.start_soon(reading.reader.next)
        await recorder.polling.wait()
        yield recorder
        await reading.reader.close()


async def test_close_between_polls(faulty_watch: Watch, recorder: Recorder, recorded: Client) -> None:
    """A reader that nobody waits in is closed just so, once."""
    reading = await faulty_watch.reader(client=recorded)
    await faulty_watch.database.orders.insert_one({"_id": 1})
    await reading.events(1)
    assert len(await open_cursors(faulty_watch.client)) == 1
    await reading.reader.close()
    killed = recorder.started_names.count("killCursors")
    await reading.reader.close()
    assert await open_cursors(faulty_watch.client) == []
    assert await reading.reader.next() is None
    assert recorder.started_names.count("killCursors") == killed


async def test_close_before_the_first_poll(watch: Watch) -> None:
    """A reader that was never used has nothing to give up."""
    reading = await watch.reader()
    await reading.reader.close()
    assert await reading.reader.next() is None


@pytest.mark.parametrize("at", ["opening", "polling"])
async def test_close_while_the_server_is_away(
    faulty_mongo: MongoService, faulty_watch: Watch, recorded: Client, at: str
) -> None:
    """A reader that waits for its server is closed without it: no timeout of the driver has to pass first."""
    reading = await faulty_watch.reader(client=recorded)
    if at == "polling":
        await faulty_watch.database.orders.insert_one({"_id": 1})
        await reading.events(1)
    await anyio.to_thread.run_sync(faulty_mongo.kill)
    try:
        with anyio.fail_after(20):  # the driver waits 30 s for a primary
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(reading.reader.next)
                await anyio.wait_all_tasks_blocked()
                await reading.reader.close()
    finally:
        await anyio.to_thread.run_sync(faulty_mongo.restart)


async def test_cancelled_polls_leave_nothing(
    faulty_watch: Watch, recorded: Client, recorder: Recorder
) -> None:
    """Cancelled from outside again and again: no cursor, connection or session is lost, and no change."""
    reading = await faulty_watch.reader(client=recorded)
    for _ in range(5):
        recorder.polling = anyio.Event()
        with anyio.fail_after(HANG_SECS):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(reading.reader.next)
                await recorder.polling.wait()
                tasks.cancel_scope.cancel()
    assert recorder.unanswered_polls == 5
    await no_cursors(faulty_watch.client)
    await faulty_watch.database.orders.insert_one({"_id": 1})
    assert ids(await reading.events(1)) == [1]
    await reading.reader.close()
    assert len(recorder.sessions) <= 2, "the driver did not get its sessions back, to use them again"


async def test_cancelled_openings_leave_nothing(
    faulty_mongo: MongoService, faulty_watch: Watch, recorded: Client, recorder: Recorder
) -> None:
    """A cursor whose number never arrived is given up with its session."""
    blocked = {
        "failCommands": ["aggregate"],
        "appName": APP_NAME,
        "blockConnection": True,
        "blockTimeMS": 500,
    }
    reading = await faulty_watch.reader(client=recorded)
    async with Client(faulty_mongo.uri) as observer:  # without the name that the fail point aims at
        await observer.admin.command(
            {"configureFailPoint": "failCommand", "mode": {"times": 1}, "data": blocked}
        )
        with anyio.fail_after(HANG_SECS):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(reading.reader.next)
                while not await openings(observer):
                    await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()
        assert "killSessions" in recorder.started_names
        await no_cursors(observer)


async def openings(client: Client) -> list[Document]:
    """Commands under way at the server that open a cursor of ours."""
    pipeline: list[Document] = [
        {"$currentOp": {"allUsers": True}},
        {
            "$match": {
                "active": True,
                "command.comment": "eventbus test",
                "command.aggregate": {"$exists": True},
            }
        },
    ]
    return [entry async for entry in await client.admin.aggregate(pipeline)]


async def test_a_reader_that_failed_leaves_nothing(watch: Watch) -> None:
    """A reader that ends with an error has given everything up by then."""
    reading = await watch.reader(pipeline=[{"$unset": "ns"}])
    await watch.database.orders.insert_one({"_id": 1})
    with pytest.raises(ConfigurationError):
        await reading.events(1)
    await no_cursors(watch.client)
