"""How many calls at once are good for a target: found out from how it answers. No I/O, no waiting.

More while the target answers as fast as it can, fewer when it fails: additive increase, multiplicative
decrease.
"""

from __future__ import annotations

from math import inf
from typing import Final

__all__ = ["AdaptiveConcurrency"]

_FIRST: Final = 4
_SHRINKING: Final = 0.7
_TOLERANCE: Final = 2.0
_GRANULE_SECS: Final = 0.005
"""Differences below this are our own scheduling, not the target's."""
_SMOOTHING: Final = 0.1
_FORGETTING: Final = 0.001
"""A target that has become slower for good is taken as it is after a thousand answers or so."""


class AdaptiveConcurrency:
    """A limit that moves between 1 and `most`.

    Args:
        most: The limit that is never exceeded.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = float(min(_FIRST, most))
        self._is_starting = True
        self._shrunk_at = -inf
        self._fastest_secs = inf
        self._recent_secs = 0.0

    @property
    def limit(self) -> int:
        """How many calls may be under way at once now."""
        return int(self._limit)

    def answered(self, secs: float, under_way: int) -> None:
        """A call succeeded.

        Args:
            secs: How long it took.
            under_way: How many were under way when it ended, itself included. A limit that is not used does
                not grow: nobody knows what more would do.
        """
        self._learn(secs)
        if not self._holds():
            self._is_starting = False
        elif under_way >= self.limit:
            step = 1.0 if self._is_starting else 1.0 / self._limit
            self._limit = min(self._limit + step, float(self._most))

    def refused(self, begun_at: float, now: float) -> None:
        """A call failed, or was asked to come later. Calls from before the last shrinking say nothing new."""
        self._is_starting = False
        if begun_at >= self._shrunk_at:
            self._limit = max(self._limit * _SHRINKING, 1.0)
            self._shrunk_at = now

    def _learn(self, secs: float) -> None:
        if secs <= self._fastest_secs:
            self._fastest_secs = secs
        else:
            self._fastest_secs += (secs - self._fastest_secs) * _FORGETTING
        self._recent_secs += (secs - self._recent_secs) * (_SMOOTHING if self._recent_secs else 1.0)

    def _holds(self) -> bool:
        return self._recent_secs <= self._fastest_secs * _TOLERANCE + _GRANULE_SECS
