"""What becomes of dead letters in the engine: sent once more, held keys let go, newer events noted."""

from __future__ import annotations

from dataclasses import replace

import anyio

from eventbus.model import DeadLetter, Event
from eventbus.state.operations import OperationKind, OperationStatus
from eventbus.state.store import LetterStatus
from tests.runtime.history import Pace
from tests.runtime.scenes import changes, delivered, load, route, running
from tests.runtime.target import Trouble
from tests.runtime.world import NAME, RoutePlan, World, WorldPlan

PACE = Pace(batch=20)
BAD = frozenset("x")


def _holding(*troubles: Trouble) -> RoutePlan:
    plan = route("only", *troubles, window=32)
    return replace(plan, policy=replace(plan.policy, holds_keys=True))


def _letters(world: World) -> list[DeadLetter]:
    return [letter for (_, name, _), letter in world.vault.letters.items() if name == "only"]


def _status(world: World, letter: DeadLetter) -> LetterStatus:
    return world.vault.fate((NAME, "only", letter.event.id)).status


def _arrivals_of(world: World, key: bytes) -> list[Event]:
    """What the target got of a key, on the route and on every operation beside it, by time."""
    arrivals = [arrival for ledger in world.ledgers.values() for arrival in ledger.arrivals]
    arrivals.sort(key=lambda arrival: arrival.secs)
    return [arrival.event for arrival in arrivals if arrival.event.key == key]


def test_dead_letters_are_sent_once_more_in_order_and_end() -> None:
    """Each is replayed, the record counts them, and a crash in between repeats few."""
    world = World([route("only", Trouble("rejecting", end=10.0, keys=BAD), window=16)], WorldPlan(pace=PACE))

    async def scene() -> None:
        life = await running(world)
        await load(world, until=9.0, per_sec=20, keys="xab")
        await world.all_passed()
        await anyio.sleep_until(11.0)
        letters = _letters(world)
        name = world.replay_letters("only")
        await world.until(lambda: len(delivered(world, name)) > 10)
        await life.crash()
        life = await running(world)
        await world.until(lambda: world.operation(name).status.is_over)
        await life.stop()
        assert list(dict.fromkeys(delivered(world, name))) == [one.event for one in letters]
        assert all(_status(world, letter) is LetterStatus.REPLAYED for letter in letters)
        assert world.operation(name).status is OperationStatus.DONE
        assert world.operation(name).progress.delivered == len(letters)

    world.play(scene)


def test_what_fails_once_more_stays_a_dead_letter_and_is_not_tried_twice_by_one_operation() -> None:
    """Not after a crash either."""
    world = World([route("only", Trouble("rejecting", keys=BAD), window=16)], WorldPlan(pace=PACE))

    async def scene() -> None:
        life = await running(world)
        await load(world, until=5.0, per_sec=20, keys="xab")
        await world.all_passed()
        strikes = sum(world.routes["only"].target.strikes.values())
        name = world.replay_letters("only")
        await anyio.sleep(1.5)
        await life.crash()
        life = await running(world)
        await world.until(lambda: world.operation(name).status.is_over)
        await life.stop()
        letters = _letters(world)
        assert all(_status(world, letter) is LetterStatus.PARKED for letter in letters)
        assert sum(world.routes["only"].target.strikes.values()) - strikes <= len(letters) + 16
        assert world.operation(name).progress.parked == len(letters)

    world.play(scene)


def test_a_newer_event_of_a_key_is_noted_on_its_dead_letters() -> None:
    """Whoever replays them is warned that an older state would follow a newer one."""
    bad = Trouble("rejecting", end=5.0, keys=BAD)
    world = World([route("only", bad, window=16)], WorldPlan(pace=PACE))

    async def scene() -> None:
        life = await running(world)
        (dead,) = changes(world, "x")
        (other,) = changes(world, "y")
        await world.all_passed()
        identity = (NAME, "only", dead.id)
        assert world.vault.fate(identity).superseded_by is None
        await anyio.sleep_until(6.0)
        await life.crash()
        life = await running(world)
        newer, newest = changes(world, "xx")
        await world.all_passed()
        await life.stop()
        assert world.vault.fate(identity).superseded_by == newer.id
        assert (NAME, "only", other.id) not in world.vault.letters
        assert newest in delivered(world, "only")

    world.play(scene)


def test_a_held_key_goes_on_in_order_once_its_dead_letter_is_replayed() -> None:
    """What waited is sent by itself, then the key flows again; none overtakes another."""
    world = World([_holding(Trouble("rejecting", end=5.0, keys=BAD))], WorldPlan(pace=PACE))

    async def scene() -> None:
        life = await running(world)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: load(world, until=40.0, per_sec=20, keys="xab"))
            await anyio.sleep_until(10.0)
            assert _arrivals_of(world, b"x") == []
            name = world.replay_letters("only")
            await world.until(lambda: world.operation(name).status.is_over)
        await world.all_passed()
        await world.until(lambda: not life.subscription.routes["only"].held)
        last = world.change("x")
        await world.all_passed()
        await life.stop()
        in_order = [event for event in world.history.events if event.key == b"x"]
        assert list(dict.fromkeys(_arrivals_of(world, b"x"))) == in_order
        assert last in delivered(world, "only")

    world.play(scene)


def test_a_held_key_goes_on_once_its_dead_letter_is_discarded_also_after_a_crash() -> None:
    """All but the discarded one arrive, in order."""
    world = World([_holding(Trouble("rejecting", end=5.0, keys=BAD))], WorldPlan(pace=PACE))

    async def scene() -> None:
        life = await running(world)
        await load(world, until=10.0, per_sec=20, keys="xab")
        await world.all_passed()
        (head,) = [letter for letter in _letters(world) if letter.held_behind is None]
        assert all(one.held_behind == head.event.id for one in _letters(world) if one is not head)
        await life.crash()
        world.vault.discard(head)
        life = await running(world)
        await world.until(lambda: not life.subscription.routes["only"].held)
        await load(world, until=anyio.current_time() + 2, per_sec=20, keys="xab")
        await world.all_passed()
        await life.stop()
        in_order = [event for event in world.history.events if event.key == b"x"]
        assert list(dict.fromkeys(_arrivals_of(world, b"x"))) == in_order[1:]
        kinds = {operation.kind for operation in world.vault.operations.values()}
        assert kinds == {OperationKind.RELEASE}

    world.play(scene)


def test_a_released_event_that_fails_holds_its_key_once_more() -> None:
    """The later ones wait behind it, still in order."""
    world = World([_holding(Trouble("rejecting", end=30.0, keys=BAD))], WorldPlan(pace=PACE))

    async def scene() -> None:
        life = await running(world)
        await load(world, until=10.0, per_sec=20, keys="xab")
        await world.all_passed()
        (head,) = [letter for letter in _letters(world) if letter.held_behind is None]
        world.vault.discard(head)
        await anyio.sleep_until(25.0)
        heads = [one for one in _letters(world) if one.held_behind is None]
        assert len(heads) == 2
        assert _arrivals_of(world, b"x") == []
        await anyio.sleep_until(31.0)
        world.vault.discard(heads[-1] if heads[0] is head else heads[0])
        await world.until(lambda: not life.subscription.routes["only"].held)
        await life.stop()
        in_order = [event for event in world.history.events if event.key == b"x"]
        assert list(dict.fromkeys(_arrivals_of(world, b"x"))) == in_order[2:]

    world.play(scene)
