"""How often somebody may ask: a bucket for each caller, which nobody waits for. It knows no HTTP."""

from __future__ import annotations

from collections.abc import Callable

from cachetools import LRUCache

__all__ = ["Limits"]

_MOST_CALLERS = 4096


class Limits:
    """A bucket of permits for each caller; the least recent of very many callers begins with a full one.

    Args:
        per_sec: How many permits flow into each bucket.
        burst: How many it holds.
        now: The time in seconds.
    """

    def __init__(self, per_sec: float, burst: float, now: Callable[[], float]) -> None:
        self._per_sec = per_sec
        self._burst_secs = burst / per_sec
        self._now = now
        self._full_at: LRUCache[str, float] = LRUCache(_MOST_CALLERS)

    def refused_for(self, caller: str) -> float:
        """Take a permit: 0 if there was one, else the seconds until there is."""
        now = self._now()
        full_at = max(self._full_at.get(caller, now), now)
        wait_secs = full_at + 1 / self._per_sec - now - self._burst_secs
        if wait_secs > 1e-9:
            return wait_secs
        self._full_at[caller] = full_at + 1 / self._per_sec
        return 0.0
