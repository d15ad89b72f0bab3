"""What an event waits for, and what a failing one holds up, with each ordering of a route."""

from __future__ import annotations

import anyio
import pytest

from eventbus.model import Fault, Rejected, Retry
from eventbus.runtime.policy import Ordering, RetryPolicy, RoutePolicy
from eventbus.sdk import SinkTraits
from tests.runtime.history import History
from tests.runtime.scenes import changes, changes_of, delivered, route, running
from tests.runtime.scripted import Scripted, played
from tests.runtime.target import Trouble
from tests.runtime.world import World

BAD = frozenset("x")
FAILED = Retry(Fault.FAILED, "failed")
NONE, STRICT = Ordering.NONE, Ordering.STRICT


def test_without_an_order_events_of_one_key_go_to_whichever_lane_is_free() -> None:
    """Four at a time; with an order by key it would be one."""
    events = changes_of(History(), "x" * 8)
    sink = Scripted(traits=SinkTraits(lanes=4))
    assert played(sink, events, RoutePolicy(ordering=NONE)) == []
    assert sink.times == [0.0] * 4 + [1.0] * 4
    assert sink.calls == [[event] for event in events]


def test_without_an_order_later_events_of_a_failing_key_are_delivered_at_once() -> None:
    """The first is tried again by itself; nothing queues up behind it."""
    first, second, third = events = changes_of(History(), "xxx")
    sink = Scripted([FAILED], traits=SinkTraits(lanes=1))
    policy = RoutePolicy(RetryPolicy(5, 100.0, 100.0), ordering=NONE)
    assert played(sink, events, policy) == []
    assert sink.calls == [[first], [second], [third], [first]]


@pytest.mark.parametrize("keeps_order", [True, False])
@pytest.mark.parametrize("ordering", Ordering)
def test_barriers_and_the_sinks_own_terms_hold_with_any_ordering(
    ordering: Ordering, keeps_order: bool
) -> None:
    """No key twice in a call that keeps no order; nothing passes a barrier: the account would say so."""
    trouble = Trouble("failing", keys=BAD, times=2)
    plan = route(
        "only", trouble, lanes=4, max_batch=10, keeps_order=keeps_order, attempts=50, ordering=ordering
    )
    world = World([plan])

    async def scene() -> None:
        life = await running(world)
        for _ in range(20):
            changes(world, "axbaxxb-a-x")
            await anyio.sleep(0.3)
        await world.all_passed()
        await life.stop()
        assert not world.ledgers["only"].letters

    world.play(scene)


@pytest.mark.parametrize("keeps_order", [True, False])
def test_with_a_strict_order_nothing_passes_a_failing_event(keeps_order: bool) -> None:
    """Though the sink would take a batch, and the others of it."""
    trouble = Trouble("failing", keys=BAD, end=5.0)
    plan = route("only", trouble, max_batch=20, keeps_order=keeps_order, attempts=1000, ordering=STRICT)
    world = World([plan])

    async def scene() -> None:
        life = await running(world)
        events = changes(world, "abxcdxxe")
        await anyio.sleep(4.0)
        assert delivered(world, "only") == events[:2]
        await world.all_passed()
        await life.stop()
        assert delivered(world, "only") == events

    world.play(scene)


def test_with_a_strict_order_every_failure_of_its_own_spends_an_events_tries() -> None:
    """Nobody else can show that the sink is well; when it is parked, the next one goes."""
    bad, good = events = changes_of(History(), "xa")
    sink = Scripted([FAILED], [FAILED], [FAILED], traits=SinkTraits(lanes=4))
    (letter,) = played(sink, events, RoutePolicy(RetryPolicy(3, 0.1, 1.0), ordering=STRICT))
    assert (letter.event, letter.attempts, len(letter.errors)) == (bad, 3, 3)
    assert sink.calls == [[bad], [bad], [bad], [good]]


def test_with_a_strict_order_an_event_grows_old_though_its_failures_open_the_circuit() -> None:
    """They are its own."""
    events = changes_of(History(), "xa")
    sink = Scripted(*[[FAILED]] * 200, traits=SinkTraits(lanes=1))
    policy = RoutePolicy(RetryPolicy(100, 0.1, 1.0, max_age_secs=100.0), ordering=STRICT)
    letters = played(sink, events, policy)
    assert [letter.event for letter in letters] == events
    assert all(letter.attempts < 20 for letter in letters)
    assert sink.times[-1] > 200.0


def test_with_a_strict_order_an_outage_costs_nothing() -> None:
    """It waits, however long it takes."""
    trouble = Trouble("unavailable", start=1.0, end=600.0)
    world = World([route("only", trouble, attempts=1, ordering=STRICT)])

    async def scene() -> None:
        life = await running(world)
        for _ in range(20):
            changes(world, "ab")
            await anyio.sleep(0.1)
        await world.all_passed()
        assert 600.0 <= anyio.current_time() < 620.0
        await life.stop()
        assert not world.ledgers["only"].letters

    world.play(scene)


def test_with_a_strict_order_a_dead_letter_is_durable_before_the_next_one_goes() -> None:
    """Else a crash would bring it after that one."""
    bad, good = events = changes_of(History(), "xa")
    sink = Scripted([Rejected("never")], traits=SinkTraits(lanes=1))
    assert [
        letter.event for letter in played(sink, events, RoutePolicy(ordering=STRICT), park_secs=30.0)
    ] == [bad]
    assert sink.calls == [[bad], [good]]
    assert sink.times[1] >= 31.0
