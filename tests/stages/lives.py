"""A route through several lives of its daemon: batches overlap, lanes and the target do as they like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

import anyio

from eventbus.core.signal import Signal
from eventbus.model import Batch, Event, Position
from eventbus.runtime.policy import RoutePolicy
from eventbus.runtime.route import Route
from eventbus.runtime.shared_sink import SharedSink
from eventbus.sdk import SinkTraits
from tests.runtime.clock import run_virtual
from tests.runtime.lone_route import Arrivals, Book
from tests.runtime.target import FaultySink, RouteTag, Target, Trouble

__all__ = ["Life", "lived"]


@dataclass(slots=True)
class Life:
    """What came of events in one life of a route.

    Args:
        taken: Tokens of all that it took, in order.
        arrived: What the target got, in the order in which it did.
        parked: What became dead letters.
    """

    taken: list[str] = field(default_factory=list)
    arrived: list[Event] = field(default_factory=list)
    parked: list[Event] = field(default_factory=list)


def lived(
    events: Sequence[Event],
    policy: Callable[[], RoutePolicy],
    *troubles: Trouble,
    seed: int = 0,
    lives: int = 1,
    lanes: int = 4,
) -> list[Life]:
    """Put events through a route; all lives but the last end in the middle, with a crash.

    Args:
        events: In source order.
        policy: Makes what the route is told, anew for each life of the daemon.
        troubles: Of the target.
        seed: Decides batches, crashes and latencies.
        lives: How many there are.
        lanes: How many lanes the route has.
    """
    rng = Random(seed)
    target = Target("only", SinkTraits(lanes=lanes), list(troubles))
    book = Book()
    found: list[Life] = []

    async def whole() -> None:
        start, moved = Position("0"), Signal()
        for number in range(lives):
            arrivals, parked = Arrivals(), len(book.parked)
            sink = SharedSink(FaultySink(target, lambda: False, arrivals, rng))
            await sink.open()
            route = Route(
                subscription="orders",
                name="only",
                sink=sink,
                encoder=RouteTag("only"),
                policy=policy(),
                start=start,
                parked=[letter.event.id for letter in book.parked if letter.event.token > start.token],
                letters=book,
                changed=lambda _: moved.notify(),
                rng=rng,
            )
            life = Life()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(route.run)
                crashes_at = rng.randrange(len(events)) if number < lives - 1 else len(events)
                await _feed(route, events, crashes_at, life, rng)
                while number == lives - 1 and route.watermark().token < events[-1].token:
                    await moved.wait()
                start = route.watermark()
                tasks.cancel_scope.cancel()
            life.arrived = arrivals.events
            life.parked = [letter.event for letter in book.parked[parked:]]
            found.append(life)

    run_virtual(whole, seed=seed)
    return found


async def _feed(route: Route, events: Sequence[Event], until: int, life: Life, rng: Random) -> None:
    """Offer batches that begin somewhere before what was taken last, until so many events are taken."""
    while True:
        place = sum(event.token <= route.admitted.token for event in events)
        if place >= until:
            return
        first = rng.randint(max(0, place - 5), place)
        last = rng.randint(place + 1, min(len(events), place + 8))
        before = route.admitted.token
        route.take(Batch(events[first:last], events[last - 1].position))
        life.taken += [event.token for event in events if before < event.token <= route.admitted.token]
        await anyio.sleep(rng.choice([0.0, 0.0, 0.01, 0.3]))
