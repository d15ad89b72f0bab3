"""Times of the day and zones as people write them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from eventbus.suggestions import did_you_mean

__all__ = ["DAY_MINUTES", "TimeOfDay", "ZoneName"]

DAY_MINUTES: Final = 24 * 60
_TIME: Final = re.compile(r"(?P<hours>[01]?\d|2[0-4]):(?P<minutes>[0-5]\d)")


def _minutes(value: Any) -> int:
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    minutes = int(match["hours"]) * 60 + int(match["minutes"]) if match else DAY_MINUTES + 1
    if minutes > DAY_MINUTES:
        raise ValueError('expected a time of the day, such as "08:30"')
    return minutes


def _known(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        guess = did_you_mean(name, available_timezones())
        raise ValueError(f"unknown time zone {name!r}{guess}") from error
    return name


TimeOfDay = Annotated[
    int,
    BeforeValidator(_minutes),
    WithJsonSchema({"type": "string", "pattern": r"^([01]?\d|2[0-4]):[0-5]\d$"}),
]
"""``"08:30"``; in minutes since midnight."""
ZoneName = Annotated[str, Field(min_length=1), AfterValidator(_known)]
"""Name of a zone in the database of time zones, such as ``Europe/Berlin``."""
