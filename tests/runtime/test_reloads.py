"""A subscription is begun anew by a reload: whatever it does then, nothing is lost or comes twice.

What a reload does to it is a drain that keeps the lease, and a next life that takes the lease over at once.
The world's account breaks where an event comes again after a drain.
"""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from eventbus.runtime.saver import Saver
from eventbus.runtime.subscription import Subscription, SubscriptionSpec
from eventbus.runtime.supervisor import Supervisor
from eventbus.sdk import SnapshotMode
from eventbus.state.operations import OperationStatus
from tests.runtime.clock import run_virtual
from tests.runtime.history import Fate, Pace
from tests.runtime.scenes import changes, delivered, documents, load, route, running, started
from tests.runtime.target import Trouble
from tests.runtime.test_exactly_once import once
from tests.runtime.world import Life, World, WorldPlan

PACE = Pace(batch=20)
KEYS = [f"doc-{number:03}" for number in range(100)]


async def _reloaded(world: World, life: Life, *, after_secs: float = 0.0) -> Life:
    """The next life, after a drain that kept the lease where there was one, and a wait for other drains."""
    life.subscription.stop(keeps_lease=True)
    await life.over.wait()
    await anyio.sleep(after_secs)
    return world.begin(reclaim=life.subscription.kept_lease is not None)


def test_the_lease_is_kept_over_any_number_of_reloads() -> None:
    """Another daemon that stands by all the time never gets it, and nothing comes twice."""
    world = World([route("one"), route("other", secs=0.05)], WorldPlan(pace=PACE))

    async def scene() -> None:
        life = await running(world)
        heir = world.begin(instance="another", reclaim=False)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_load, world, 30.0)
            for _ in range(5):
                await anyio.sleep(1.3)
                life = await _reloaded(world, life, after_secs=4.0)
                await started(world, life)
                assert heir.subscription.state == "standby"
        await world.all_passed()
        await life.stop()
        await started(world, heir)
        await heir.stop()

    world.play(scene)
    assert sorted(event.token for event in delivered(world, "one")) == world.history.tokens


def test_a_stop_during_the_drain_gives_the_lease_back() -> None:
    """The last word counts: another daemon has it at once, not only when it would have run out."""
    world = World([route("slow", secs=2.0)], WorldPlan(pace=PACE))

    async def scene() -> None:
        life = await running(world)
        changes(world, "a")
        heir = world.begin(instance="another", reclaim=False)
        await anyio.sleep(1.0)
        life.subscription.stop(keeps_lease=True)
        await anyio.sleep(0.1)
        assert life.subscription.state == "draining"
        await life.stop()
        assert life.subscription.kept_lease is None
        over_at = anyio.current_time()
        await started(world, heir)
        assert anyio.current_time() - over_at < 5.0
        await world.all_passed()
        await heir.stop()

    world.play(scene)


def test_a_subscription_that_stands_by_takes_nothing_from_who_runs_it() -> None:
    """It had no lease, so the next life stands by too, and takes over when it may."""
    world = World([route("one")], WorldPlan(pace=PACE))

    async def scene() -> None:
        owner = await running(world, instance="another")
        life = world.begin(reclaim=False)
        await world.until(lambda: life.subscription.state == "standby")
        for _ in range(3):
            life = await _reloaded(world, life)
            await world.until(lambda life=life: life.subscription.state == "standby")  # type: ignore[misc]
        changes(world, "abc", 5)
        await world.all_passed()
        await owner.stop()
        await started(world, life)
        changes(world, "abc", 5)
        await world.all_passed()
        await life.stop()

    world.play(scene)


def test_a_snapshot_goes_on() -> None:
    """Every document that was there arrives once, beside the changes."""
    world = World([route("live", window=16)], WorldPlan(pace=PACE, snapshot=SnapshotMode.INITIAL))
    world.history.documents = dict.fromkeys(KEYS, Fate.DELIVER)

    async def scene() -> None:
        life = await running(world)
        for share in (20, 40, 60):
            await world.until(lambda share=share: len(documents(world, "live")) >= share)  # type: ignore[misc]
            changes(world, "abc")
            life = await _reloaded(world, life)
            await started(world, life)
        await world.until(lambda: len(documents(world, "live")) >= len(KEYS))
        await world.until(lambda: life.subscription.routes["live"].snapshot is None)
        await world.all_passed()
        await life.stop()

    world.play(scene)
    assert documents(world, "live") == sorted(KEYS)


