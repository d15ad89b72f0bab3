"""A slow, broken or hanging route costs the others nothing but a moment, and comes back by itself."""

from __future__ import annotations

import anyio
import pytest

from eventbus.runtime.arrangement import CatchUpPolicy
from tests.runtime.history import Pace
from tests.runtime.scenes import delivered, lateness, load, readers, route, running
from tests.runtime.target import Trouble
from tests.runtime.world import World, WorldPlan

ISOLATE_AFTER = CatchUpPolicy().isolate_after_secs
PACE = Pace(batch=50, poll_secs=0.01)


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble("hanging", start=3.0, end=25.0),
        Trouble("unavailable", start=3.0, end=25.0),
        Trouble("slow", start=3.0, end=25.0, secs=2.0),
        Trouble("failing", start=3.0, end=25.0),
        Trouble("unauthorised", start=3.0, end=25.0),
    ],
    ids=lambda trouble: trouble.kind,
)
def test_a_route_in_trouble_holds_the_others_up_for_a_moment_only(trouble: Trouble) -> None:
    """Twenty seconds of trouble under 40 changes a second; then it catches up, and one reader is left."""
    world = World([route("bad", trouble, window=16), route("good"), route("well")], WorldPlan(pace=PACE))

    async def scene() -> None:
        life = await running(world)
        await load(world, until=35.0, per_sec=40)
        await world.all_passed()
        routes = life.subscription.routes
        await world.until(lambda: routes["bad"].flow is routes["good"].flow is not None)
        await life.stop()

    world.play(scene)
    for name in ("good", "well"):
        assert lateness(world, name) < ISOLATE_AFTER + 0.2
        assert len(delivered(world, name)) == len(world.history.events)
    assert world.source.most_readers <= 2 + 1  # one may be closing


def test_a_slow_but_steady_route_does_not_pace_the_others() -> None:
    """It frees a place ten times a second; a timer that starts anew with each would never run out."""
    world = World(
        [route("slow", Trouble("slow", secs=0.1), window=32, lanes=1), route("fast")], WorldPlan(pace=PACE)
    )

    async def scene() -> None:
        await running(world)
        await load(world, until=15.0, per_sec=100)
        await anyio.sleep(1.0)
        assert len(delivered(world, "fast")) == len(world.history.events)

    world.play(scene)
    assert lateness(world, "fast") < ISOLATE_AFTER + 0.2


BUSY = WorldPlan(pace=PACE, catch_up=CatchUpPolicy(work_secs=anyio.current_time))
"""A process that works all the while: whoever waits, waits for the processor."""


@pytest.mark.parametrize(
    ("plan", "apart"), [(BUSY, False), (WorldPlan(pace=PACE), True)], ids=["busy", "idle"]
)
def test_routes_of_a_busy_process_stay_together(plan: WorldPlan, apart: bool) -> None:
    """One is slower, but apart both would read and encode everything, and neither would gain."""
    slower = route("slower", Trouble("slow", secs=0.1), window=32, lanes=1)
    other = route("other", Trouble("slow", secs=0.07), window=32, lanes=1)
    world = World([slower, other], plan)

    async def scene() -> None:
        await running(world)
        await load(world, until=30.0, per_sec=20)
        await world.all_passed()

    world.play(scene)
    assert (len(world.source.readers) > 1) == apart


def test_a_sink_that_hangs_in_a_busy_process_is_left_a_little_later() -> None:
    """A tenth of the time is owed even then: the others do not wait for ever."""
    world = World([route("bad", Trouble("hanging", start=3.0, end=25.0), window=16), route("good")], BUSY)

    async def scene() -> None:
        await running(world)
        await load(world, until=35.0, per_sec=40)
        await world.all_passed()

    world.play(scene)
    assert ISOLATE_AFTER < lateness(world, "good") < 10 * ISOLATE_AFTER + 0.5


def test_a_sole_route_is_never_detached_however_slow() -> None:
    """Nobody waits for it: that is plain backpressure, and costs no second reader."""
    world = World([route("slow", Trouble("slow", secs=1.0), window=8, lanes=1)], WorldPlan(pace=PACE))

    async def scene() -> None:
        life = await running(world)
        await load(world, until=20.0, per_sec=10)
        await world.until(lambda: len(delivered(world, "slow")) == len(world.history.events))
        await life.stop()

    world.play(scene)
    assert len(world.source.readers) == 1


def test_routes_that_are_all_as_slow_go_on_together() -> None:
    """Nobody stands finished for long."""
    troubles = [Trouble("slow", secs=0.2)]
    world = World(
        [route(name, *troubles, window=64, lanes=1) for name in ("one", "two")], WorldPlan(pace=PACE)
    )

    async def scene() -> None:
        await running(world)
        await load(world, until=30.0, per_sec=20)
        await world.all_passed()

    world.play(scene)
    assert len(world.source.readers) <= 4


def test_a_short_outage_with_room_in_the_window_costs_no_reader() -> None:
    """The circuit opens and closes again; what came meanwhile waits in the window."""
    world = World([route("down", Trouble("unavailable", start=2.0, end=4.0), window=256), route("well")])

    async def scene() -> None:
        life = await running(world)
        await load(world, until=8.0, per_sec=20)
        await world.all_passed()
        await life.stop()

    world.play(scene)
    assert len(world.source.readers) == 1


