"""How long a server asks to be left alone."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

__all__ = ["retry_after_secs"]

_LONGEST_WAIT_SECS: Final = 3600.0


def retry_after_secs(value: str | None, now: datetime) -> float | None:
    """Seconds that a ``Retry-After`` asks for, as a number or as a date, between nothing and an hour.

    Returns:
        None if there is no such header, or none that can be understood.
    """
    if value is None:
        return None
    if re.fullmatch(r"[0-9]+", value.strip()):
        digits = value.strip().lstrip("0")
        return min(float(digits[:6] or 0), _LONGEST_WAIT_SECS)
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    aware = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
    return min(max((aware - now).total_seconds(), 0.0), _LONGEST_WAIT_SECS)
