"""The demo tells when something is wrong: here things go wrong for real, beside a running daemon."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio
import pytest
from redis.asyncio import Redis

from eventbus.demo.play import Ending, Play
from eventbus.demo.servers import Servers
from eventbus.devservices import MongoService, RedisService
from tests.demo.processes import started_with

pytestmark = [pytest.mark.anyio, pytest.mark.services]


@pytest.fixture
async def servers(
    mongo: MongoService, redis_service: RedisService, fresh_database: str
) -> AsyncIterator[Servers]:
    servers = Servers(mongo, redis_service, None, fresh_database)
    yield servers
    async with Redis.from_url(redis_service.url) as redis:
        await redis.delete(servers.stream)


Saboteur = Callable[[anyio.Event], Coroutine[Any, Any, None]]
"""What goes wrong while a demo runs; told by the event when that is over."""


async def played_beside(saboteur: Saboteur, play: Play) -> Ending:
    over = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(saboteur, over)
        ending = await play.run()
        over.set()
    return ending


def file_of(servers: Servers, directory: Path) -> Path:
    return directory / f"{servers.name}.jsonl"


async def reached(file: Path, size: int) -> None:
    """Wait for a file to grow; it wakes nobody."""
    path = anyio.Path(file)
    with anyio.fail_after(60):
        while not await path.exists() or (await path.stat()).st_size < size:  # noqa: ASYNC110 - see above
            await anyio.sleep(0.01)


async def test_what_disappears_in_a_target_is_counted_as_lost(
    servers: Servers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def trim(over: anyio.Event) -> None:
        await reached(file_of(servers, tmp_path), 10_000)
        async with Redis.from_url(servers.redis.url) as redis:
            while not over.is_set():
                await redis.xtrim(servers.stream, maxlen=0)
                await anyio.sleep(0.005)

    play = Play(servers, tmp_path, seconds=2, rate=200, patience_secs=1)

    assert await played_beside(trim, play) is Ending.FAILED

    said = capsys.readouterr()
    last = said.out.splitlines()[-1]
    numbers = dict(part.split("=") for part in last.split()[1:])
    assert int(numbers["lost"]) == int(numbers["committed"]) - int(numbers["redis"]) > 0
    assert numbers["file"] == numbers["webhook"] == numbers["committed"]
    assert numbers["kafka"] == "off"
    assert "redis: " in said.err
    assert f"Kept for a look: {tmp_path}" in said.err


async def test_what_somebody_else_adds_to_a_target_is_noticed(
    servers: Servers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def copy(_over: anyio.Event) -> None:
        await reached(file_of(servers, tmp_path), 10_000)
        async with Redis.from_url(servers.redis.url) as redis:
            first: Any = None
            while not first:
                first = await redis.xrange(servers.stream, count=1)
            await redis.xadd(servers.stream, first[0][1])

    assert await played_beside(copy, Play(servers, tmp_path, seconds=2, rate=200)) is Ending.COMPLETE

    said = capsys.readouterr()
    assert said.out.splitlines()[-1].endswith("lost=0 duplicated=1")
    assert "redis: 1 duplicated" in said.err


async def test_a_daemon_that_is_killed_ends_the_demo_with_its_last_words(
    servers: Servers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def kill(_over: anyio.Event) -> None:
        await reached(file_of(servers, tmp_path), 10_000)
        (pid,) = started_with("DEMO_FILE", str(file_of(servers, tmp_path)))
        os.kill(pid, signal.SIGKILL)

    assert await played_beside(kill, Play(servers, tmp_path, seconds=None, rate=200)) is Ending.FAILED

    said = capsys.readouterr()
    assert "The daemon ended by itself, with -9" in said.err
    assert "subscription_started" in said.err
    assert said.out.splitlines()[-1].startswith("demo: committed=")


async def test_a_daemon_that_ends_before_it_is_ready_ends_the_demo(
    servers: Servers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def kill(_over: anyio.Event) -> None:
        while not (pids := started_with("DEMO_FILE", str(file_of(servers, tmp_path)))):  # noqa: ASYNC110 - /proc
            await anyio.sleep(0.001)
        os.kill(pids[0], signal.SIGKILL)

    assert await played_beside(kill, Play(servers, tmp_path, seconds=1, rate=200)) is Ending.FAILED

    said = capsys.readouterr()
    assert "The daemon ended by itself, with -9" in said.err
    assert "demo: " not in said.out
