"""Dates as BSON has them, in UTC and without a zone, and as text, numbers and in the zones of people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Final

from bson.datetime_ms import DatetimeMS

__all__ = ["LONGEST_DATE", "from_iso", "from_millis", "naive", "to_iso", "to_millis"]

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - BSON decodes to naive times, which are UTC
_MILLISECOND: Final = timedelta(milliseconds=1)
LONGEST_DATE: Final = 100
"""A text of more letters is no date."""


def naive(value: datetime) -> datetime:
    """The same moment as BSON has it: in UTC, without a zone, in whole milliseconds.

    Raises:
        OverflowError: It lies before the first year, or behind the last.
    """
    if value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    return value.replace(microsecond=value.microsecond // 1000 * 1000)


def from_iso(text: str, zone: tzinfo) -> datetime:
    """The moment that a text in the form of ISO 8601 names.

    Args:
        text: With a zone, or without.
        zone: Where it is meant if it has none.

    Raises:
        ValueError: It is in another form.
        OverflowError: See `naive`.
    """
    if len(text) > LONGEST_DATE:
        raise ValueError("too long for a date")
    found = datetime.fromisoformat(text.strip())
    return naive(found if found.tzinfo is not None else found.replace(tzinfo=zone))


def from_millis(number: Decimal) -> datetime:
    """The moment so many milliseconds after the beginning of 1970.

    Raises:
        OverflowError: It lies before the first year, or behind the last.
    """
    if abs(number) > _FARTHEST:
        raise OverflowError
    return _EPOCH + int(number) * _MILLISECOND


_FARTHEST: Final = 10**15


def to_millis(value: datetime | DatetimeMS) -> int:
    """Milliseconds since the beginning of 1970."""
    return int(value) if isinstance(value, DatetimeMS) else (naive(value) - _EPOCH) // _MILLISECOND


def to_iso(value: datetime) -> str:
    """The moment as text, in UTC; with milliseconds if it has any."""
    moment = naive(value)
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds") + "Z"
