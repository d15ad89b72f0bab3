"""Ordered work of one route: lanes by key, batches from a lane, waves in which no key repeats."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from itertools import islice
from typing import TypeVar

import anyio

from eventbus.core.signal import Signal
from eventbus.core.window import Entry

__all__ = ["Lane", "front", "next_wave"]

T = TypeVar("T")


class Lane:
    """A queue that workers empty in order. Its length is bounded by the route's window.

    Args:
        wait_secs: How long an event may wait for others to fill its batch.
    """

    def __init__(self, wait_secs: float = 0.0) -> None:
        self._queue: deque[Entry] = deque()
        self._filled = Signal()
        self._wait_secs = wait_secs
        self._put_at: deque[float] = deque()
        self._size = 0

    def put(self, entries: Sequence[Entry]) -> None:
        """Append entries, in source order."""
        self._queue.extend(entries)
        if self._wait_secs:
            self._put_at.extend([anyio.current_time()] * len(entries))
            self._size += sum(entry.event.size for entry in entries)
        self._filled.notify()

    def hurry(self) -> None:
        """Let nothing wait for fuller batches from now on."""
        self._wait_secs = 0.0
        self._put_at.clear()
        self._filled.notify()

    async def next_batch(self, max_events: int, max_size: int) -> list[Entry]:
        """Wait for work and take as much as there is, up to a number of events and of bytes."""
        while True:
            while not self._queue:
                await self._filled.wait()
            if not self._wait_secs or await self._is_due(max_events, max_size):
                return self._take(max_events, max_size)

    async def _is_due(self, max_events: int, max_size: int) -> bool:
        """Whether a batch is full or has waited long enough; if not, wait for a change of that."""
        due_at = self._put_at[0] + self._wait_secs
        if (
            anyio.current_time() >= due_at
            or len(self._queue) >= max_events
            or self._size >= max_size
            or self._queue[0].event.is_barrier  # it is alone
        ):
            return True
        with anyio.CancelScope(deadline=due_at):
            await self._filled.wait()
        return False

    def _take(self, max_events: int, max_size: int) -> list[Entry]:
        batch = front(self._queue, max_events, max_size)
        if self._put_at:
            self._size -= sum(entry.event.size for entry in batch)
            for _ in batch:
                self._put_at.popleft()
        return batch


def front(queue: deque[Entry], max_events: int, max_size: int) -> list[Entry]:
    """Take what there is off the front, up to a number of events and of bytes; a larger one comes alone."""
    count = size = 0
    for entry in islice(queue, max_events):
        size += entry.event.size
        if size > max_size and count:
            break
        count += 1
    return [queue.popleft() for _ in range(count)]


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
