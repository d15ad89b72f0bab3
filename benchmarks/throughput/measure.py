"""What a process costs and how fast it gets on, seen from outside."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

__all__ = ["Result", "Usage", "follow", "medians", "usage"]

_TICKS = os.sysconf("SC_CLK_TCK")
_POLL_SECS = 0.5
"""A look costs the process some milliseconds."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used so far.

    Args:
        cpu_secs: Of a processor, in user code and in the kernel.
        peak_bytes: The most memory that was resident.
    """

    cpu_secs: float
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Result:
    """One run.

    Args:
        per_sec: Events a second, from the first to the last.
        cpu_us: Microseconds of a processor for each.
        peak_mb: Megabytes of memory at most.
    """

    per_sec: float
    cpu_us: float
    peak_mb: float

    def as_dict(self) -> dict[str, float]:
        return {name: round(value, 2) for name, value in asdict(self).items()}


def usage(pid: int) -> Usage:
    """What a process has used so far, from /proc (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    peak = next(
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")
    )
    return Usage((int(fields[11]) + int(fields[12])) / _TICKS, int(peak.split()[1]) * 1024)


def follow(pid: int, count: Callable[[], int], events: int, *, within_secs: float = 600.0) -> Result:
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
        time.sleep(_POLL_SECS)
    else:
        raise TimeoutError(f"{count()} of {events} events after {within_secs:.0f} s")
    if len(looks) < 4:
        raise ValueError(f"{events} events are too few: they were over in {len(looks)} looks")
    (since, had, before), (until, there, used) = looks[0], looks[-2]
    return Result(
        (there - had) / (until - since),
        (used.cpu_secs - before.cpu_secs) / (there - had) * 1e6,
        looks[-1][2].peak_bytes / 1e6,
    )


def medians(runs: list[Result]) -> Result:
    """The median of each number."""
    return Result(
        median(run.per_sec for run in runs),
        median(run.cpu_us for run in runs),
        median(run.peak_mb for run in runs),
    )
