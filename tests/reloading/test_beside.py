"""Reloads that go on though whoever asked has gone."""

from __future__ import annotations

import anyio
import pytest

from eventbus.reloading.beside import ReloadsBeside
from eventbus.reloading.outcome import ReloadOutcome

pytestmark = pytest.mark.anyio


class Slow:
    """A daemon whose reloads end when they are let."""

    def __init__(self) -> None:
        self.begun = 0
        self.ended = 0
        self.let = anyio.Event()

    async def reload(self) -> ReloadOutcome:
        """See `eventbus.reloading.outcome.Reloads`."""
        self.begun += 1
        await self.let.wait()
        self.ended += 1
        return ReloadOutcome("applied", restarted=[str(self.ended)])


async def test_who_stops_waiting_ends_no_reload() -> None:
    """It has drained something by then, and must begin it anew."""
    daemon = Slow()
    beside = ReloadsBeside(daemon.reload)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(beside.run)
        async with anyio.create_task_group() as waiting:
            waiting.start_soon(beside.reload)
            await anyio.wait_all_tasks_blocked()
            waiting.cancel_scope.cancel()
        assert (daemon.begun, daemon.ended) == (1, 0)
        daemon.let.set()
        await anyio.wait_all_tasks_blocked()
        assert daemon.ended == 1
        tasks.cancel_scope.cancel()


async def test_what_is_asked_for_meanwhile_is_one_more_reload() -> None:
    """The files may have changed since the first one read them; all who asked hear of the second."""
    daemon = Slow()
    beside = ReloadsBeside(daemon.reload)
    heard: list[str] = []

    async def ask() -> None:
        heard.extend((await beside.reload()).restarted)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(beside.run)
        for _ in range(3):
            tasks.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
        daemon.let.set()
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert heard == ["1", "2", "2"]


async def test_who_waits_when_the_daemon_ends_is_told_so() -> None:
    """Those whose reload was broken off, those who came after them, and those who come later."""
    daemon = Slow()
    beside = ReloadsBeside(daemon.reload)
    heard: list[str] = []

    async def ask() -> None:
        heard.append((await beside.reload()).result)

    async with anyio.create_task_group() as tasks:
        async with anyio.create_task_group() as running:
            running.start_soon(beside.run)
            for _ in range(2):
                tasks.start_soon(ask)
                await anyio.wait_all_tasks_blocked()
            running.cancel_scope.cancel()
        tasks.start_soon(ask)
    assert heard == ["refused"] * 3


async def test_what_nobody_waits_for_is_done_once_it_runs() -> None:
    """A signal may come while the daemon starts; several are one reload."""
    daemon = Slow()
    daemon.let.set()
    beside = ReloadsBeside(daemon.reload)
    beside.ask()
    beside.ask()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(beside.run)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert daemon.ended == 1
