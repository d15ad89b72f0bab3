"""A daemon is alive while each of its tasks makes progress, and ready while no critical route lacks anything.

Virtual time, since no test waits for an hour; and fakes, since no driver can be made to hang on demand.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

import anyio
import pytest

from eventbus.errors import LeaseLost
from eventbus.model import Batch, Position
from eventbus.runtime.retention import keep_purging
from eventbus.runtime.saver import Saver
from eventbus.runtime.status import SubscriptionStatus, status_of
from eventbus.runtime.supervisor import Supervisor
from eventbus.sdk import Reader
from eventbus.state.store import LetterStore
from eventbus.telemetry import progress
from eventbus.telemetry.progress import Progress
from tests.runtime.clock import run_virtual
from tests.runtime.history import Pace
from tests.runtime.scenes import changes, load, route, running
from tests.runtime.target import Trouble
from tests.runtime.world import Life, World, WorldPlan

MARGIN_SECS = 300.0
HOUR = 3600.0
DOWN = Trouble("unavailable", start=10.0, end=HOUR)


class Freezing:
    """A reader that is never heard of again from some moment on, as behind a lock that nobody gives back."""

    def __init__(self, reader: Reader, since_secs: float) -> None:
        self._reader = reader
        self._since_secs = since_secs
        self.trouble = None

    async def next(self) -> Batch | None:
        """See `eventbus.sdk.Reader`."""
        progress.expected(5.0)
        if anyio.current_time() >= self._since_secs:
            await anyio.sleep_forever()
        return await self._reader.next()

    async def close(self) -> None:
        """See `eventbus.sdk.Reader`."""
        await self._reader.close()


def _watched(world: World, scene: Callable[[Progress], Awaitable[None]]) -> dict[float, list[str]]:
    """Play a scene, and see once in ten seconds who is missing; by moment, where it is anybody."""
    found: dict[float, list[str]] = {}
    tasks = Progress(margin_secs=MARGIN_SECS)

    async def whole() -> None:
        with tasks.heard():
            async with anyio.create_task_group() as looking:
                looking.start_soon(_look)
                await scene(tasks)
                looking.cancel_scope.cancel()

    async def _look() -> None:
        while True:
            await anyio.sleep(10.0)
            if missing := tasks.missing(anyio.current_time()):
                found[anyio.current_time()] = missing

    world.play(whole, within_secs=3 * HOUR)
    return found


def _freeze(world: World, monkeypatch: pytest.MonkeyPatch, since_secs: float) -> None:
    open_reader = world.source.reader

    def reader(start: Position) -> Any:
        return Freezing(open_reader(start), since_secs)

    monkeypatch.setattr(world.source, "reader", reader)


def test_an_idle_stream_is_healthy_for_long_while_its_position_moves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Silence of the source is no silence of its reader."""
    world = World([route("feed")], WorldPlan(pace=Pace(idle_secs=5.0)))
    _freeze(world, monkeypatch, since_secs=100 * HOUR)

    async def scene(_tasks: Progress) -> None:
        life = await running(world)
        before = world.stored("feed")
        await anyio.sleep(HOUR)
        after = world.stored("feed")
        assert before.cluster_time is not None
        assert after.cluster_time is not None
        assert after.cluster_time.seconds - before.cluster_time.seconds > HOUR - 60
        status = status_of(life.subscription.spec, life.subscription, None, {})
        assert status.is_ready, status
        await life.stop()

    assert _watched(world, scene) == {}


def test_a_reader_that_stands_still_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """No sooner than the margin allows, and not for ever: its end ends the alarm."""
    world = World([route("feed")])
    _freeze(world, monkeypatch, since_secs=60.0)

    async def scene(_tasks: Progress) -> None:
        life = await running(world)
        await anyio.sleep_until(60.0 + 2 * MARGIN_SECS)
        await life.stop()
        await anyio.sleep(20.0)

    found = _watched(world, scene)
    assert min(found) > 60.0 + MARGIN_SECS
    assert min(found) < 60.0 + MARGIN_SECS + 20.0
    assert max(found) <= 60.0 + 2 * MARGIN_SECS + 6.0
    assert {len(missing) for missing in found.values()} == {1}
    assert "a reader of orders has made no progress for" in found[min(found)][0]


