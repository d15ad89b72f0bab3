"""Pause and resume: stored state, obeyed by whoever runs the subscription, before every attempt."""

from __future__ import annotations

import anyio

from tests.runtime.history import Pace
from tests.runtime.scenes import changes, delivered, lateness, load, open_events, route, running
from tests.runtime.target import Trouble
from tests.runtime.world import World, WorldPlan

PACE = Pace(batch=50)


def test_a_paused_route_stops_and_comes_back_without_gap_or_repetition() -> None:
    """The others never notice."""
    world = World([route("paused"), route("well")], WorldPlan(pace=PACE))

    async def scene() -> None:
        life = await running(world)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: load(world, until=60.0, per_sec=50))
            await anyio.sleep_until(10.0)
            world.pause("paused")
            await anyio.sleep_until(13.0)
            seen = len(delivered(world, "paused"))
            await anyio.sleep_until(30.0)
            assert len(delivered(world, "paused")) == seen
            assert life.subscription.routes["paused"].flow is None
            world.resume("paused")
        await world.all_passed()
        await life.stop()
        for name in ("paused", "well"):
            assert len(delivered(world, name)) == len(world.history.events)

    world.play(scene)
    assert lateness(world, "well") < 0.25


def test_a_pause_asked_for_before_the_subscription_ran_holds_from_its_first_moment() -> None:
    """A verb that came too early is not lost."""
    world = World([route("paused"), route("well")], WorldPlan(pace=PACE))

    async def scene() -> None:
        world.pause("*")
        life = await running(world)
        changes(world, "abc", 5)
        await anyio.sleep(30)
        assert delivered(world, "paused") == delivered(world, "well") == []
        world.resume("*")
        await world.all_passed()
        await life.stop()

    world.play(scene)


def test_a_pause_outlives_a_crash() -> None:
    """The next life finds it."""
    world = World([route("paused", window=8)], WorldPlan(pace=PACE))

    async def scene() -> None:
        life = await running(world)
        world.pause("paused")
        await anyio.sleep(2)
        await life.crash()
        life = await running(world)
        changes(world, "abc", 5)
        await anyio.sleep(10)
        assert delivered(world, "paused") == []
        world.resume("paused")
        await world.all_passed()
        await life.stop()

    world.play(scene)


def test_an_event_that_is_being_retried_makes_no_further_attempt_while_paused() -> None:
    """The gate is before every attempt, not before every event; what is open stays open."""
    world = World([route("paused", Trouble("unavailable", end=20.0), window=8, failures=1000)])

    async def scene() -> None:
        life = await running(world)
        changes(world, "ab")
        await anyio.sleep(2)
        world.pause("paused")
        await anyio.sleep_until(8)
        strikes = sum(world.routes["paused"].target.strikes.values())
        await anyio.sleep_until(15)
        assert sum(world.routes["paused"].target.strikes.values()) == strikes
        assert open_events(life, "paused") == 2
        world.resume("paused")
        await world.all_passed()
        await life.stop()

    world.play(scene)


def test_a_drain_does_not_wait_for_a_paused_route() -> None:
    """Nothing of it could be finished."""
    world = World([route("paused", Trouble("slow", secs=3.0), window=8)])

    async def scene() -> None:
        life = await running(world)
        changes(world, "abcdef", 3)
        await anyio.sleep(0.5)
        world.pause("paused")
        await anyio.sleep(2)
        begun = anyio.current_time()
        await life.stop()
        assert anyio.current_time() - begun < 6.0

    world.play(scene)
