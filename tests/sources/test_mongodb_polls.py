"""How the server is asked: how much at once, how long to wait, whatever the URI says about timeouts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)
from structlog.testing import capture_logs

from eventbus.devservices import MongoService
from eventbus.telemetry.progress import Progress, reported
from tests.sources.faults import failing_get_more
from tests.sources.watching import Client, Document, Watch, ids

pytestmark = [pytest.mark.anyio, pytest.mark.services]


class Commands(CommandListener):
    """Keeps what was sent."""

    def __init__(self) -> None:
        self.sent: list[Document] = []

    def started(self, event: CommandStartedEvent) -> None:
        self.sent.append(dict(event.command))

    def succeeded(self, event: CommandSucceededEvent) -> None:
        pass

    def failed(self, event: CommandFailedEvent) -> None:
        pass

    def of(self, name: str, field: str) -> list[Any]:
        """The values of a field in all commands of a name."""
        return [command[field] for command in self.sent if name in command]


@asynccontextmanager
async def told(mongo: MongoService, **settings: Any) -> AsyncIterator[tuple[Client, Commands]]:
    """A client whose commands are kept."""
    commands = Commands()
    async with Client(mongo.uri, event_listeners=[commands], **settings) as client:
        yield client, commands


async def test_a_reader_that_waits_for_the_server_is_not_stuck(
    faulty_mongo: MongoService, faulty_watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so after a minute, which nobody waits for here; after an answer it is to be heard of again."""
    tasks = Progress(margin_secs=300.0)
    with tasks.heard(), reported("a reader of orders", ends=True):
        reading = await faulty_watch.reader()
        await reading.batch()
        now = anyio.current_time()
        assert tasks.missing(now + 300.0) == []
        assert tasks.missing(now + 10_000) == [f"a reader of orders has made no progress for {10_000:.0f} s"]
        faulty_mongo.pause()
        try:
            async with anyio.create_task_group() as polling:
                polling.start_soon(reading.reader.next)
                await anyio.wait_all_tasks_blocked()
                asked = anyio.current_time()
                assert reading.reader.trouble is None
                assert tasks.missing(asked + 10_000) == []
                with monkeypatch.context() as later:
                    later.setattr(anyio, "current_time", lambda: asked + 90.0)
                    assert "has not answered for 90 s" in str(reading.reader.trouble)
                polling.cancel_scope.cancel()
        finally:
            faulty_mongo.resume()
        assert reading.reader.trouble is None
    assert tasks.missing(anyio.current_time() + 10_000) == []


async def test_polls_are_short_under_load_and_longer_when_idle(mongo: MongoService, watch: Watch) -> None:
    """Waiting times double while nothing comes, and are short again when something does, in one session."""
    async with told(mongo) as (client, commands):
        reading = await watch.reader(client=client)
        for _ in range(2):
            assert not (await reading.batch()).slots
        await watch.database.orders.insert_one({"_id": 1})
        await reading.events(1)
        await watch.database.orders.insert_one({"_id": 2})
        await reading.events(1)
        assert commands.of("getMore", "maxTimeMS") == [500, 1000, 2000, 500]
        assert set(commands.of("getMore", "batchSize")) == {1000}
        assert [sent["batchSize"] for sent in commands.of("aggregate", "cursor")] == [0, 0]
        assert commands.of("aggregate", "comment") == ["eventbus test"] * 2
        sessions = [lsid["id"] for lsid in commands.of("getMore", "lsid")]
        assert set(sessions) == {commands.of("aggregate", "lsid")[-1]["id"]}
        await reading.reader.close()


async def test_an_idle_stream_is_asked_every_ten_seconds_at_last(mongo: MongoService, watch: Watch) -> None:
    """However often nothing came: sooner would cost, and later a position would get old."""
    async with told(mongo) as (client, commands):
        reading = await watch.reader(client=client)
        reading.reader.wait_at_most_ms = 1  # the test has no time for idle polls
        for _ in range(8):
            assert not (await reading.batch()).slots
        reading.reader.wait_at_most_ms = None
        await watch.database.orders.insert_one({"_id": 1})
        await reading.events(1)
        assert commands.of("getMore", "maxTimeMS") == [*8 * [1], 10_000]
        await reading.reader.close()


async def test_a_full_reply(watch: Watch) -> None:
    """More changes than fit into one reply come in as many as they need."""
    reading = await watch.reader()
    await watch.database.orders.insert_many([{"_id": i} for i in range(2500)])
    assert ids(await reading.events(2500)) == list(range(2500))


@pytest.mark.parametrize("settings", [{"socketTimeoutMS": 600}, {"timeoutMS": 600}], ids=str)
async def test_timeouts_of_the_uri(mongo: MongoService, watch: Watch, settings: Document) -> None:
    """Timeouts that users set for other commands neither end a waiting poll nor change its waiting time."""
    async with told(mongo, **settings) as (client, commands):
        reading = await watch.reader(client=client)
        with capture_logs() as logs:
            for _ in range(2):
                assert not (await reading.batch()).slots
        assert [line["event"] for line in logs] == ["stream_opened"]
        expected = [300, 300] if "socketTimeoutMS" in settings else [500, 1000]
        assert commands.of("getMore", "maxTimeMS") == expected
        await reading.reader.close()


async def test_a_failure_between_fragments(faulty_watch: Watch) -> None:
    """A change of which some fragments were read is read again whole."""
    watch = faulty_watch
    images: Document = {"full_document": "required", "before": "required"}
    await watch.database.create_collection("orders", changeStreamPreAndPostImages={"enabled": True})
    await watch.database.orders.insert_one({"_id": 1, "text": "a" * 6_000_000})
    reading = await watch.reader(**images)
    await watch.database.orders.update_one({"_id": 1}, {"$set": {"text": "b" * 6_000_000}})
    assert not (await reading.batch()).slots
    assert reading.reader._decoder.in_fragments
    await failing_get_more(watch.client, 43)
    assert ids(await reading.events(1)) == [1]
