"""Permits at a steady rate: a bucket that holds a second's worth."""

from __future__ import annotations

from math import inf

import anyio

__all__ = ["Bucket"]


class Bucket:
    """Full at first. Who takes more than there is waits for the rest, and goes before all who come later.

    So in any stretch of time no more is taken than what flows in meanwhile and one full bucket.

    Args:
        per_sec: How many permits flow in each second.
    """

    def __init__(self, per_sec: float) -> None:
        self.size = max(1, int(per_sec))
        """The most permits that may be taken at once."""
        self._per_sec = per_sec
        self._full_at = -inf

    async def take(self, count: int) -> None:
        """Wait for so many permits; at most `size`. Those of a wait that is cancelled are lost."""
        now = anyio.current_time()
        self._full_at = max(self._full_at, now) + count / self._per_sec
        await anyio.sleep(max(0.0, self._full_at - now - self.size / self._per_sec))

    def give_back(self, count: int) -> None:
        """Put back permits that were not used."""
        self._full_at -= count / self._per_sec
