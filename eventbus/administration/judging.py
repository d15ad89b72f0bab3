"""What the numbers of a route mean: its health, its trend, and whether a day is like the days before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, pstdev
from typing import Final

from eventbus.administration.throughput import Throughput

__all__ = ["Band", "Health", "band_of", "health_of", "trend_of"]

_CRITICAL_ERRORS: Final = 0.05
_WARNING_ERRORS: Final = 0.01
_LEAST_PROCESSED: Final = 0.95
_LONGEST_CALL_SECS: Final = 5.0
_DAYS: Final = 7
_SIGMAS: Final = 2.0


class Health(StrEnum):
    """How well a route does its work, the worst first."""

    CRITICAL = "critical"
    """More than 5 % of its events became dead letters."""
    WARNING = "warning"
    """More than 1 % did, or less than 95 % of what was read is delivered or left out."""
    DEGRADED = "degraded"
    """A call to its sink takes more than 5 s."""
    HEALTHY = "healthy"
    UNKNOWN = "unknown"
    """No daemon says what it has done."""


@dataclass(frozen=True, slots=True)
class Band:
    """What is usual for a day: the mean of the seven days before, and two standard deviations around it.

    Args:
        low: The least that is usual.
        high: The most that is usual.
        last: How many there were within the last day.
    """

    low: float
    high: float
    last: int

    @property
    def anomaly(self) -> str | None:
        """``high`` or ``low`` if the last day is unusual."""
        if self.last > self.high:
            return "high"
        return "low" if self.last < self.low else None


def health_of(throughput: Throughput | None) -> tuple[Health, str]:
    """How well a route does, and why not better."""
    if throughput is None or throughput.error_share is None or throughput.processed_share is None:
        return Health.UNKNOWN, "" if throughput is None else "nothing was settled since the daemon's start"
    errors, processed, secs = throughput.error_share, throughput.processed_share, throughput.mean_call_secs
    if errors > _CRITICAL_ERRORS:
        return Health.CRITICAL, f"{errors:.1%} of its events became dead letters"
    if errors > _WARNING_ERRORS:
        return Health.WARNING, f"{errors:.1%} of its events became dead letters"
    if processed < _LEAST_PROCESSED:
        return Health.WARNING, f"{processed:.1%} of what was read is delivered or left out"
    if secs is not None and secs > _LONGEST_CALL_SECS:
        return Health.DEGRADED, f"a call to its sink takes {secs:.1f} s"
    return Health.HEALTHY, ""


def trend_of(now: int, before: int) -> str:
    """How a count compares with that of the stretch before."""
    if now == before:
        return "steady"
    return "rising" if now > before else "falling"


def band_of(days: Sequence[int]) -> Band | None:
    """What is usual, and the last day.

    Args:
        days: Counts of days, the oldest first; the last one is judged.

    Returns:
        None for fewer than eight days.
    """
    if len(days) < _DAYS + 1:
        return None
    before = days[-_DAYS - 1 : -1]
    mean, around = fmean(before), _SIGMAS * pstdev(before)
    return Band(mean - around, mean + around, days[-1])
