"""Rates and places: how much goes out, and who waits for whom."""

from __future__ import annotations

import anyio

from eventbus.core.circuit import CircuitPolicy
from eventbus.model import Fault, Retry
from eventbus.runtime.policy import RetryPolicy, RoutePolicy
from eventbus.sdk import SinkTraits
from tests.runtime.history import History
from tests.runtime.scenes import changes, changes_of, delivered, running
from tests.runtime.scripted import Scripted, played
from tests.runtime.target import Target
from tests.runtime.world import RoutePlan, World

KEYS = [f"key-{number}" for number in range(200)]


def sent_until(sink: Scripted, secs: float) -> int:
    """How many messages had gone out by then."""
    return sum(len(call) for at, call in zip(sink.times, sink.calls, strict=True) if at <= secs)


def test_a_route_keeps_to_its_rate() -> None:
    """A second's worth at once, then as much as flows in, however many lanes there are."""
    sink = Scripted(traits=SinkTraits(lanes=16), secs=0.1)
    played(sink, changes_of(History(), KEYS), RoutePolicy(rate_per_sec=10.0))
    assert [sent_until(sink, secs) for secs in (0.0, 0.95, 5.05, 18.95, 19.05)] == [10, 19, 60, 199, 200]


def test_a_sink_keeps_to_its_rate_whatever_its_routes_may() -> None:
    """It is the target's, over all routes."""
    target = Target("shared", SinkTraits(lanes=8), secs=0.0)
    plans = [RoutePlan(name, target, RoutePolicy(window_events=64)) for name in ("one", "other")]
    world = World(plans, sinks={"shared": {"rate_per_sec": 10.0}})

    async def scene() -> None:
        life = await running(world)
        changes(world, "abcdefgh", 8)
        begun = anyio.current_time()
        await world.all_passed()
        assert 11.0 <= anyio.current_time() - begun < 13.0
        await life.stop()

    world.play(scene)


def test_no_call_has_more_than_a_seconds_worth() -> None:
    """Or at least one; the sink itself would take a hundred at once."""
    for per_sec, largest in ((5.0, 5), (0.5, 1), (1000.0, 100)):
        for policy, bound in ((RoutePolicy(rate_per_sec=per_sec), None), (RoutePolicy(), per_sec)):
            sink = Scripted(traits=SinkTraits(lanes=1, max_batch=100, keeps_order=True))
            played(sink, changes_of(History(), KEYS), policy, rate_per_sec=bound)
            assert max(len(call) for call in sink.calls) == largest


def test_waiting_for_permits_takes_nobodys_place() -> None:
    """The sink has one place; a route of one event an hour leaves it to the other."""
    target = Target("shared", SinkTraits(lanes=4, concurrency=1), secs=0.01)
    slow = RoutePlan("slow", target, RoutePolicy(rate_per_sec=1 / 3600, window_events=1000))
    world = World([slow, RoutePlan("fast", target, RoutePolicy(window_events=1000))])

    async def scene() -> None:
        await running(world)
        for _ in range(10):
            changes(world, "abcd", 5)
            await anyio.sleep(1.0)
        assert (len(delivered(world, "slow")), len(delivered(world, "fast"))) == (1, 200)

    world.play(scene)


def test_a_route_keeps_to_its_concurrency() -> None:
    """With less than the sink allows; more has no effect."""
    for own, general, most in ((3, None, 3), (50, None, 8), (None, 2, 2), (None, 50, 8), (3, 2, 2)):
        sink = Scripted(traits=SinkTraits(lanes=16, concurrency=8))
        played(sink, changes_of(History(), KEYS), RoutePolicy(concurrency=own), concurrency=general)
        assert sink.most_at_once == most


def test_an_attempt_that_waited_for_permits_does_not_go_to_a_sink_that_went_down() -> None:
    """Eight lanes wait for a permit each; the first one's answer is to come back in a minute."""
    busy = Retry(Fault.UNAVAILABLE, "busy", after_secs=60.0)
    sink = Scripted([busy], traits=SinkTraits(lanes=8), secs=0.1)
    policy = RoutePolicy(RetryPolicy(3, 0.1, 1.0), CircuitPolicy(5, 1.0, 60.0), rate_per_sec=1.0)
    assert played(sink, changes_of(History(), KEYS[:8]), policy) == []
    assert sink.times[0] == 0.0
    assert 60.1 <= sink.times[1] < 62.0
    assert len(sink.calls) == 9


def test_permits_of_attempts_that_did_not_go_out_are_not_lost() -> None:
    """Two waited for one each while the sink was down; when it is back, the first goes at once."""
    busy = Retry(Fault.UNAVAILABLE, "busy", after_secs=90.0)
    sink = Scripted([busy], traits=SinkTraits(lanes=3), secs=0.1)
    played(sink, changes_of(History(), KEYS[:3]), RoutePolicy(rate_per_sec=1 / 60))
    assert [round(at, 1) for at in sink.times] == [0.0, 90.1, 150.1, 210.1]
