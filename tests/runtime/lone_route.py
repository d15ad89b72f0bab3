"""A route without a daemon around it: events are taken by hand, and the store's side is a book."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from random import Random

import anyio

from eventbus.core.holds import Hold
from eventbus.errors import Unreachable
from eventbus.model import Batch, DeadLetter, Event, Message, Outcome, Position
from eventbus.runtime.policy import RetryPolicy, RoutePolicy
from eventbus.runtime.route import Route
from eventbus.runtime.shared_sink import SharedSink
from eventbus.sdk import SinkTraits
from tests.runtime.clock import run_virtual
from tests.runtime.target import FaultySink, RouteTag, Target, Trouble

__all__ = ["Arrivals", "Book", "play", "take"]


class Book:
    """The store's side: which deliveries it waits for, what it was told, and when it can be reached."""

    def __init__(self, *awaited: Event, back_at: float = 0.0, secs: float = 0.01) -> None:
        self.told: list[Event] = []
        self.parked: list[DeadLetter] = []
        self.tries = 0
        self._awaited = awaited
        self._back_at = back_at
        self._secs = secs

    async def park(self, letters: Sequence[DeadLetter]) -> None:
        """See `Letters`."""
        await self._reach()
        self.parked += letters

    @property
    def awaits_any(self) -> bool:
        """See `Letters`."""
        return True

    def awaits(self, event: Event) -> bool:
        """See `Letters`."""
        return event in self._awaited

    async def delivered(self, events: Sequence[Event]) -> None:
        """See `Letters`."""
        await self._reach()
        self.told += events

    async def _reach(self) -> None:
        self.tries += 1
        await anyio.sleep(self._secs)
        if anyio.current_time() < self._back_at:
            raise Unreachable("the store is away")


class Arrivals:
    """What the target got, in order."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def opening(self) -> None:
        """See `Answers`."""

    def sending(self, route: str, messages: Sequence[Message]) -> None:
        """See `Answers`."""

    def arrived(self, route: str, event: Event) -> None:
        """See `Answers`."""
        self.events.append(event)

    def answered(self, route: str, messages: Sequence[Message], outcomes: Sequence[Outcome]) -> None:
        """See `Answers`."""

    def misused(self, text: str) -> None:
        """See `Answers`."""
        raise AssertionError(text)


def play(
    book: Book,
    events: Sequence[Event],
    body: Callable[[Route, Arrivals], Awaitable[None]],
    *troubles: Trouble,
    policy: RoutePolicy | None = None,
    traits: SinkTraits | None = None,
    held: Mapping[bytes, Hold] | None = None,
) -> None:
    """Take events on a route with a single lane unless told otherwise, and see what becomes of them."""

    async def whole() -> None:
        arrivals = Arrivals()
        target = Target("only", traits or SinkTraits(lanes=1), list(troubles))
        sink = SharedSink(FaultySink(target, lambda: False, arrivals, Random(0)))
        await sink.open()
        route = Route(
            subscription="orders",
            name="only",
            sink=sink,
            encoder=RouteTag("only"),
            policy=policy or RoutePolicy(RetryPolicy(3, 0.1, 1.0)),
            start=Position("0"),
            parked=(),
            letters=book,
            held=held,
            changed=lambda _: None,
            rng=Random(0),
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(route.run)
            assert route.take(Batch(events, events[-1].position))
            await body(route, arrivals)
            tasks.cancel_scope.cancel()

    run_virtual(whole)


def take(route: Route, events: Sequence[Event]) -> None:
    """Let a route take more events, which must fit."""
    assert route.take(Batch(events, events[-1].position))
