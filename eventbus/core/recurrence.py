"""Whether what should be rare has happened too often of late."""

from __future__ import annotations

from collections import deque

__all__ = ["Recurrence"]


class Recurrence:
    """Remembers when something was done, as far back as it matters.

    Args:
        most: How often it may be done within the time.
        within_secs: The time.
    """

    def __init__(self, most: int, within_secs: float) -> None:
        self._within_secs = within_secs
        self._times: deque[float] = deque(maxlen=most)

    def is_spent(self, now: float) -> bool:
        """Whether it was done as often as it may be, so that it must rest for a while."""
        return len(self._times) == self._times.maxlen and now - self._times[0] < self._within_secs

    def note(self, now: float) -> None:
        """It is done now."""
        self._times.append(now)
