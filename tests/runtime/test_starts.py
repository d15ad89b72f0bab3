"""Where routes begin, and how many readers a start takes."""

from __future__ import annotations

import anyio
import pytest

from eventbus.model import ClusterTime
from eventbus.runtime.start import RouteStart
from tests.runtime.history import FIRST_SECOND, Pace
from tests.runtime.scenes import changes, delivered, load, readers, route, running
from tests.runtime.target import Trouble
from tests.runtime.world import RoutePlan, World, WorldPlan

PACE = Pace(batch=50)


def test_six_routes_that_stopped_a_few_events_apart_need_one_reader() -> None:
    """It opens at the lowest of their positions, and each skips what it had."""
    world = World([route(f"r{n}", secs=0.01 * (n + 1)) for n in range(6)], WorldPlan(pace=PACE))

    async def scene() -> None:
        life = await running(world)
        await load(world, until=3.0, per_sec=50)
        await life.crash()
        opened = len(world.source.readers)
        life = await running(world)
        await world.all_passed()
        await life.stop()
        assert len(world.source.readers) == opened + 1
        assert world.source.readers[-1].start == min(
            (world.source.readers[-1].start, *(world.stored(f"r{n}") for n in range(6))),
            key=lambda p: p.token,
        )

    world.play(scene)


@pytest.mark.parametrize(("opens_for", "least"), [(0.9, 1), (1.5, 2)])
def test_a_sink_that_needs_a_moment_to_open_does_not_need_a_reader_of_its_own(
    opens_for: float, least: int
) -> None:
    """It is waited for, but no longer than that: the others are not held up by one that hangs."""
    late = route("late", Trouble("slow_to_open", secs=opens_for), window=16, lanes=1, max_batch=16)
    world = World([late, route("prompt", max_batch=16)], WorldPlan(pace=PACE))

    async def scene() -> None:
        life = await running(world)
        begun = anyio.current_time()
        changes(world, "abcdefgh", 50)
        await world.until(lambda: len(delivered(world, "prompt")) == len(world.history.events))
        assert anyio.current_time() - begun < 2.0
        await world.all_passed()
        await life.stop()

    world.play(scene)
    assert world.source.most_readers == least


def test_after_a_crash_a_route_far_behind_does_not_hold_the_others_back() -> None:
    """The main flow opens where the most advanced stood; the other has its own reader until it merges."""
    world = World(
        [route("behind", Trouble("hanging", end=61.0), window=16), route("well")], WorldPlan(pace=PACE)
    )

    async def scene() -> None:
        life = await running(world)
        await load(world, until=60.0, per_sec=20)
        await life.crash()
        well = world.stored("well")
        seen = len(delivered(world, "well"))
        life = await running(world)
        started = [reader.start.token for reader in world.source.readers[-2:]]
        assert max(started) == well.token
        assert min(started) == world.stored("behind").token
        await world.all_passed()
        await world.until(lambda: readers(world) == 1)
        await life.stop()
        assert len(delivered(world, "well")) - seen <= 30

    world.play(scene)


def _added(start: RouteStart) -> tuple[World, RoutePlan]:
    plan = route("added")
    added = RoutePlan(plan.name, plan.target, plan.policy, start)
    return World([route("old"), added], WorldPlan(pace=PACE)), added


@pytest.mark.parametrize("at", ["now", "oldest", "subscription", "time", "token"])
def test_a_route_that_is_added_begins_where_it_is_told(at: str) -> None:
    """At each kind of place; never twice, never with a gap."""
    start = RouteStart("now" if at == "token" else at, ClusterTime(FIRST_SECOND + 10, 0))  # type: ignore[arg-type]
    world, added = _added(start)

    async def scene() -> None:
        life = await running(world, routes=["old"])
        await load(world, until=20.0, per_sec=10)
        await life.stop()
        world.source.forgotten = world.history.tokens[29]
        while_down = changes(world, "abcdef")
        if at == "token":
            token = world.history.tokens[50]
            world.routes["added"] = RoutePlan(
                "added", added.target, added.policy, RouteStart("token", token=token)
            )
        life = await running(world)
        later = changes(world, "abc")
        await world.all_passed()
        await life.stop()
        expected = {
            "now": later,
            "oldest": world.history.events[30:],
            "subscription": [*while_down, *later],
            "time": [
                e for e in world.history.events if e.cluster_time and e.cluster_time >= (FIRST_SECOND + 10, 0)
            ],
            "token": world.history.events[51:],
        }[at]
        assert sorted(event.token for event in delivered(world, "added")) == [
            event.token for event in expected
        ]

    world.play(scene)


def test_a_drain_in_the_middle_of_a_catch_up_forgets_nothing() -> None:
    """Every second the daemon is stopped and started anew while one route is behind."""
    world = World(
        [route("behind", Trouble("hanging", end=10.0), window=16, secs=0.05), route("well")],
        WorldPlan(pace=PACE),
    )

    async def scene() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: load(world, until=40.0, per_sec=50))
            for _ in range(20):
                life = await running(world)
                await anyio.sleep(1.0)
                await life.stop()
            life = await running(world)
            await anyio.sleep_until(41.0)
        await world.all_passed()
        await life.stop()

    world.play(scene)


def test_the_main_flow_is_the_most_advanced_after_it_ended() -> None:
    """Two routes catch up when the only one at the head is paused: the nearer of them leads from then on."""
    far = route("far", Trouble("hanging", end=100.0), window=16, secs=0.3, lanes=1)
    near = route("near", Trouble("hanging", start=80.0, end=100.0), window=16, secs=0.3, lanes=1)
    world = World([far, near, route("head")], WorldPlan(pace=Pace(batch=5)))

    async def scene() -> None:
        life = await running(world)
        await load(world, until=102.0, per_sec=10)
        routes = life.subscription.routes
        await world.until(lambda: routes["far"].flow is not None and routes["near"].flow is not None)
        world.pause("head")
        await world.until(lambda: routes["head"].flow is None)
        assert routes["far"].flow is not routes["near"].flow
        assert life.subscription._feeding._arrangement.main is routes["near"].flow
        world.resume("head")
        await world.all_passed()
        await life.stop()

    world.play(scene)
