"""How long this thread has worked, or would have worked if another had not had the processor."""

from __future__ import annotations

from pathlib import Path
from time import thread_time

__all__ = ["work_secs"]

_SCHEDULED = Path("/proc/thread-self/schedstat")
"""Nanoseconds on a processor, nanoseconds of waiting for one, and how often (Linux)."""
_NANOS = 1_000_000_000


def work_secs() -> float:
    """Seconds that this thread has had work to do, from any start.

    Where the system does not tell how long it waited for a processor, that is missing: on a machine that
    others keep busy a thread then seems to have been idle for a part of the time.
    """
    try:
        on_it, waiting, *_ = _SCHEDULED.read_text().split()
        return (int(on_it) + int(waiting)) / _NANOS
    except (OSError, ValueError):
        return thread_time()
