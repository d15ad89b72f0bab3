"""Words for the scenes: a route with few arguments, and what one reads off the account afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import anyio

from eventbus.core.circuit import CircuitPolicy
from eventbus.model import Event
from eventbus.runtime.policy import Ordering, RetryPolicy, RoutePolicy
from eventbus.sdk import SinkTraits
from tests.runtime.history import History
from tests.runtime.target import Target, Trouble
from tests.runtime.world import Life, RoutePlan, World

__all__ = [
    "changes",
    "changes_of",
    "changes_until_over",
    "delivered",
    "documents",
    "lateness",
    "load",
    "open_events",
    "readers",
    "route",
    "running",
    "started",
]


def route(
    name: str,
    *troubles: Trouble,
    window: int = 64,
    size: int = 1 << 20,
    lanes: int = 2,
    max_batch: int = 1,
    keeps_order: bool = False,
    attempts: int = 3,
    failures: int = 5,
    secs: float = 0.01,
    max_open_secs: float = 5.0,
    max_age_secs: float | None = None,
    ordering: Ordering = Ordering.KEY,
    pause_after_secs: float | None = None,
) -> RoutePlan:
    """A route with a target of its own."""
    traits = SinkTraits(lanes=lanes, max_batch=max_batch, keeps_order=keeps_order)
    policy = RoutePolicy(
        RetryPolicy(attempts, 0.1, 1.0, max_age_secs),
        CircuitPolicy(failures, 0.5, max_open_secs, pause_after_secs),
        window,
        size,
        ordering=ordering,
    )
    return RoutePlan(name, Target(name, traits, list(troubles), secs), policy)


async def running(world: World, **how: object) -> Life:
    """A life that has come to reading."""
    life = world.begin(**how)  # type: ignore[arg-type]  # handed on as it is
    await started(world, life)
    return life


async def started(world: World, life: Life) -> None:
    """Wait until a life reads."""
    await world.until(lambda: life.subscription.state == "running")


def changes(world: World, keys: str, count: int = 1) -> list[Event]:
    """One change for each letter, a key of its own, over and over; a dash is a barrier."""
    return [world.change(None if key == "-" else key) for _ in range(count) for key in keys]


def changes_of(history: History, keys: Iterable[str]) -> list[Event]:
    """One change for each key of a history without a world."""
    return [history.change(key) for key in keys]


async def changes_until_over(world: World, life: Life, secs: float) -> None:
    """Changes go on until a life is over, which it must be in time."""
    until = anyio.current_time() + secs
    while not life.over.is_set() and anyio.current_time() < until:
        changes(world, "abc")
        await anyio.sleep(0.1)
    assert life.over.is_set()


def delivered(world: World, name: str) -> Sequence[Event]:
    """What arrived on a route, in order, every time it did."""
    return [arrival.event for arrival in world.ledgers[name].arrivals]


def documents(world: World, name: str) -> Sequence[str]:
    """Sorted keys of the documents that arrived on a route as they were read, every time they did."""
    return sorted(event.key.decode() for event in world.ledgers[name].readings.arrivals)


def lateness(world: World, name: str, *, since: float = 0.0) -> float:
    """How late the latest event of a route came that happened since a moment, in seconds."""
    happened = world.history.happened
    return max(
        (
            arrival.secs - happened[arrival.event.token]
            for arrival in world.ledgers[name].arrivals
            if happened.get(arrival.event.token, -1.0) >= since
        ),
        default=0.0,
    )


async def load(world: World, *, until: float, per_sec: float, keys: str = "abcdefgh") -> None:
    """Changes at a steady pace until a moment."""
    number = 0
    while anyio.current_time() < until:
        world.change(keys[number % len(keys)])
        number += 1
        await anyio.sleep(1 / per_sec)


def readers(world: World) -> int:
    """How many readers are open or closing."""
    return len(world.source.open_readers())


def open_events(life: Life, name: str) -> int:
    """What lies between the watermark of a route and its last admitted event."""
    return life.subscription.routes[name].open_events
