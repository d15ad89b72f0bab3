"""Copies of dead letters: all of them, in order, and nothing waits for them."""

from __future__ import annotations

from dataclasses import replace

import anyio

from eventbus.model import DeadLetter
from tests.runtime.history import Pace
from tests.runtime.scenes import delivered, load, route, running
from tests.runtime.target import Target, Trouble
from tests.runtime.world import NAME, World, WorldPlan

BAD = frozenset("x")


def _world(*troubles: Trouble) -> World:
    plan = route("only", Trouble("rejecting", keys=BAD), window=32)
    return World(
        [replace(plan, copies=Target("dead", troubles=list(troubles)))], WorldPlan(pace=Pace(batch=20))
    )


def _letters(world: World) -> list[DeadLetter]:
    return [letter for (_, name, _), letter in world.vault.letters.items() if name == "only"]


def _all_forwarded(world: World) -> bool:
    return all(world.vault.fate((NAME, "only", one.event.id)).forwarded for one in _letters(world))


def test_each_dead_letter_is_copied_once_and_in_order() -> None:
    """Also those of an earlier life."""
    world = _world()

    async def scene() -> None:
        life = await running(world)
        await load(world, until=3.0, per_sec=20, keys="xab")
        await life.crash()
        life = await running(world)
        await load(world, until=6.0, per_sec=20, keys="xab")
        await world.all_passed()
        await world.until(lambda: _all_forwarded(world))
        await life.stop()
        assert list(dict.fromkeys(world.copies)) == [letter.event for letter in _letters(world)]
        assert len(world.copies) < len(_letters(world)) + 32

    world.play(scene)


def test_a_dead_letter_sink_that_is_down_delays_nobody_and_loses_nothing() -> None:
    """A minute of outage: the live route never notices, and the copies come afterwards."""
    world = _world(Trouble("unavailable", end=60.0))

    async def scene() -> None:
        life = await running(world)
        await load(world, until=5.0, per_sec=20, keys="xab")
        await world.all_passed()
        assert anyio.current_time() < 10.0
        assert world.copies == []
        await world.until(lambda: _all_forwarded(world))
        assert anyio.current_time() > 60.0
        await life.stop()
        assert [event for event in world.copies] == [letter.event for letter in _letters(world)]  # noqa: C416
        assert len(delivered(world, "only")) == len(world.history.events) - len(_letters(world))

    world.play(scene)


def test_what_the_dead_letter_sink_refuses_is_given_up_and_stays_a_dead_letter() -> None:
    """It is not tried for ever."""
    world = _world(Trouble("rejecting", keys=BAD))

    async def scene() -> None:
        life = await running(world)
        await load(world, until=5.0, per_sec=20, keys="xab")
        await world.until(lambda: _letters(world) and _all_forwarded(world))
        await world.all_passed()
        await life.stop()
        assert world.copies == []

    world.play(scene)