@pytest.mark.parametrize("cycle_secs", [0.05, 0.12, 0.5, 1.5])
@pytest.mark.parametrize("seed", range(3))
def test_a_route_merges_under_constant_load_however_long_its_cycle(cycle_secs: float, seed: int) -> None:
    """Without the hold its phase decides, and from half a second on it would never arrive."""
    world = World(
        [
            route("late", Trouble("hanging", start=1.0, end=5.0), window=512, secs=0.002),
            route("well", secs=0.002),
        ],
        WorldPlan(seed=seed, pace=Pace(batch=1000, poll_secs=0.05, catch_up_secs=cycle_secs)),
    )

    async def scene() -> None:
        life = await running(world)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: load(world, until=60.0, per_sec=200))
            await anyio.sleep_until(6.0)
            late, well = life.subscription.routes["late"], life.subscription.routes["well"]
            await world.until(lambda: late.flow is well.flow is not None)
            assert anyio.current_time() < 6.0 + 12 * cycle_secs + 1.0
            tasks.cancel_scope.cancel()
        await world.all_passed()
        await life.stop()
        assert lateness(world, "well", since=6.0) < 2 * cycle_secs + 0.5

    world.play(scene)


def test_a_route_that_joins_a_flow_blocked_for_an_hour_is_served() -> None:
    """The hanging one was alone and owed nothing; from now on it makes somebody wait."""
    world = World(
        [route("hanging", Trouble("hanging", start=1.0, end=3700.0), window=8), route("paused")],
        WorldPlan(pace=PACE),
    )

    async def scene() -> None:
        world.pause("paused")
        life = await running(world)
        await load(world, until=10.0, per_sec=10)
        await anyio.sleep_until(3500.0)
        assert readers(world) == 1
        world.resume("paused")
        await anyio.sleep_until(3503.0)
        assert set(world.history.events) == set(delivered(world, "paused"))
        routes = life.subscription.routes
        await world.until(lambda: routes["paused"].flow is not None and readers(world) == 1)
        newest = world.change("z")
        await anyio.sleep(3.0)
        assert newest in delivered(world, "paused")
        await world.all_passed()
        await life.stop()

    world.play(scene, within_secs=4000.0)


def test_a_route_that_joins_a_batch_in_hand_is_given_it_at_once() -> None:
    """The flow waits for room in its only route, for an hour; the other one stands before the same batch."""
    world = World(
        [route("hanging", Trouble("hanging", start=0.0, end=3700.0), window=1), route("paused")],
        WorldPlan(pace=PACE),
    )

    async def scene() -> None:
        world.pause("paused")
        life = await running(world)
        events = [world.change(f"k{number}") for number in range(5)]
        await anyio.sleep_until(3500.0)
        assert readers(world) == 1
        world.resume("paused")
        await anyio.sleep_until(3503.0)
        assert readers(world) == 1
        assert set(events) == set(delivered(world, "paused"))
        await world.all_passed()
        await life.stop()

    world.play(scene, within_secs=4000.0)


def test_a_window_full_by_bytes_detaches_too() -> None:
    """A few large events fill it as many small ones do."""
    world = World(
        [route("bad", Trouble("hanging", start=1.0, end=20.0), size=1000), route("well")],
        WorldPlan(pace=PACE),
    )

    async def scene() -> None:
        life = await running(world)
        for number in range(300):
            world.change("abcd"[number % 4], size=300)
            await anyio.sleep(0.05)
        await world.all_passed()
        await life.stop()

    world.play(scene)
    assert lateness(world, "well") < ISOLATE_AFTER + 0.2


def test_readers_beside_the_main_one_are_bounded() -> None:
    """Five broken routes, two readers for catching up: they wait for each other, nobody else does."""
    bad = [route(f"bad-{n}", Trouble("hanging", start=1.0 + n, end=15.0), window=16) for n in range(5)]
    plan = WorldPlan(pace=PACE, catch_up=CatchUpPolicy(max_readers=2, quantum_secs=5.0))
    world = World([*bad, route("well")], plan)

    async def scene() -> None:
        life = await running(world)
        await load(world, until=25.0, per_sec=20)
        await world.all_passed()
        await life.stop()

    world.play(scene)
    assert world.source.most_readers <= 3
    assert lateness(world, "well") < CatchUpPolicy().isolate_late_secs + 0.5


def test_a_long_catch_up_yields_its_reader_to_one_that_is_nearer() -> None:
    """One reader for two, hardly faster than the source: a long way to go gives way to a short one."""
    far = route("far", Trouble("hanging", start=1.0, end=400.0), window=16)
    near = route("near", Trouble("hanging", start=390.0, end=405.0), window=16)
    plan = WorldPlan(
        pace=Pace(batch=3, poll_secs=0.02, catch_up_secs=1.0),
        catch_up=CatchUpPolicy(max_readers=1, quantum_secs=10.0),
    )
    world = World([far, near, route("well")], plan)
    merged: list[float] = []

    async def scene() -> None:
        life = await running(world)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: load(world, until=520.0, per_sec=2))
            await anyio.sleep_until(407.0)
            routes = life.subscription.routes
            await world.until(lambda: routes["near"].flow is routes["well"].flow)
            merged.append(anyio.current_time())
        await world.all_passed()
        await life.stop()

    world.play(scene)
    assert merged[0] < 500.0
    assert world.source.most_readers <= 2
