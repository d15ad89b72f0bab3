"""Dates read from what people and programs write, and what calendars say of them, in a zone.

Nothing here asks a clock: an age is that at another date.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias
from zoneinfo import ZoneInfo, available_timezones

from bson.timestamp import Timestamp

from eventbus.expressions.values import kind_of
from eventbus.stages.conversion import converted, decimal_of
from eventbus.stages.fields import UnfitValue
from eventbus.stages.moments import LONGEST_DATE, from_iso, from_millis, naive
from eventbus.suggestions import did_you_mean

__all__ = [
    "Component",
    "Period",
    "Unit",
    "age",
    "checked_output",
    "checked_source",
    "component_of",
    "date_of",
    "formatted",
    "local",
    "truncated",
    "zone_named",
]

Component: TypeAlias = Literal[
    "year", "quarter", "month", "week", "day", "weekday", "hour", "minute", "second"
]
Period: TypeAlias = Literal["year", "quarter", "month", "week", "day", "hour", "minute", "second"]
Unit: TypeAlias = Literal["years", "days", "hours"]

_DIRECTIVE: Final = re.compile(r"%(.?)", re.DOTALL)
_READABLE: Final = frozenset("YymdHIMSfpzjbBaA%")
_WRITABLE: Final = _READABLE | frozenset("GVu")
_DIGITS: Final = re.compile(r"[+-]?[0-9]{1,17}(\.[0-9]{1,9})?")
_MILLIS: Final[Mapping[str, int]] = {"epoch_ms": 1, "epoch_s": 1000}
_ISO: Final = "iso"
_SECS: Final[Mapping[Unit, int]] = {"days": 86_400, "hours": 3_600}


def zone_named(name: str) -> tzinfo:
    """A time zone by its name in the IANA's database.

    Raises:
        ValueError: There is none.
    """
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        guess = did_you_mean(name, available_timezones())
        raise ValueError(
            f"unknown time zone {name!r}{guess}: expected a name such as Europe/Berlin"
        ) from None


def checked_source(form: str) -> str:
    """A form in which dates are read: iso, epoch_s, epoch_ms, or with directives such as %d.%m.%Y.

    Raises:
        ValueError: It is none.
    """
    if form == _ISO or form in _MILLIS:
        return form
    directives = _directives(form, _READABLE)
    if not {"Y", "y"} & set(directives):
        raise ValueError(
            f"expected iso, epoch_s, epoch_ms, or a form with a year such as %d.%m.%Y, got {form!r}"
        )
    if len(set(directives)) < len([one for one in directives if one != "%"]):
        raise ValueError(f"{form!r} has a directive twice")
    return form


def checked_output(form: str) -> str:
    """A form in which dates are written: iso, or with directives such as %d.%m.%Y.

    Raises:
        ValueError: It is none.
    """
    if form != _ISO and not _directives(form, _WRITABLE):
        raise ValueError(f"expected iso, or a form such as %d.%m.%Y, got {form!r}")
    return form


def _directives(form: str, known: frozenset[str]) -> list[str]:
    found = _DIRECTIVE.findall(form)
    wrong = next((one for one in found if one not in known), None)
    if wrong is not None:
        listed = " ".join(f"%{one}" for one in sorted(known))
        raise ValueError(f"unknown directive %{wrong} (known: {listed})")
    return found


def date_of(value: Any, forms: Sequence[str], zone: tzinfo) -> datetime:
    """The date that a value says, as BSON has it.

    Args:
        value: A date, a text or a number.
        forms: How a text or a number may say it; the first that fits counts.
        zone: Where a text is meant that names no zone.

    Raises:
        UnfitValue: It says none.
    """
    if isinstance(value, datetime | Timestamp):
        found: datetime = converted(value, "date")
        return found
    for form in forms:
        try:
            moment = _read(value, form, zone)
        except (ValueError, OverflowError):
            continue
        if moment is not None:
            return moment
    raise UnfitValue(f"{kind_of(value)} is no date in {' or '.join(forms)}")


def _read(value: Any, form: str, zone: tzinfo) -> datetime | None:
    if form in _MILLIS:
        number = Decimal(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else decimal_of(value)
        return from_millis(number * _MILLIS[form]) if number is not None else None
    if not isinstance(value, str) or len(value) > LONGEST_DATE:
        return None
    if form == _ISO:
        return from_iso(value, zone)
    moment = datetime.strptime(value.strip(), form)  # noqa: DTZ007 - it gets its zone below
    return naive(moment if moment.tzinfo is not None else moment.replace(tzinfo=zone))


def local(moment: datetime, zone: tzinfo) -> datetime:
    """A date of BSON as clocks and calendars in a zone have it.

    Raises:
        UnfitValue: They have no such year.
    """
    try:
        return moment.replace(tzinfo=UTC).astimezone(zone)
    except OverflowError:
        raise UnfitValue("a date that calendars do not have there") from None


def component_of(there: datetime, component: Component) -> int:
    """What a calendar says of a local date; weeks and weekdays as ISO 8601 counts them, Monday being 1."""
    return _COMPONENTS[component](there)


_COMPONENTS: Final[Mapping[Component, Callable[[datetime], int]]] = {
    "year": lambda there: there.year,
    "quarter": lambda there: (there.month + 2) // 3,
    "month": lambda there: there.month,
    "week": lambda there: there.isocalendar().week,
    "day": lambda there: there.day,
    "weekday": lambda there: there.isoweekday(),
    "hour": lambda there: there.hour,
    "minute": lambda there: there.minute,
    "second": lambda there: there.second,
}


def age(since: datetime, now: datetime, unit: Unit) -> int:
    """Whole years, days or hours between two local dates; negative if the first lies ahead."""
    passed = now.astimezone(UTC) - since.astimezone(UTC)  # of one zone, local times would be subtracted
    if passed < timedelta():
        return -age(now, since, unit)
    if unit == "years":
        return max(0, now.year - since.year - (_in_year(now) < _in_year(since)))
    return int(passed.total_seconds()) // _SECS[unit]


def _in_year(there: datetime) -> tuple[int, int, Any]:
    return there.month, there.day, there.time()


def truncated(there: datetime, period: Period) -> datetime:
    """When a period began that a local date lies in, as BSON has it.

    Raises:
        UnfitValue: BSON has no such date.
    """
    day = there.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    try:
        return naive(_BEGINNINGS[period](there, day))
    except OverflowError:
        raise UnfitValue("a date whose period begins before the first year") from None


_BEGINNINGS: Final[Mapping[Period, Callable[[datetime, datetime], datetime]]] = {
    "year": lambda _, day: day.replace(month=1, day=1),
    "quarter": lambda _, day: day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1),
    "month": lambda _, day: day.replace(day=1),
    "week": lambda _, day: day - timedelta(days=day.weekday()),
    "day": lambda _, day: day,
    "hour": lambda there, _: there.replace(minute=0, second=0, microsecond=0),
    "minute": lambda there, _: there.replace(second=0, microsecond=0),
    "second": lambda there, _: there.replace(microsecond=0),
}


def formatted(there: datetime, form: str) -> str:
    """A local date as text."""
    if form == _ISO:
        text = there.isoformat(timespec="milliseconds" if there.microsecond else "seconds")
        return f"{text[:-6]}Z" if there.tzinfo is UTC else text
    year = f"{there.year:04d}"  # the C library writes early years shorter
    return there.strftime(_DIRECTIVE.sub(lambda one: year if one[1] == "Y" else one[0], form))