def test_a_replay_goes_on() -> None:
    """To its end, with each event of its stretch once."""
    world = World([route("live", secs=0.05)], WorldPlan(pace=PACE))

    async def scene() -> None:
        life = await running(world)
        await load(world, until=10.0, per_sec=20)
        await world.all_passed()
        events = world.history.events
        name = world.replay("live", events[19].position, events[149].position)
        for goal in (20, 50, 80):
            await world.until(lambda goal=goal: len(delivered(world, name)) >= goal)  # type: ignore[misc]
            assert not world.operation(name).status.is_over
            life = await _reloaded(world, life)
            await started(world, life)
        await world.until(lambda: world.operation(name).status.is_over)
        await life.stop()
        assert world.operation(name).status is OperationStatus.DONE
        replayed = sorted(event.token for event in delivered(world, name))
        assert replayed == [event.token for event in events[20:150]]

    world.play(scene)


def test_exactly_once_stays_exactly_once() -> None:
    """Also where its target is away in the middle of it."""
    world = World([once("once", Trouble("unavailable", 4.0, 6.0))], WorldPlan(pace=PACE))

    async def scene() -> None:
        life = await running(world)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_load, world, 10.0)
            for _ in range(8):
                await anyio.sleep(1.1)
                life = await _reloaded(world, life)
        await world.all_passed()
        await life.stop()

    world.play(scene)
    assert [event.token for event in delivered(world, "once")] == world.history.tokens


def test_a_sink_that_is_down_holds_no_reload_up() -> None:
    """What is open for it comes after the reload; it is not waited for."""
    world = World([route("down", Trouble("unavailable", 1.0, 60.0)), route("up")], WorldPlan(pace=PACE))

    async def scene() -> None:
        life = await running(world)
        await anyio.sleep(2.0)
        changes(world, "abc", 5)
        await world.until(lambda: life.subscription.routes["down"].circuit_reason)
        asked_at = anyio.current_time()
        life = await _reloaded(world, life)
        assert anyio.current_time() - asked_at < 2.0
        await world.all_passed()
        await life.stop()

    world.play(scene)


async def _load(world: World, until: float) -> None:
    await load(world, until=until, per_sec=20)


class Staged:
    """Lives of subscriptions that do nothing but what a test says, by name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun: list[tuple[str, float]] = []
        self.failing: set[str] = set()
        staged = self

        async def run(self: Subscription) -> None:
            staged.begun.append((self.spec.name, anyio.current_time()))
            if self.spec.name in staged.failing:
                raise RuntimeError("as the test wants it")
            self.state = "running"
            await self._stopping.wait()

        monkeypatch.setattr(Subscription, "run", run)

    def times(self, name: str) -> list[float]:
        """When lives of a subscription began."""
        return [at for began, at in self.begun if began == name]


def test_one_that_crashes_again_and_again_begins_at_once_with_what_was_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever backoff it is in; and the other one is never touched."""
    staged = Staged(monkeypatch)
    staged.failing = {"bad"}
    world = World([route("one")])

    async def whole() -> None:
        life = Life(world, 0, "a daemon", reclaim=True, routes=["one"])
        good, bad = (_named(life, name) for name in ("good", "bad"))
        supervisor = Supervisor([good, bad], life.store, Saver(life.store), lease_secs=15.0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(supervisor.run)
            await anyio.sleep(60.0)
            assert len(staged.times("bad")) > 2
            before = {status.name: status.state for status in supervisor.statuses()}
            assert before == {"good": "running", "bad": "crashed"}
            async with supervisor.changing():
                await supervisor.end("bad")
                staged.failing = set()
                await supervisor.replace(bad)
            await anyio.sleep(0.01)
            assert staged.times("bad")[-1] == 60.0
            assert [status.state for status in supervisor.statuses()] == ["running", "running"]
            assert len(staged.times("good")) == 1
            supervisor.stop()
        assert anyio.current_time() < 61.0

    run_virtual(whole, within_secs=3600.0)


def test_a_daemon_goes_on_while_its_only_subscription_is_between_two_lives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And one that is asked to stop meanwhile begins nothing any more."""
    staged = Staged(monkeypatch)
    world = World([route("one")])

    async def whole() -> None:
        life = Life(world, 0, "a daemon", reclaim=True, routes=["one"])
        only = _named(life, "only")
        supervisor = Supervisor([only], life.store, Saver(life.store), lease_secs=15.0)
        over = anyio.Event()

        async def run() -> None:
            await supervisor.run()
            over.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await anyio.sleep(1.0)
            async with supervisor.changing():
                await supervisor.end("only")
                await anyio.sleep(5.0)
                assert not over.is_set()
                await supervisor.replace(only)
                supervisor.add(_named(life, "added"))
            await anyio.sleep(1.0)
            async with supervisor.changing():
                await supervisor.end("added")
                await supervisor.remove("added")
            assert [status.name for status in supervisor.statuses()] == ["only"]
            async with supervisor.changing():
                await supervisor.end("only")
                supervisor.stop()
                await supervisor.replace(only)
                supervisor.add(_named(life, "late"))
            await over.wait()

    run_virtual(whole)
    assert [name for name, _ in staged.begun] == ["only", "only", "added"]


def _named(life: Life, name: str) -> SubscriptionSpec:
    return replace(life.subscription.spec, name=name)
