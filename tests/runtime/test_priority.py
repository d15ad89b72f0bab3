"""Urgent events on a route: before what waits, never before an earlier one of their key or past a barrier."""

from __future__ import annotations

import anyio

from eventbus.model import Event
from eventbus.runtime.policy import RoutePolicy
from eventbus.sdk import SinkTraits
from tests.runtime.history import History
from tests.runtime.scenes import changes, changes_of, delivered, running
from tests.runtime.scripted import Scripted, played
from tests.runtime.target import Target, Trouble
from tests.runtime.world import RoutePlan, World


def is_urgent(event: Event) -> bool:
    """Keys that begin with u, here."""
    return event.key.startswith(b"u")


URGENT = RoutePolicy(priority=is_urgent)


def test_urgent_events_pass_what_waits() -> None:
    """All but what is under way already."""
    events = changes_of(History(), ["a", "b", "c", "u1", "d", "u2"])
    sink = Scripted(traits=SinkTraits(lanes=1))
    played(sink, events, URGENT)
    assert [call[0].key for call in sink.calls] == [b"u1", b"u2", b"a", b"b", b"c", b"d"]


def test_urgent_events_pass_no_barrier_and_no_event_of_their_key() -> None:
    """A slow sink, so that much waits; the account would notice."""
    target = Target("only", SinkTraits(lanes=2), [Trouble("failing", keys=frozenset("u"), times=1)], secs=0.2)
    policy = RoutePolicy(priority=lambda event: int(event.token[-1], 16) % 2 == 1)
    world = World([RoutePlan("only", target, policy)])

    async def scene() -> None:
        life = await running(world)
        for _ in range(8):
            changes(world, "auabu-uba")
        await anyio.sleep(1.0)
        await world.all_passed()
        await life.stop()
        assert len(delivered(world, "only")) >= 72

    world.play(scene)
