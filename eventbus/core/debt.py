"""What a route owes the others of its flow for having made them wait."""

from __future__ import annotations

__all__ = ["Debt"]

_DECAY = 0.1
"""Seconds of debt that each second forgives: a route may cost the others a tenth of their time for ever."""


class Debt:
    """Seconds that others stood finished and waited for a route. It is kept when the route changes its flow.

    A timer that starts anew with each bit of progress would not do: a sink that is slow but steady frees a
    place now and then, and would pace everybody without ever being found guilty.
    """

    def __init__(self) -> None:
        self._secs = 0.0
        self._at = 0.0

    def owed(self, now: float) -> float:
        """What is owed at a moment."""
        return max(0.0, self._secs - _DECAY * (now - self._at))

    def add(self, secs: float, now: float) -> None:
        """Others have waited for so long, until now."""
        self._secs = self.owed(now) + secs
        self._at = now