@pytest.mark.parametrize("others", [(), ("idle",)])
def test_who_waits_for_a_sink_or_an_operator_is_not_stuck(
    others: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An open circuit and a pause, for an hour and with a full window; alone, nobody has it detached."""
    world = World([route("down", DOWN, window=8), *(route(name, window=8) for name in others)])
    _freeze(world, monkeypatch, since_secs=100 * HOUR)

    async def scene(_tasks: Progress) -> None:
        life = await running(world)
        await load(world, until=12.0, per_sec=5)
        for name in others:
            world.pause(name)
        await load(world, until=20.0, per_sec=5)
        await anyio.sleep(HOUR)
        for name in others:
            world.resume(name)
        await world.all_passed()
        await life.stop()

    assert _watched(world, scene) == {}


@pytest.mark.parametrize("how", ["ended", "cancelled", "failed"])
def test_a_task_that_has_ended_by_itself_is_named(how: str) -> None:
    """Who was cancelled, or failed and so ended others, is missed by nobody."""
    tasks = Progress(margin_secs=MARGIN_SECS)

    async def task() -> None:
        with progress.reported("the saver"):
            progress.expected(1.0)
            if how == "failed":
                raise RuntimeError
            if how == "cancelled":
                await anyio.sleep_forever()

    async def whole() -> list[str]:
        with tasks.heard(), anyio.move_on_after(5.0), suppress(RuntimeError):
            await task()
        return tasks.missing(anyio.current_time())

    assert run_virtual(whole) == (["the saver has ended"] if how == "ended" else [])


class Silent:
    """A store that never answers any question; real ones are bounded in time, and so is nobody's patience."""

    async def save(self, *_args: Any, **_how: Any) -> Any:
        """Never."""
        await anyio.sleep_forever()

    controls = purge_letters = save


def test_each_lasting_task_is_missed_when_it_stands_still() -> None:
    """The saver alone bounds its waits itself, so that it goes on without the store."""
    world = World([route("feed")])
    tasks = Progress(margin_secs=MARGIN_SECS)

    async def whole() -> list[str]:
        life = Life(world, 0, "a daemon", reclaim=True, routes=["feed"])
        store = cast(Any, Silent())
        supervisor = Supervisor([life.subscription.spec], life.store, Saver(store), lease_secs=15.0)
        headroom, controls = supervisor._headroom, supervisor._controls
        world.source.oldest = store.save  # type: ignore[method-assign]  # it never answers
        supervisor._seats["orders"].life = life.subscription
        life.subscription.state = "running"
        controls._store = store
        with tasks.heard():
            async with anyio.create_task_group() as group:
                group.start_soon(keep_purging, cast(LetterStore, store))
                group.start_soon(controls.run)
                group.start_soon(headroom.run)
                group.start_soon(supervisor._saver.run)
                with controls.obeyed("orders", lambda _: None):
                    await anyio.sleep(2 * MARGIN_SECS)
                    found = tasks.missing(anyio.current_time())
                group.cancel_scope.cancel()
        assert tasks.missing(anyio.current_time()) == []
        return [said.partition(" has ")[0] for said in found]

    assert sorted(run_virtual(whole)) == [
        "the look at the headroom",
        "the look at what operators want",
        "the removal of dead letters that have expired",
    ]


@pytest.mark.parametrize(("fault", "is_ready_soon"), [(RuntimeError("a bug"), False), (LeaseLost("x"), True)])
def test_a_subscription_that_crashes_is_never_ready(
    fault: Exception, is_ready_soon: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor in between, in the moments in which its next life seems to run; one that only lost its lease is."""
    world = World([route("feed")])
    open_reader = world.source.reader
    bugs = [fault] * 6

    async def fail() -> None:
        await anyio.sleep(2.0)
        raise bugs.pop()

    def reader(start: Position) -> Any:
        made = open_reader(start)
        if bugs:
            monkeypatch.setattr(made, "next", fail)
        return made

    monkeypatch.setattr(world.source, "reader", reader)
    seen: list[tuple[float, SubscriptionStatus]] = []

    async def whole() -> None:
        life = Life(world, 0, "a daemon", reclaim=True, routes=["feed"])
        saver = Saver(life.store)
        supervisor = Supervisor([life.subscription.spec], life.store, saver, lease_secs=15.0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(supervisor.run)
            while not (not bugs and seen[-1][1].is_ready):
                await anyio.sleep(0.1)
                seen.append((anyio.current_time(), supervisor.statuses()[0]))
            supervisor.stop()

    run_virtual(whole)
    first = next(at for at, status in seen if status.state == "crashed")
    later = [(at, status) for at, status in seen if at >= first]
    assert not any(status.is_ready for _, status in later if status.state == "crashed")
    assert len({status.state for _, status in later}) > 1
    ready = [at for at, status in later if status.is_ready]
    since = max(at for at, status in later if status.state == "crashed")
    if is_ready_soon:
        assert len(ready) > 1
    else:
        assert ready == [max(at for at, _ in later)]
        assert ready[0] - since > 9.0
        assert any("crashed a moment ago: RuntimeError: a bug" in str(status.problems) for _, status in later)


@pytest.mark.parametrize("is_critical", [True, False])
def test_a_route_that_is_not_critical_makes_nothing_unready(is_critical: bool) -> None:
    """Its trouble is told all the same, with its reason: an open circuit, and a sink not there yet."""
    world = World([route("late", Trouble("closed", end=HOUR)), route("down", DOWN)])
    seen: list[SubscriptionStatus] = []

    async def scene() -> None:
        life = await running(world)
        spec = life.subscription.spec
        routes = {name: replace(made, is_critical=is_critical) for name, made in spec.routes.items()}

        def look() -> None:
            seen.append(status_of(replace(spec, routes=routes), life.subscription, None, {}))

        await anyio.sleep_until(11.0)
        changes(world, "abcdef", 3)
        await anyio.sleep(20.0)
        look()
        await anyio.sleep(60.0)
        look()

    world.play(scene)
    told = [status.problems if is_critical else status.tolerated for status in seen]
    other = [status.tolerated if is_critical else status.problems for status in seen]
    assert [status.is_ready for status in seen] == [not is_critical] * 2
    assert other == [[], []]
    assert [said.split(":")[0] for said in told[0]] == ["route late"]
    assert [said.split(":")[0] for said in told[1]] == ["route late", "route down"]
    assert "its circuit is open" in told[1][1]
    assert "down" in seen[0].circuits


def test_a_route_that_an_operator_paused_is_ready() -> None:
    """It does what it is told."""
    world = World([route("feed", Trouble("unavailable", start=1.0, end=HOUR))])

    async def scene() -> None:
        life = await running(world)
        await load(world, until=5.0, per_sec=5)
        world.pause("feed", "the receiver moves")
        await anyio.sleep(60.0)
        status = status_of(life.subscription.spec, life.subscription, None, {})
        assert status.is_ready
        assert status.paused == {"feed": "the receiver moves"}

    world.play(scene)
