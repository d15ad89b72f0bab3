"""Pause and resume: stored state, obeyed by whoever runs the subscription, before every attempt."""

from __future__ import annotations

import anyio

from tests.runtime.history import Pace
from tests.runtime.scenes import changes, delivered, lateness, load, open_events, route, running
from tests.runtime.target import Trouble
from tests.runtime.vault import StoreTrouble
from tests.runtime.world import NAME, World, WorldPlan

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


def test_a_sink_that_wants_nothing_more_has_its_route_paused_until_an_operator_resumes_it() -> None:
    """As an operator would: stored, with the reason. No event pays, and other routes go on."""
    world = World([route("gone", Trouble("gone", start=5.0, end=30.0)), route("well")], WorldPlan(pace=PACE))

    async def scene() -> None:
        life = await running(world)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: load(world, until=60.0, per_sec=20))
            await anyio.sleep_until(10.0)
            assert world.vault.paused[NAME] == {"gone": "gone (by the daemon)"}
            assert life.subscription.routes["gone"].paused == "gone (by the daemon)"
            strikes = sum(world.routes["gone"].target.strikes.values())
            assert 1 <= strikes <= 2  # one on each lane, at the most
            await anyio.sleep_until(40.0)
            assert sum(world.routes["gone"].target.strikes.values()) == strikes
            world.resume("gone")
        await world.all_passed()
        await life.stop()

    world.play(scene)
    assert not world.vault.letters
    for name in ("gone", "well"):
        assert len(delivered(world, name)) == len(world.history.events)


def test_a_pause_that_cannot_be_stored_yet_holds_all_the_same() -> None:
    """What the store says meanwhile, that nothing is paused, is no word of an operator."""
    world = World([route("gone", Trouble("gone", start=5.0))], WorldPlan(pace=PACE))
    world.vault.troubles.append(StoreTrouble("away", 4.0, 12.0, frozenset({"set_paused"})))

    async def scene() -> None:
        life = await running(world)
        await anyio.sleep_until(6.0)
        changes(world, "a")
        await anyio.sleep_until(11.0)
        assert world.vault.paused.get(NAME, {}) == {}
        assert life.subscription.routes["gone"].paused is not None
        assert sum(world.routes["gone"].target.strikes.values()) == 1
        await anyio.sleep_until(20.0)
        assert world.vault.paused[NAME] == {"gone": "gone (by the daemon)"}
        assert sum(world.routes["gone"].target.strikes.values()) == 1
        await life.stop()

    world.play(scene)


def test_a_sink_that_fails_for_long_has_its_route_paused_and_then_gets_as_long_again() -> None:
    """The time is counted from the first failure behind the last success, and anew from a resumption."""
    down = (Trouble("unavailable", start=5.0, end=20.0), Trouble("unavailable", start=30.0, end=140.0))
    world = World([route("down", *down, pause_after_secs=40.0)], WorldPlan(pace=PACE))
    paused_at: list[float] = []

    async def scene() -> None:
        life = await running(world)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: load(world, until=150.0, per_sec=2))
            for _ in range(2):
                await world.until(lambda: "down" in world.vault.paused.get(NAME, {}))
                paused_at.append(anyio.current_time())
                assert "longer than circuit.pause_after: unavailable" in world.vault.paused[NAME]["down"]
                await anyio.sleep(2)
                world.resume("down")
        await world.all_passed()
        await life.stop()

    world.play(scene)
    assert 70 <= paused_at[0] <= 80
    assert 40 <= paused_at[1] - paused_at[0] <= 55
