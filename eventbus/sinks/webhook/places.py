"""How many requests are under way at once: as configured, or as many as are good for the endpoint."""

from __future__ import annotations

import asyncio
from collections import deque

from eventbus.core.adaptive import AdaptiveConcurrency
from eventbus.telemetry import metrics

__all__ = ["Places"]


class Places:
    """Places for requests, given in the order in which they were asked for.

    Where one is free nothing is awaited.

    Args:
        sink: Name of the sink.
        most: How many there are at most.
        adaptive: Whether their number follows what the endpoint bears.
    """

    def __init__(self, sink: str, most: int, *, adaptive: bool) -> None:
        self._sink = sink
        self._most = most
        self._adaptive = AdaptiveConcurrency(most) if adaptive else None
        self._under_way = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        if adaptive:
            metrics.sink_concurrency(sink, self._limit)

    async def enter(self) -> None:
        """Take a place, held until `leave`."""
        if self._under_way < self._limit and not self._waiting:
            self._under_way += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self._give_up()
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise

    def leave(self, begun_at: float, now: float, *, is_answered: bool | None) -> None:
        """A request is over.

        Args:
            begun_at: When it began.
            now: The present moment, on the same clock.
            is_answered: Whether the endpoint bore it well; None if that is not known.
        """
        if self._adaptive is not None and is_answered is not None:
            before = self._adaptive.limit
            if is_answered:
                self._adaptive.answered(now - begun_at, self._under_way)
            else:
                self._adaptive.refused(begun_at, now)
            if self._adaptive.limit != before:
                metrics.sink_concurrency(self._sink, self._adaptive.limit)
        self._give_up()

    @property
    def _limit(self) -> int:
        return self._adaptive.limit if self._adaptive is not None else self._most

    def _give_up(self) -> None:
        self._under_way -= 1
        while self._waiting and self._under_way < self._limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self._under_way += 1
                turn.set_result(None)
