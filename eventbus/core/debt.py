"""What a route owes the others of its flow for having made them wait."""

from __future__ import annotations

__all__ = ["Debt"]

_DECAY = 0.1
"""Seconds of debt that each second forgives: a route may cost the others a tenth of their time for ever."""
_WORTH_A_READER = 0.5
"""The share of a busy process's time that a route must take, for the others to gain by leaving it."""


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

    def add(self, secs: float, now: float, *, worked_secs: float = 0.0, alone: bool = True) -> None:
        """Others have waited for so long, until now.

        What counts in full is time in which the process had nothing to do but to wait for the sink. While it
        works, the others wait for the processor, and a reader of its own for the slow route would make the
        work more: everything would be read and encoded twice. Let the route take a share `w` of the work.
        Apart, each side has half of the processor, and the others, who need `1 - w` of the work for
        themselves, gain only if `w` is more than a half. So work that is the route's alone counts as much
        less as lets a half be forgiven for ever, and work that is others' as well is not counted. A route
        whose sink hangs in a busy process still owes a tenth of the time.

        Args:
            secs: How long they waited.
            now: The end of the wait, in seconds of the loop's clock.
            worked_secs: For how much of that the process worked.
            alone: Whether nobody but the route had anything in work.
        """
        idle_secs = max(0.0, secs - worked_secs)
        alone_secs = secs - idle_secs if alone else 0.0
        self._secs = self.owed(now) + idle_secs + alone_secs * _DECAY / _WORTH_A_READER
        self._at = now
