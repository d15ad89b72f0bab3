"""What one call carries: as many events and bytes as the route says, within what the sink takes."""

from __future__ import annotations

import anyio
import pytest

from eventbus.runtime.policy import RoutePolicy
from eventbus.sdk import SinkTraits
from tests.runtime.history import History
from tests.runtime.scenes import changes, changes_of, delivered, running
from tests.runtime.scripted import Scripted, played
from tests.runtime.target import Target
from tests.runtime.world import RoutePlan, World

KEYS = [f"key-{number}" for number in range(50)]


@pytest.mark.parametrize(
    ("policy", "largest"),
    [
        (RoutePolicy(), 20),
        (RoutePolicy(batch_events=7), 7),
        (RoutePolicy(batch_events=1000), 20),
        (RoutePolicy(batch_size=5), 5),
        (RoutePolicy(batch_size=1000), 10),
        (RoutePolicy(batch_size=5, batch_events=3), 3),
    ],
)
def test_a_route_may_ask_for_smaller_calls_than_the_sink_takes(policy: RoutePolicy, largest: int) -> None:
    """By number and by bytes; never for larger ones. Every event here is one byte."""
    most_bytes = 10 if policy.batch_size == 1000 else 1000
    sink = Scripted(traits=SinkTraits(lanes=1, max_batch=20, max_batch_bytes=most_bytes, keeps_order=True))
    played(sink, changes_of(History(), KEYS), policy)
    assert max(len(call) for call in sink.calls) == largest
    assert sum(len(call) for call in sink.calls) == 50


def test_events_wait_for_a_fuller_call() -> None:
    """One a second for as long as the wait; then they go together."""
    target = Target("only", SinkTraits(lanes=1, max_batch=100, keeps_order=True), secs=0.0)
    world = World([RoutePlan("only", target, RoutePolicy(batch_wait_secs=10.0))])

    async def scene() -> None:
        await running(world)
        for _ in range(8):
            changes(world, "a")
            await anyio.sleep(1.0)
        assert not delivered(world, "only")
        await anyio.sleep(3.0)
        assert len(delivered(world, "only")) == 8
        assert len({arrival.secs for arrival in world.ledgers["only"].arrivals}) == 1

    world.play(scene)


def test_a_drain_waits_for_no_fuller_call() -> None:
    """What waits goes at once, and all of it is stored."""
    target = Target("only", SinkTraits(lanes=1, max_batch=100, keeps_order=True), secs=0.0)
    world = World([RoutePlan("only", target, RoutePolicy(batch_wait_secs=3600.0))])

    async def scene() -> None:
        life = await running(world)
        changes(world, "abc")
        await anyio.sleep(5.0)
        assert not delivered(world, "only")
        begun = anyio.current_time()
        await life.stop()
        assert anyio.current_time() - begun < 2.0
        assert len(delivered(world, "only")) == 3

    world.play(scene)
