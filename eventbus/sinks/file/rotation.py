"""Names of rotated files: ``<name>.<UTC time>-<number>``, ordered as they were written. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

__all__ = ["next_name", "rotated_names"]


def next_name(name: str, present: Iterable[str], now: datetime) -> str:
    """The name for a file that is rotated at `now` (in UTC).

    It comes after every one in `present`, even if the clock was set back or older ones were deleted.
    """
    stamp, number = now.strftime("%Y%m%dT%H%M%SZ"), 0
    earlier = _parsed(name, present)
    if earlier and earlier[-1][0] >= stamp:
        stamp, number = earlier[-1][0], earlier[-1][1] + 1
    return f"{name}.{stamp}-{number:04d}"


def rotated_names(name: str, present: Iterable[str]) -> list[str]:
    """Those of `present` that are rotated files of `name`, oldest first."""
    return [f"{name}.{stamp}-{number:04d}" for stamp, number in _parsed(name, present)]


def _parsed(name: str, present: Iterable[str]) -> list[tuple[str, int]]:
    pattern = re.compile(re.escape(name) + r"\.(\d{8}T\d{6}Z)-(\d{4,})")
    matches = (pattern.fullmatch(other) for other in present)
    return sorted((match[1], int(match[2])) for match in matches if match)
