"""How fast a stock shrinks, and when it will be gone at that rate."""

from __future__ import annotations

from collections import deque
from math import inf

__all__ = ["Burn"]


class Burn:
    """Looks at a stock now and then, and tells the mean rate of the last minutes.

    The mean of a stretch is taken from its two ends, since a stock such as an oplog shrinks in steps: the
    server drops its oldest entries many at a time, and a rate between two looks would be nothing or all.

    Args:
        over_secs: How long the stretch is.
    """

    def __init__(self, over_secs: float = 300.0) -> None:
        self._over_secs = over_secs
        self._looks: deque[tuple[float, float]] = deque()

    def look(self, now: float, stock: float) -> None:
        """So much is there now; a moment is never before an earlier one."""
        self._looks.append((now, stock))
        while now - self._looks[0][0] > self._over_secs and now - self._looks[1][0] >= self._over_secs:
            self._looks.popleft()

    @property
    def rate(self) -> float:
        """How much is lost each second; below 0 where the stock grows, 0 where nobody knows yet."""
        if len(self._looks) < 2:
            return 0.0
        (began, before), (ended, after) = self._looks[0], self._looks[-1]
        return (before - after) / (ended - began) if ended > began else 0.0

    @property
    def left_secs(self) -> float:
        """Seconds until nothing is left at the present rate; infinite while the stock does not shrink."""
        if not self._looks or self.rate <= 0:
            return inf
        return max(0.0, self._looks[-1][1]) / self.rate
