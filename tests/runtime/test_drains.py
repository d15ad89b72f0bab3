"""A stop: reading ends at once, what is open is finished, saved and given back, in bounded time."""

from __future__ import annotations

import anyio
import pytest

from tests.runtime.history import Pace
from tests.runtime.scenes import changes, delivered, open_events, route, running
from tests.runtime.target import Trouble
from tests.runtime.vault import StoreTrouble
from tests.runtime.world import NAME, World, WorldPlan


@pytest.mark.parametrize("seed", range(5))
def test_a_drain_takes_nothing_more_from_the_batch_in_hand(seed: int) -> None:
    """A batch of a thousand waits for room in two windows of eight: what has no ticket yet is forgotten.

    Also while the reader takes its time to close.
    """
    world = World(
        [route("one", window=8, secs=0.05), route("other", window=8, secs=0.3)],
        WorldPlan(seed=seed, pace=Pace(batch=1000, close_secs=3.0)),
    )

    async def scene() -> None:
        life = await running(world)
        changes(world, "abcde", 200)
        await anyio.sleep(1)
        admitted = {name: route.admitted for name, route in life.subscription.routes.items()}
        await life.stop()
        assert {name: route.admitted for name, route in life.subscription.routes.items()} == admitted
        assert anyio.current_time() < 5.0

    world.play(scene)


def test_after_a_drain_nothing_comes_again() -> None:
    """Ten lives, each stopped under load; every event arrives once."""
    world = World([route("one", secs=0.1), route("other", max_batch=10, keeps_order=True)])

    async def scene() -> None:
        for _ in range(10):
            life = await running(world)
            changes(world, "abcde", 10)
            await anyio.sleep(0.3)
            await life.stop()
        life = await running(world)
        await world.all_passed()
        await life.stop()
        assert len(delivered(world, "one")) == len(delivered(world, "other")) == 500

    world.play(scene)


def test_a_drain_waits_for_a_slow_attempt_but_not_for_one_that_hangs() -> None:
    """Four seconds are waited for; after the time for draining it is a crash for that route alone."""
    plan = WorldPlan(drain_timeout_secs=10.0)
    world = World([route("slow", Trouble("slow", secs=4.0)), route("hanging", Trouble("hanging"))], plan)

    async def scene() -> None:
        life = await running(world)
        event = world.change("a")
        await anyio.sleep(0.5)
        await life.stop()
        assert 10.0 <= anyio.current_time() < 11.0
        assert event in delivered(world, "slow")
        assert world.stored("slow").token >= event.token
        assert world.stored("hanging").token < event.token

    world.play(scene)


def test_a_drain_does_not_wait_for_a_sink_that_is_down() -> None:
    """Nothing can be done about its events; they are for the next life."""
    world = World([route("down", Trouble("unavailable", start=1.0)), route("closed", Trouble("closed"))])

    async def scene() -> None:
        life = await running(world)
        for _ in range(10):
            changes(world, "ab")
            await anyio.sleep(0.5)
        assert life.subscription.routes["down"].circuit_reason
        begun = anyio.current_time()
        await life.stop()
        assert anyio.current_time() - begun < 1.0

    world.play(scene)


def test_a_drain_ends_when_a_sink_goes_down_meanwhile() -> None:
    """It waits until the circuit opens, and not for the whole time of draining."""
    world = World([route("down", Trouble("unavailable", start=1.0), secs=0.4)])

    async def scene() -> None:
        life = await running(world)
        await anyio.sleep_until(0.9)
        changes(world, "abcde", 4)
        await anyio.sleep_until(1.0)
        assert not life.subscription.routes["down"].circuit_reason
        await life.stop()
        assert anyio.current_time() < 10.0

    world.play(scene)


def test_the_last_save_is_tried_again_while_there_is_time() -> None:
    """The store is away for two seconds in the wrong moment: still nothing comes again."""
    world = World([route("only")])

    async def scene() -> None:
        life = await running(world)
        changes(world, "abc")
        await world.all_passed()
        now = anyio.current_time()
        world.vault.troubles.append(StoreTrouble("away", start=now, end=now + 2.0))
        await life.stop()
        assert world.stored("only").token >= world.history.tokens[-1]
        life = await running(world)
        await life.stop()
        assert len(delivered(world, "only")) == 3

    world.play(scene)


def test_a_stop_is_bounded_though_the_store_hangs() -> None:
    """It gives up a third of a lease after the drain."""
    world = World([route("only")])

    async def scene() -> None:
        life = await running(world)
        changes(world, "abc")
        await world.all_passed()
        now = anyio.current_time()
        world.vault.troubles.append(StoreTrouble("hanging", start=now))
        await life.stop()
        assert anyio.current_time() - now <= world.plan.lease_secs / 3 + 0.1

    world.play(scene)


@pytest.mark.parametrize("call", ["acquire", "positions", "save", "parked_after"])
def test_a_stop_while_the_start_waits_for_the_store_ends_it(call: str) -> None:
    """Whatever the start is waiting for; no error, and soon."""
    world = World([route("only")])
    world.vault.troubles.append(StoreTrouble("away", calls=frozenset({call})))

    async def scene() -> None:
        life = world.begin()
        await world.until(lambda: life.subscription.waiting_for)
        await anyio.sleep(20.0)
        await life.stop()
        assert life.fault is None
        assert anyio.current_time() < 20.0 + world.plan.lease_secs / 3 + 2.0

    if call == "save":  # a lease that cannot be renewed is lost before anybody asks for the stop
        world.vault.troubles[0] = StoreTrouble("away", end=10.0, calls=frozenset({call}))
    world.play(scene)


def test_a_stop_while_the_source_is_away_gives_the_lease_back() -> None:
    """Another daemon need not wait for its end."""
    world = World([route("only")])
    world.source.away = True

    async def scene() -> None:
        life = world.begin()
        await world.until(lambda: life.subscription.waiting_for)
        await life.stop()
        assert world.vault.leases[NAME].owner is None

    world.play(scene)


def test_open_events_of_a_drain_that_timed_out_come_again_and_no_others() -> None:
    """At the most a window of them."""
    world = World([route("hanging", Trouble("hanging", start=2.0, end=40.0), window=16)])

    async def scene() -> None:
        life = await running(world)
        changes(world, "abc", 4)
        await world.all_passed()
        await anyio.sleep_until(2.5)
        changes(world, "abc", 20)
        await anyio.sleep(1.0)
        await life.stop()
        assert open_events(life, "hanging") == 16
        life = await running(world)
        await world.all_passed()
        await life.stop()
        assert len(delivered(world, "hanging")) == 12 + 60

    world.play(scene)
