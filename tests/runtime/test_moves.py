"""Operators move the position of a route: its life ends in good order, the next begins where they said."""

from __future__ import annotations

import anyio
import pytest

from eventbus.model import Position
from eventbus.runtime.saver import Saver
from eventbus.runtime.subscription import Subscription
from eventbus.runtime.supervisor import Supervisor
from eventbus.state.gaps import Gap
from eventbus.state.operations import Operation, OperationKind, OperationStatus
from tests.runtime.clock import run_virtual
from tests.runtime.history import Pace
from tests.runtime.scenes import changes, delivered, load, route, running
from tests.runtime.target import Trouble
from tests.runtime.vault import StoreTrouble
from tests.runtime.world import NAME, Life, World, WorldPlan


def _world() -> World:
    return World([route("moved"), route("other")], WorldPlan(pace=Pace(batch=20)))


def _move(world: World, to: Position, name: str = "moved", *, only_forward: bool = False) -> Operation:
    operation = Operation(
        f"{len(world.vault.operations):04x}",
        OperationKind.MOVE,
        NAME,
        name,
        start=to,
        requested_by="eve",
        only_forward=only_forward,
    )
    world.vault.operations[operation.id] = operation
    return operation


async def _begun_anew(world: World, life: Life) -> Life:
    """A life that ends by itself, and the next one, as a supervisor begins it."""
    await life.over.wait()
    assert life.subscription.begins_anew
    return await running(world)


def _gaps(world: World) -> list[Gap]:
    return list(world.vault.gaps.values())


def _tokens(world: World, name: str = "moved") -> list[str]:
    return sorted(event.token for event in delivered(world, name))


@pytest.mark.parametrize("crashes", [False, True])
def test_moved_forward_it_skips_what_is_recorded_as_a_gap(crashes: bool) -> None:
    """Nothing of the other route is skipped, and nothing comes to it twice."""
    world = _world()
    world.check_gap = lambda gap: None  # type: ignore[method-assign]  # nothing was lost, it is given up
    if crashes:
        world.vault.troubles.append(StoreTrouble("away", 20.0, 40.0, frozenset({"move_operation"})))

    async def scene() -> None:
        life = await running(world)
        changes(world, "abc", 3)
        await world.all_passed()
        world.pause("moved")
        await anyio.sleep_until(10.0)
        stood = life.subscription.routes["moved"].admitted
        skipped = changes(world, "abc", 3)
        await anyio.sleep_until(20.5)
        moved = _move(world, skipped[-1].position)
        await life.over.wait()
        assert life.subscription.begins_anew
        if crashes:
            life = world.begin()
            await anyio.sleep_until(30.0)
            assert world.stored("moved") == skipped[-1].position
            await life.crash()
        life = await running(world)
        world.resume("moved")
        later = changes(world, "abc")
        await world.all_passed()
        await life.stop()
        assert world.vault.operations[moved.id].status is OperationStatus.DONE
        (gap,) = _gaps(world)
        assert (gap.start, gap.end) == (stood, skipped[-1].position)
        assert (gap.policy, gap.reason) == ("position set", "an operator moved the position: eve")
        tokens = {event.token for event in skipped}
        assert _tokens(world) == [token for token in world.history.tokens if token not in tokens]
        assert {event.token for event in later} <= set(_tokens(world))

    world.play(scene)
    assert _tokens(world, "other") == world.history.tokens


def test_moved_back_it_sends_again_what_was_committed_since() -> None:
    """To that route alone; no gap."""
    world = _world()

    async def scene() -> None:
        life = await running(world)
        changes(world, "abc", 3)
        await world.all_passed()
        await anyio.sleep(15.0)
        place = world.history.events[4]
        world.ledgers["moved"].rewound(place.position)
        _move(world, place.position)
        life = await _begun_anew(world, life)
        await world.until(lambda: len(delivered(world, "moved")) == 13)
        await life.stop()

    world.play(scene)
    assert _tokens(world)[-8:] == sorted(world.history.tokens[5:] * 2)
    assert _tokens(world, "other") == world.history.tokens
    assert _gaps(world) == []


def test_a_route_that_hangs_is_not_waited_for_when_it_is_moved() -> None:
    """What it has under way lies in the gap, from the last that was settled."""
    hanging = route("moved", Trouble("hanging", start=5.0, end=500.0), window=16)
    world = World([hanging, route("other")], WorldPlan(pace=Pace(batch=20)))
    world.check_gap = lambda gap: None  # type: ignore[method-assign]  # nothing was lost, it is given up

    async def scene() -> None:
        life = await running(world)
        await load(world, until=20.0, per_sec=10)
        await world.until(lambda: life.subscription.routes["moved"].open_events == 16)
        stood = life.subscription.routes["moved"].watermark()
        life._cannot_progress.add("moved")
        _move(world, world.history.events[-1].position)
        asked_at = anyio.current_time()
        life = await _begun_anew(world, life)
        assert anyio.current_time() - asked_at < 3.0
        (gap,) = _gaps(world)
        assert gap.start == stood
        await anyio.sleep(1.0)
        await life.crash()

    world.play(scene)


def test_a_route_that_is_not_there_fails_the_move_and_nothing_else() -> None:
    """Or the subscription would begin anew for ever."""
    world = _world()

    async def scene() -> None:
        life = await running(world)
        operation = _move(world, world.history.idle(), "gone")
        life = await _begun_anew(world, life)
        stored = world.vault.operations[operation.id]
        assert (stored.status, stored.problem) == (
            OperationStatus.FAILED,
            "the subscription has no route 'gone'",
        )
        changes(world, "abc")
        await world.all_passed()
        await life.stop()

    world.play(scene)


def test_a_supervisor_begins_the_next_life_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And counts it for no fault; a stop in between ends it for good."""
    lives: list[str] = []
    world = _world()

    async def run(self: Subscription) -> None:
        lives.append("a life")
        self.begins_anew = len(lives) < 3

    monkeypatch.setattr(Subscription, "run", run)

    async def whole() -> None:
        life = Life(world, 0, "a daemon", reclaim=True, routes=["moved"])
        saver = Saver(life.store)
        supervisor = Supervisor([life.subscription.spec], life.store, saver, lease_secs=15.0)
        await supervisor.run()
        assert anyio.current_time() < 1.0

    run_virtual(whole)
    assert len(lives) == 3


def test_moved_to_now_a_route_that_is_further_stays() -> None:
    """What it sent after the moment that was meant does not come again, and nothing is a gap."""
    world = _world()

    async def scene() -> None:
        life = await running(world)
        meant = changes(world, "abc", 3)[-1].position
        changes(world, "abc", 3)
        await world.all_passed()
        moved = _move(world, meant, only_forward=True)
        life = await _begun_anew(world, life)
        changes(world, "abc")
        await world.all_passed()
        await life.stop()
        assert world.vault.operations[moved.id].status is OperationStatus.DONE

    world.play(scene)
    assert _gaps(world) == []
    assert _tokens(world) == _tokens(world, "other")
    assert len(set(_tokens(world))) == len(_tokens(world))
