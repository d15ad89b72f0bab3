"""What a process costs and how fast it gets on, seen from outside."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeAlias

__all__ = [
    "Course",
    "Numbers",
    "Usage",
    "follow",
    "medians",
    "resident_mb",
    "spreads",
    "usage",
]

Numbers: TypeAlias = dict[str, float]
"""What one run gave, by name; the name says the unit: ``per_sec``, ``cpu_us``, ``peak_mb``, ``p99_ms``…"""

_TICKS = os.sysconf("SC_CLK_TCK")
_LOOK_AGAIN = 0.1
"""The next look comes after this share of the time so far: each costs the process milliseconds."""
_LOOK_SOONEST_SECS = 0.02
_LOOK_LATEST_SECS = 1.0
_FEWEST_LOOKS = 4


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used so far.

    Args:
        cpu_secs: Of a processor, in user code and in the kernel.
        peak_bytes: The most memory that was resident.
    """

    cpu_secs: float
    peak_bytes: int


def usage(pid: int) -> Usage:
    """What a process has used so far, from /proc (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return Usage((int(fields[11]) + int(fields[12])) / _TICKS, _status_kib(pid, "VmHWM") * 1024)


def resident_mb(pid: int) -> float:
    """Megabytes of a process that are in memory now."""
    return _status_kib(pid, "VmRSS") * 1024 / 1e6


def _status_kib(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


class Course:
    """What a loop keeps of itself, from the first event to the last one.

    Args:
        events: How many there are.
    """

    def __init__(self, events: int) -> None:
        self._events = events
        self._left = events
        self._begun: tuple[float, Usage] | None = None

    def __call__(self, count: int = 1) -> bool:
        """Some more; whether that was the last."""
        if self._begun is None:
            self._begun = time.monotonic(), usage(os.getpid())
        self._left -= count
        return self._left <= 0

    def result(self) -> Numbers:
        """Call it when the last event is done with."""
        assert self._begun is not None
        since, before = self._begun
        used = usage(os.getpid())
        done = self._events - self._left
        return _numbers(done, time.monotonic() - since, used.cpu_secs - before.cpu_secs, used.peak_bytes)


def follow(
    pid: int,
    count: Callable[[], int],
    events: int,
    *,
    within_secs: float = 900.0,
) -> Numbers:
    """Look at a process until it has counted so many events; what counts lies between two looks on the way.

    Args:
        pid: The process.
        count: How many events it has settled so far.
        events: How many there are.
        within_secs: How long it may take.

    Raises:
        TimeoutError: It did not get there.
        ValueError: It got there too soon to be measured.
    """
    deadline = time.monotonic() + within_secs
    looks: list[tuple[float, int, Usage]] = []
    while time.monotonic() < deadline:
        now, there = time.monotonic(), count()
        if there:
            looks.append((now, there, usage(pid)))
        if there >= events:
            break
        time.sleep(_until_next_look(now - looks[0][0] if looks else 0.0))
    else:
        raise TimeoutError(f"{count()} of {events} events after {within_secs:.0f} s")
    if len(looks) < _FEWEST_LOOKS:
        raise ValueError(f"{events} events are too few: they were over in {len(looks)} looks")
    (since, had, before), (until, there, used) = looks[0], looks[-2]
    cpu_secs = used.cpu_secs - before.cpu_secs
    return _numbers(there - had, until - since, cpu_secs, looks[-1][2].peak_bytes)


def _until_next_look(secs: float) -> float:
    return min(max(_LOOK_AGAIN * secs, _LOOK_SOONEST_SECS), _LOOK_LATEST_SECS)


def _numbers(events: int, secs: float, cpu_secs: float, peak_bytes: int) -> Numbers:
    return {
        "per_sec": round(events / secs, 1),
        "cpu_us": round(cpu_secs / events * 1e6, 2),
        "peak_mb": round(peak_bytes / 1e6, 1),
    }


def medians(runs: Sequence[Numbers]) -> Numbers:
    """The median of each number."""
    return {name: round(median(run[name] for run in runs), 3) for name in runs[0]}


def spreads(runs: Sequence[Numbers]) -> Numbers:
    """How far the runs lie apart, for each number, as a share of its median."""
    return {
        name: round((max(values) - min(values)) / abs(middle), 3) if (middle := median(values)) else 0.0
        for name in runs[0]
        for values in [[run[name] for run in runs]]
    }
