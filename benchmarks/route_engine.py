"""Microseconds per event of the route engine alone: no I/O, no encoding, a sink that says yes.

python -m benchmarks.route_engine [events]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from time import perf_counter
from typing import ClassVar

import anyio
import structlog
from pydantic import BaseModel

from eventbus.core.signal import Signal
from eventbus.model import DELIVERED, Batch, DeadLetter, Event, Message, Outcome, Position
from eventbus.runtime.letters import OnlyParked
from eventbus.runtime.policy import RoutePolicy
from eventbus.runtime.route import Route
from eventbus.runtime.shared_sink import SharedSink
from eventbus.sdk import Encoder, Options, SinkTraits

BATCH = 1000


class NullSink:
    """Has everything at once."""

    Options: ClassVar[type[BaseModel]] = Options

    def __init__(self, traits: SinkTraits) -> None:
        self.name = "null"
        self.traits = traits

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    def encode(self, event: Event, encoder: Encoder) -> Message:
        return Message(event, encoder.encode(event))

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        await anyio.lowlevel.checkpoint()
        return [DELIVERED] * len(messages)


class NullEncoder:
    """Costs nothing."""

    content_type = "text/plain"

    def encode(self, _event: Event) -> bytes:
        return b""

    def headers(self, _event: Event) -> Sequence[tuple[str, bytes]]:
        return ()


async def nowhere(letters: Sequence[DeadLetter]) -> None:
    raise AssertionError(letters)


def batches(count: int) -> list[Batch]:
    made = []
    for first in range(0, count, BATCH):
        events = [
            Event(
                token=f"{first + place:012d}",
                operation="insert",
                database="shop",
                collection="orders",
                key=b"%d" % (place * 7919 % 5000),
                document_key=b"",
                size=500,
            )
            for place in range(BATCH)
        ]
        made.append(Batch(events, events[-1].position))
    return made


async def measure(count: int, routes: int, traits: SinkTraits) -> float:
    """Seconds per event."""
    changed = Signal()
    start = Position("0")
    made = [
        Route(
            subscription="bench",
            name=f"r{number}",
            sink=SharedSink(NullSink(traits)),
            encoder=NullEncoder(),
            policy=RoutePolicy(),
            start=start,
            parked=(),
            letters=OnlyParked(nowhere),
            changed=lambda _: changed.notify(),
        )
        for number in range(routes)
    ]
    work = batches(count)
    async with anyio.create_task_group() as tasks:
        for route in made:
            tasks.start_soon(route.run)
        await anyio.sleep(0.01)
        begun = perf_counter()
        for batch in work:
            while [route for route in made if not route.take(batch)]:
                await changed.wait()
        for route in made:
            await route.drained()
        spent = perf_counter() - begun
        tasks.cancel_scope.cancel()
    return spent / count


async def main(count: int) -> None:
    shapes = {
        "keeps order, batches of 500, 1 lane": SinkTraits(lanes=1, max_batch=500, keeps_order=True),
        "keeps order, batches of 500, 4 lanes": SinkTraits(lanes=4, max_batch=500, keeps_order=True),
        "waves, batches of 100, 4 lanes": SinkTraits(lanes=4, max_batch=100),
        "single, 16 lanes": SinkTraits(lanes=16, max_batch=1),
    }
    for name, traits in shapes.items():
        one, three = [
            min([await measure(count, routes, traits) for _ in range(2)]) * 1e6 for routes in (1, 3)
        ]
        print(f"{name:40s} 1 route {one:6.2f} us/event   3 routes {three:6.2f} us/event")


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    anyio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
