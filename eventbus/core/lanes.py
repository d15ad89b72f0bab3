"""Ordered work of one route: lanes by key, batches from a lane, waves in which no key repeats."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from eventbus.core.signal import Signal
from eventbus.core.window import Ticket
from eventbus.model import Event, Parked

__all__ = ["Entry", "Lane", "next_wave"]

T = TypeVar("T")


class Entry(NamedTuple):
    """One event on a lane: its ticket and its place in the ticket's slice."""

    ticket: Ticket
    place: int

    @property
    def slot(self) -> Event | Parked:
        """The event, or the event that a stage parked."""
        return self.ticket.slots[self.place]

    @property
    def event(self) -> Event:
        """The event."""
        return self.slot.event


class Lane:
    """A queue that one worker empties in order. Its length is bounded by the route's window."""

    def __init__(self) -> None:
        self._queue: deque[Entry] = deque()
        self._filled = Signal()

    def put(self, entries: Iterable[Entry]) -> None:
        """Append entries, in source order."""
        self._queue.extend(entries)
        self._filled.notify()

    async def next_batch(self, max_events: int, max_size: int) -> list[Entry]:
        """Wait for work and take as much as there is, up to a number of events and of bytes."""
        while not self._queue:
            await self._filled.wait()
        queue, size = self._queue, 0
        batch: list[Entry] = []
        while queue and len(batch) < max_events:
            size += queue[0].event.size
            if size > max_size and batch:
                break
            batch.append(queue.popleft())
        return batch


def next_wave(items: Sequence[T], key: Callable[[T], Hashable]) -> tuple[list[T], list[T]]:
    """Split off the first item of each key.

    Returns:
        The wave, and the rest in its order.
    """
    seen: set[Hashable] = set()
    wave: list[T] = []
    rest: list[T] = []
    for item in items:
        item_key = key(item)
        if item_key in seen:
            rest.append(item)
        else:
            seen.add(item_key)
            wave.append(item)
    return wave, rest
