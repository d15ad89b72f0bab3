"""A lane in which urgent events go first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eventbus.core.lanes import Lane, front
from eventbus.core.window import Entry
from eventbus.model import Event

__all__ = ["PriorityLane"]

_MOST_IN_A_ROW = 16
"""After so many urgent batches in a row a normal one goes, lest normal events starve."""


@dataclass(slots=True)
class _Waiting:
    """The events of one key on the lane: all of them are in the same queue, so that they keep their order."""

    is_urgent: bool
    events: int = 0


class PriorityLane(Lane):
    """Two queues instead of one. An event never goes before an earlier one of its key.

    An urgent event of a key that waits among the normal ones waits there as well; a normal one goes along
    with an earlier urgent one of its key. Urgent events wait for no fuller batch.

    Args:
        is_urgent: Which events go first.
        wait_secs: See `Lane`.
    """

    def __init__(self, is_urgent: Callable[[Event], bool], wait_secs: float = 0.0) -> None:
        super().__init__(wait_secs)
        self._is_urgent = is_urgent
        self._urgent: deque[Entry] = deque()
        self._waiting: dict[bytes, _Waiting] = {}
        self._in_a_row = 0

    def put(self, entries: Sequence[Entry]) -> None:
        """See `Lane`."""
        normal: list[Entry] = []
        for entry in entries:
            waiting = self._waiting.get(entry.event.key)
            if waiting is None:
                waiting = self._waiting[entry.event.key] = _Waiting(self._is_urgent(entry.event))
            waiting.events += 1
            (self._urgent if waiting.is_urgent else normal).append(entry)
        super().put(normal)

    async def next_batch(self, max_events: int, max_size: int) -> list[Entry]:
        """See `Lane`."""
        while not (batch := await self._next(max_events, max_size)):
            pass
        for entry in batch:
            self._went(entry.event.key)
        return batch

    async def _next(self, max_events: int, max_size: int) -> list[Entry]:
        """A batch; nothing if it had to wait and must look again."""
        if self._urgent and (self._in_a_row < _MOST_IN_A_ROW or not self._queue):
            self._in_a_row += 1
            return front(self._urgent, max_events, max_size)
        if not self._queue:
            await self._filled.wait()
            return []
        if self._wait_secs and not self._urgent and not await self._is_due(max_events, max_size):
            return []
        self._in_a_row = 0
        return self._take(max_events, max_size)

    def _went(self, key: bytes) -> None:
        waiting = self._waiting[key]
        waiting.events -= 1
        if not waiting.events:
            del self._waiting[key]
