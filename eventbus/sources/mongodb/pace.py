"""How many documents a snapshot reads at once, and when: fast, but never so that changes must wait long.

It decides; it does no I/O, and is told the time.
"""

from __future__ import annotations

from math import inf
from typing import Final

from eventbus.model import ClusterTime
from eventbus.sources.mongodb.options import SnapshotOptions

__all__ = ["Pace"]

_FIRST_DOCUMENTS: Final = 100
"""Of a collection whose documents may have any size."""
_ROUND_BYTES: Final = 8 * 1024 * 1024
"""What is read at once stays in memory until every route has taken it."""


class Pace:
    """The pace of one snapshot.

    Args:
        options: What the user wrote under ``source.snapshot``.
    """

    def __init__(self, options: SnapshotOptions) -> None:
        self._options = options
        self._bytes_each = inf
        self._free_at = -inf

    @property
    def chunk(self) -> int:
        """How many documents one query may bring."""
        options = self._options
        if self._bytes_each == inf:
            return min(options.chunk, _FIRST_DOCUMENTS)
        return max(1, min(options.chunk, int(_ROUND_BYTES / options.parallel / self._bytes_each)))

    @property
    def round(self) -> int:
        """How many documents may be read at one place of the stream, at most a second's worth."""
        options = self._options
        several = 1 if self._bytes_each == inf else options.parallel
        return min(several * self.chunk, max(1, int(options.rate)) if options.rate else several * self.chunk)

    def wait_secs(self, now: float) -> float:
        """How long nothing may be read."""
        return max(0.0, self._free_at - now)

    def is_behind(self, read: ClusterTime, server: ClusterTime | None) -> bool:
        """Whether the stream is so far behind the server that it must be read alone."""
        return server is not None and server.seconds - read.seconds > self._options.pause_on_lag

    def begin_collection(self) -> None:
        """What comes next may be of another size."""
        self._bytes_each = inf

    def read(self, count: int, size: int, now: float) -> None:
        """So many documents were read, of so many bytes in all."""
        if count:
            self._bytes_each = max(1.0, size / count)
        if self._options.rate:
            self._free_at = max(self._free_at, now) + count / self._options.rate
