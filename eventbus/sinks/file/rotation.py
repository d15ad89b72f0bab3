"""Names of finished files: ``<name>.<UTC time>-<number><suffix>``, ordered as they were written. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

__all__ = ["next_name", "rotated_names"]


def next_name(name: str, present: Iterable[str], now: datetime, suffix: str = "") -> str:
    """The name for a file that is finished at `now` (in UTC).

    It comes after every one in `present`, even if the clock was set back or older ones were deleted.
    """
    stamp, number = now.strftime("%Y%m%dT%H%M%SZ"), 0
    earlier = _parsed(name, present, suffix)
    if earlier and earlier[-1][0] >= stamp:
        stamp, number = earlier[-1][0], earlier[-1][1] + 1
    return f"{name}.{stamp}-{number:04d}{suffix}"


def rotated_names(name: str, present: Iterable[str], suffix: str = "") -> list[str]:
    """Those of `present` that are finished files of `name`, oldest first."""
    return [f"{name}.{stamp}-{number:04d}{suffix}" for stamp, number in _parsed(name, present, suffix)]


def _parsed(name: str, present: Iterable[str], suffix: str) -> list[tuple[str, int]]:
    pattern = re.compile(re.escape(name) + r"\.(\d{8}T\d{6}Z)-(\d{4,})" + re.escape(suffix))
    matches = (pattern.fullmatch(other) for other in present)
    return sorted((match[1], int(match[2])) for match in matches if match)
