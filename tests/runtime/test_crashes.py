"""Killed at the worst moment: what the next life does again, and what it must not do."""

from __future__ import annotations

import anyio
import pytest

from tests.runtime.history import Fate
from tests.runtime.scenes import changes, delivered, route, running
from tests.runtime.target import Trouble
from tests.runtime.vault import StoreTrouble
from tests.runtime.world import World, WorldPlan


@pytest.mark.parametrize("trouble", ["rejecting", "failing"])
def test_a_dead_letter_beyond_the_stored_position_is_not_delivered_by_the_next_life(trouble: str) -> None:
    """Its event was passed by later ones of its key; delivered now it would be out of order."""
    bad = Trouble(trouble, end=20.0, keys=frozenset("x"))
    held = Trouble("hanging", start=0.5, end=2.0)
    world = World([route("only", bad, attempts=1), route("other", held)], WorldPlan(every_secs=1.0))
    world.vault.troubles.append(StoreTrouble("away", start=0.5, end=9.9, calls=frozenset({"save"})))

    async def scene() -> None:
        life = await running(world)
        await anyio.sleep_until(1.0)
        letter = world.change("x")
        while letter.id not in world.ledgers["only"].letters:
            changes(world, "a")
            await anyio.sleep(0.1)
        changes(world, "xa")
        await anyio.sleep(0.2)
        await life.crash()
        assert world.stored("only").token < letter.token
        await anyio.sleep_until(20.0)  # the sink would take it by now
        life = await running(world)
        await world.all_passed()
        await life.stop()
        assert letter not in delivered(world, "only")
        assert letter in delivered(world, "other")

    world.play(scene)


def test_what_a_crash_costs_is_a_window_and_what_was_settled_since_the_checkpoint() -> None:
    """With a store that takes no save, every event since the checkpoint comes again, and no other."""
    world = World([route("only", window=16)])
    world.vault.troubles.append(StoreTrouble("away", start=5.0, end=15.0, calls=frozenset({"save"})))

    async def scene() -> None:
        life = await running(world)
        for _ in range(80):
            changes(world, "ab")
            await anyio.sleep(0.1)
        stored = world.stored("only")
        await life.crash()
        life = await running(world)
        end = world.history.tokens[-1]
        await world.until(lambda: life.subscription.routes["only"].watermark().token >= end)
        await life.stop()
        again = [one for one in world.history.events if len(world.ledgers["only"].times(one)) > 1]
        assert {one.token for one in again} == {
            arrival.event.token
            for arrival in world.ledgers["only"].arrivals
            if arrival.life == 0 and arrival.event.token > stored.token
        }
        assert 20 < len(again) <= 80

    world.play(scene)


def test_a_crash_at_any_moment_of_the_start_loses_nothing() -> None:
    """Before the lease, before the start is stored, before the first read: all since the start is owed."""
    world = World([route("one"), route("other")], WorldPlan(store_secs=0.05))

    async def scene() -> None:
        for hundredth in range(1, 30):
            life = world.begin()
            with anyio.move_on_after(hundredth / 100):
                while True:
                    changes(world, "ab")
                    await anyio.sleep(0.01)
            await life.crash()
        life = await running(world)
        await world.all_passed()
        await life.stop()
        assert world.ledgers["one"].owed()

    world.play(scene)


def test_a_daemon_that_dies_again_and_again_comes_forward_all_the_same() -> None:
    """Half a second of life at a time, a save every fifth of a second."""
    world = World([route("only", window=16, secs=0.02)], WorldPlan(every_secs=0.2))

    async def scene() -> None:
        life = await running(world)
        for number in range(40):
            changes(world, "abcde" if number % 5 else "abc-e", 2)
            world.change("f", fate=Fate.PARK)
            await anyio.sleep(0.5)
            await life.crash()
            life = await running(world)
        await world.all_passed()
        await life.stop()
        arrived = len(delivered(world, "only"))
        assert arrived <= 400 + 40 * 16

    world.play(scene)
