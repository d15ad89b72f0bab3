"""A stretch of a source's history, and a reader that ends with it, also where nothing comes any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from eventbus.errors import ConfigurationError, PositionLost
from eventbus.model import Batch, ClusterTime, Position
from eventbus.runtime.replay import is_exhausted
from eventbus.sdk import Source
from eventbus.sources.mongodb.reader import MongoReader

__all__ = ["Stretch", "StretchReader", "stretch_of"]

_LONGEST_POLL_MS: Final = 200
_QUIET_POLLS: Final = 2
"""So many polls bring nothing where the end is one tick away: without a write no token gets beyond it."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """What is read.

    Args:
        start: Everything after it.
        until: Nothing beyond it.
        is_short: Whether it begins later than was asked, because the source no longer has what was before.
    """

    start: Position
    until: Position
    is_short: bool = False

    @property
    def first(self) -> int:
        """The second at which it begins."""
        return self.start.cluster_time.seconds if self.start.cluster_time is not None else 0

    @property
    def secs(self) -> int:
        """How many seconds of cluster time it covers, at least one."""
        end = self.until.cluster_time
        return max(1, end.seconds - self.first) if end is not None else 1

    def share(self, position: Position) -> float:
        """How much of it lies behind a position, between 0 and 1."""
        time = position.cluster_time
        return 0.0 if time is None else min(1.0, max(0.0, (time.seconds - self.first) / self.secs))


async def stretch_of(source: Source, wanted: Position, until: Position) -> Stretch:
    """The part of a stretch that the source still has.

    Args:
        source: The source.
        wanted: Where it should begin.
        until: Where it ends.

    Raises:
        Unreachable: The source does not answer now.
        ConfigurationError: It is empty.
    """
    try:
        oldest = await source.oldest()
    except ConfigurationError:  # it may not be asked; the reader will say what it no longer has
        oldest = wanted
    is_short = oldest.token > wanted.token
    start = oldest if is_short else wanted
    if start.token >= until.token:
        raise ConfigurationError("the stretch to read is empty: it begins where it ends, or later")
    return Stretch(start, until, is_short)


class StretchReader:
    """Reads a stretch and no more.

    Args:
        source: What it reads.
        stretch: How far.
    """

    def __init__(self, source: Source, stretch: Stretch) -> None:
        self.position = stretch.start
        """Everything up to here was returned."""
        self._until = stretch.until
        self._reader = source.reader(stretch.start)
        if isinstance(self._reader, MongoReader):
            self._reader.wait_at_most_ms = _LONGEST_POLL_MS
        self._quiet = 0
        self._is_over = False

    async def next(self) -> Batch | None:
        """What came next; None behind the end.

        Raises:
            PositionLost: The source forgot what comes next while it was read.
            ConfigurationError: The source refuses the subscription.
        """
        if self._is_over:
            return None
        batch = await self._reader.next()
        if batch is None:
            raise PositionLost("the reader was closed before the end of the stretch")
        self._quiet = self._quiet + 1 if not batch.slots and self._is_near(batch.end) else 0
        if batch.end.token >= self._until.token or is_exhausted(self._reader, batch):
            self._is_over = True
            batch = Batch(batch.slots[: batch.after(self._until.token)], self._until)
        self._is_over = self._is_over or self._quiet >= _QUIET_POLLS
        self.position = batch.end
        return batch

    async def close(self) -> None:
        """Give up its cursor."""
        await self._reader.close()

    def _is_near(self, position: Position) -> bool:
        """Whether nothing that was committed before the end lies beyond a position, but of the last tick."""
        time, end = position.cluster_time, self._until.cluster_time
        if time is None or end is None:
            return False
        return ClusterTime(time.seconds, time.increment + 1) >= end
