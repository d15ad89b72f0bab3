"""Sending past events once more, beside the live route: a range, marked, resumable, with a record."""

from __future__ import annotations

from collections.abc import Sequence

import anyio

from eventbus.model import Event, Position
from eventbus.runtime.arrangement import CatchUpPolicy
from eventbus.state.operations import OperationStatus
from tests.runtime.history import Pace
from tests.runtime.scenes import delivered, lateness, load, readers, route, running
from tests.runtime.target import Trouble
from tests.runtime.world import World, WorldPlan

PACE = Pace(batch=20)


def _ids(events: Sequence[Event]) -> list[str]:
    return [event.token for event in events]


def _position(event: Event) -> Position:
    return event.position


def test_a_stretch_of_history_is_sent_once_more_and_nothing_else_moves() -> None:
    """Exactly what lies behind `start` and not beyond `until`; the live route goes on meanwhile."""
    world = World([route("live", window=64), route("other")], WorldPlan(pace=PACE))

    async def scene() -> None:
        life = await running(world)
        await load(world, until=10.0, per_sec=20)
        history = world.history.events
        name = world.replay("live", _position(history[49]), _position(history[144]))
        await load(world, until=20.0, per_sec=20)
        await world.all_passed()
        await world.until(lambda: world.operation(name).status.is_over)
        await life.stop()
        assert sorted(_ids(delivered(world, name))) == _ids(history[50:145])
        record = world.operation(name)
        assert record.status is OperationStatus.DONE
        assert (record.progress.delivered, record.progress.parked) == (95, 0)
        assert len(delivered(world, "live")) == len(delivered(world, "other")) == len(history)
        assert name not in world.vault.positions["orders"]

    world.play(scene)
    assert lateness(world, "live") < 0.5
    assert readers(world) == 0


def test_a_replay_that_ended_is_not_begun_again_by_an_owner_that_lost_its_lease() -> None:
    """The store refuses the record of its end, then, so that it stands there until that is noticed."""
    world = World([route("live", window=64, secs=0.05)], WorldPlan(pace=PACE, every_secs=3.0))

    async def scene() -> None:
        await running(world)
        await load(world, until=5.0, per_sec=20)
        await world.all_passed()
        history = world.history.events
        name = world.replay("live", _position(history[0]), _position(history[-1]))
        await world.until(lambda: bool(delivered(world, name)))
        world.vault.usurp("orders", secs=600.0)
        await anyio.sleep(20.0)
        assert sorted(_ids(delivered(world, name))) == _ids(history[1:])

    world.play(scene)


def test_a_replay_goes_on_where_a_crash_interrupted_it() -> None:
    """Its position is stored like any other, so a window of it at most comes again."""
    world = World([route("live", window=16, secs=0.1)], WorldPlan(pace=PACE))

    async def scene() -> None:
        life = await running(world)
        await load(world, until=10.0, per_sec=20)
        await world.all_passed()
        history = world.history.events
        name = world.replay("live", world.first_position("live"), _position(history[-1]))
        for _ in range(4):
            await anyio.sleep(2.4)
            await life.crash()
            life = await running(world)
        await world.until(lambda: world.operation(name).status.is_over)
        await life.stop()
        assert set(_ids(delivered(world, name))) == set(_ids(history))
        assert len(delivered(world, name)) < len(history) + 4 * (16 + 25)
        assert world.operation(name).progress.delivered >= len(history)

    world.play(scene)


def test_a_replay_parks_what_fails_under_its_own_name() -> None:
    """And does not send it again after a crash."""
    bad = Trouble("rejecting", start=10.0, keys=frozenset("a"))
    world = World([route("live", bad, window=16, secs=0.05)], WorldPlan(pace=PACE))

    async def scene() -> None:
        life = await running(world)
        await load(world, until=9.0, per_sec=20)
        await world.all_passed()
        await anyio.sleep_until(11.0)
        history = world.history.events
        name = world.replay("live", world.first_position("live"), _position(history[-1]))
        await anyio.sleep(3.0)
        await life.crash()
        life = await running(world)
        await world.until(lambda: world.operation(name).status.is_over)
        await life.stop()
        parked = {key for key in world.vault.letters if key[1] == name}
        assert len(parked) == len([event for event in history if event.key == b"a"])

    world.play(scene)


def test_a_replay_shares_the_pause_of_its_route() -> None:
    """And goes on with it."""
    world = World([route("live", window=8, secs=0.1)], WorldPlan(pace=PACE))

    async def scene() -> None:
        life = await running(world)
        await load(world, until=5.0, per_sec=20)
        await world.all_passed()
        name = world.replay("live", world.first_position("live"), _position(world.history.events[-1]))
        await world.until(lambda: len(delivered(world, name)) > 10)
        world.pause("live")
        await anyio.sleep(3)
        seen = len(delivered(world, name))
        await anyio.sleep(20)
        assert len(delivered(world, name)) == seen
        world.resume("live")
        await world.until(lambda: world.operation(name).status.is_over)
        await life.stop()
        assert set(_ids(delivered(world, name))) == set(_ids(world.history.events))

    world.play(scene)


def test_a_replay_that_is_cancelled_ends_and_leaves_no_position() -> None:
    """What was sent was sent."""
    world = World([route("live", window=8, secs=0.2)], WorldPlan(pace=PACE))

    async def scene() -> None:
        life = await running(world)
        await load(world, until=5.0, per_sec=20)
        await world.all_passed()
        name = world.replay("live", world.first_position("live"), _position(world.history.events[-1]))
        await world.until(lambda: len(delivered(world, name)) > 10)
        world.cancel(name)
        await anyio.sleep(3)
        seen = len(delivered(world, name))
        await anyio.sleep(10)
        assert len(delivered(world, name)) == seen < len(world.history.events)
        assert name not in world.vault.positions["orders"]
        assert world.operation(name).status is OperationStatus.CANCELLED
        assert readers(world) == 1
        await life.stop()

    world.play(scene)


def test_a_replay_of_what_is_forgotten_fails_and_says_so() -> None:
    """The live route, which needs nothing of it, goes on."""
    world = World([route("live")], WorldPlan(pace=PACE))

    async def scene() -> None:
        life = await running(world)
        start = world.first_position("live")
        await load(world, until=5.0, per_sec=20)
        await world.all_passed()
        world.source.forgotten = world.history.tokens[50]
        name = world.replay("live", start, _position(world.history.events[-1]))
        await world.until(lambda: world.operation(name).status.is_over)
        assert world.operation(name).status is OperationStatus.FAILED
        assert "history" in world.operation(name).problem
        await load(world, until=8.0, per_sec=20)
        await world.all_passed()
        await life.stop()

    world.play(scene)


def test_more_replays_than_readers_wait_for_each_other() -> None:
    """And all of them are done in the end."""
    plan = WorldPlan(pace=PACE, catch_up=CatchUpPolicy(max_readers=2))
    world = World([route("live", window=16, secs=0.02)], plan)

    async def scene() -> None:
        life = await running(world)
        await load(world, until=5.0, per_sec=20)
        await world.all_passed()
        last = _position(world.history.events[-1])
        names = [world.replay("live", world.first_position("live"), last) for _ in range(5)]
        await world.until(lambda: all(world.operation(name).status.is_over for name in names))
        await life.stop()
        for name in names:
            assert set(_ids(delivered(world, name))) == set(_ids(world.history.events))

    world.play(scene)
    assert world.source.most_readers <= 3
