"""The stage `date`: what is read, what calendars say of it in a zone, and that no clock is asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from bson import Decimal128, Int64, Timestamp
from hypothesis import given
from hypothesis import strategies as st

from eventbus.model import ClusterTime
from eventbus.stages.dates import Period, age, date_of, formatted, local, truncated
from eventbus.stages.fields import UnfitValue
from tests.stages.events import become, change, problem

NOON = datetime(2026, 1, 31, 12)  # noqa: DTZ001 - as BSON has it
SECS = 1_769_860_800
BERLIN = ZoneInfo("Europe/Berlin")


def _of(value: Any, **options: Any) -> Any:
    """What becomes of a value, by a change at noon."""
    event = change(document={"v": value}, cluster_time=ClusterTime(SECS, 1))
    found = become(event, {"date": {"fields": ["v"], **options}})
    return found["document"]["v"] if isinstance(found, dict) else found


@pytest.mark.parametrize(
    ("value", "parse", "becomes"),
    [
        (NOON, ["epoch_s"], NOON),
        (Timestamp(SECS, 1), ["iso"], NOON),
        ("2026-01-31T12:00:00Z", ["iso"], NOON),
        ("2026-01-31T12:00:00.0079Z", ["iso"], NOON.replace(microsecond=7000)),
        ("2026-01-31T13:00", ["iso"], NOON),
        ("31.1.2026 13:00", ["iso", "%d.%m.%Y %H:%M"], NOON),
        (" 1/31/26 1:00 PM ", ["%m/%d/%y %I:%M %p"], NOON),
        ("2026-01-31 12:00 +0000", ["%Y-%m-%d %H:%M %z"], NOON),
        (SECS, ["epoch_s"], NOON),
        (str(SECS), ["epoch_s"], NOON),
        (SECS + 0.5, ["epoch_s"], NOON.replace(microsecond=500_000)),
        (Decimal128(f"{SECS}.001"), ["epoch_s"], NOON.replace(microsecond=1000)),
        (Int64(SECS * 1000), ["iso", "epoch_ms"], NOON),
        ("2026", ["%Y"], datetime(2025, 12, 31, 23)),  # noqa: DTZ001 - as BSON has it
        (None, ["iso"], None),
    ],
)
def test_dates_are_read(value: Any, parse: list[str], becomes: Any) -> None:
    """Texts without a zone in that of the stage; the first form that fits counts."""
    assert _of(value, parse=parse, zone="Europe/Berlin") == becomes


@pytest.mark.parametrize(
    ("value", "parse", "kind"),
    [
        ("31.1.2026", ["iso", "%Y/%m/%d"], "text is no date in iso or %Y/%m/%d"),
        (SECS, ["iso"], "a number is no date in iso"),
        (True, ["epoch_s"], "true or false is no date in epoch_s"),
        (1e300, ["epoch_s"], "a number is no date in epoch_s"),
        (float("nan"), ["epoch_ms"], "a number is no date in epoch_ms"),
        ("1" * 200, ["epoch_ms", "iso", "%Y"], "text is no date in epoch_ms or iso or %Y"),
        ("0001-01-01", ["iso"], "text is no date in iso"),
    ],
)
def test_what_is_no_date_is_told_without_its_value(value: Any, parse: list[str], kind: str) -> None:
    """Too early ones among them: BSON's calendar begins with the first year of UTC."""
    assert _of(value, parse=parse, zone="Asia/Tokyo") == f"parked: stage date (1): v: {kind}"
    assert _of(value, parse=parse, zone="Asia/Tokyo", on_invalid="null") is None


@pytest.mark.parametrize(
    ("options", "result"),
    [
        ({"component": "year"}, 2025),
        ({"component": "quarter"}, 4),
        ({"component": "month"}, 12),
        ({"component": "week"}, 1),
        ({"component": "day"}, 31),
        ({"component": "weekday"}, 3),
        ({"component": "hour"}, 22),
        ({"component": "minute"}, 45),
        ({"component": "second"}, 30),
        ({"component": "day", "zone": "Asia/Tokyo"}, 1),
        ({"component": "quarter", "zone": "Asia/Tokyo"}, 1),
        ({"component": "hour", "zone": "America/St_Johns"}, 19),
        ({"age": "years"}, 0),
        ({"age": "days"}, 30),
        ({"age": "hours"}, 733),
        ({"format": "iso"}, "2025-12-31T22:45:30Z"),
        ({"format": "iso", "zone": "Asia/Tokyo"}, "2026-01-01T07:45:30+09:00"),
        ({"format": "%d.%m.%y %H:%M %G-W%V-%u 100%%Y"}, "31.12.25 22:45 2026-W01-3 100%Y"),
        ({"truncate": "year"}, "2025-01-01T00:00:00"),
        ({"truncate": "quarter"}, "2025-10-01T00:00:00"),
        ({"truncate": "month"}, "2025-12-01T00:00:00"),
        ({"truncate": "week"}, "2025-12-29T00:00:00"),
        ({"truncate": "day"}, "2025-12-31T00:00:00"),
        ({"truncate": "day", "zone": "Asia/Tokyo"}, "2025-12-31T15:00:00"),
        ({"truncate": "hour", "zone": "Asia/Kolkata"}, "2025-12-31T22:30:00"),
        ({"truncate": "minute"}, "2025-12-31T22:45:00"),
        ({"truncate": "second"}, "2025-12-31T22:45:30"),
    ],
)
def test_what_calendars_say(options: Any, result: Any) -> None:
    """In the zone that is asked for."""
    found = _of("2025-12-31T22:45:30Z", **options)
    assert (found.isoformat() if isinstance(found, datetime) else found) == result


@pytest.mark.parametrize(
    ("since", "years"),
    [("2000-02-01", 25), ("2000-01-31", 26), ("2000-01-31T12:00:01", 25), ("2027-01-31T12:00", -1)],
)
def test_an_age_is_that_at_the_change(since: str, years: int) -> None:
    """Not by any clock, so that it is the same when the change is read again."""
    assert _of(since, age="years") == years


def test_an_age_needs_a_cluster_time() -> None:
    """Which what did not come from a change stream may lack."""
    event = change(document={"v": NOON}, cluster_time=None)
    assert become(event, {"date": {"fields": ["v"], "age": "days"}}) == (
        "parked: stage date (1): v: the change has no cluster time by which to tell an age"
    )


def test_hours_that_come_twice_and_never() -> None:
    """When clocks in Berlin are changed: the first of the two; and none is before itself."""
    twice = date_of("2025-10-26T02:30", ["iso"], BERLIN)
    assert twice == datetime(2025, 10, 26, 0, 30)  # noqa: DTZ001 - as BSON has it
    second = twice + timedelta(hours=1)
    assert truncated(local(second, BERLIN), "hour") == second.replace(minute=0)
    assert truncated(local(second, BERLIN), "day") == datetime(2025, 10, 25, 22)  # noqa: DTZ001 - as above


def test_it_is_done_wherever_the_field_is() -> None:
    """In arrays, before the change, and in what an update set."""
    event = change(
        document={"a": [{"d": "2026-01-01"}]},
        before={"a": [{"d": NOON}]},
        changed={"a.0.d": {"old": NOON, "new": "2026-01-01"}},
    )
    assert become(event, {"date": {"fields": ["a.d"], "component": "day"}}) == {
        "document": {"a": [{"d": 1}]},
        "before": {"a": [{"d": 31}]},
        "changed": {"a.0.d": {"old": 31, "new": 1}},
    }


MOMENTS = st.datetimes(datetime(1902, 1, 1), datetime(2100, 1, 1)).map(  # noqa: DTZ001 - as BSON has them
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])


@given(MOMENTS, ZONES, st.sampled_from(get_args(Period)))
def test_a_period_begins_once(moment: datetime, name: str, period: Period) -> None:
    """Before or at the date, and what begins it begins with itself."""
    zone = UTC if name == "UTC" else ZoneInfo(name)
    begun = truncated(local(moment, zone), period)
    assert begun <= moment
    assert truncated(local(begun, zone), period) == begun


@given(MOMENTS, ZONES)
def test_what_is_written_is_read_again(moment: datetime, name: str) -> None:
    """In ISO 8601 with the zone's offset."""
    zone = UTC if name == "UTC" else ZoneInfo(name)
    assert date_of(formatted(local(moment, zone), "iso"), ["iso"], UTC) == moment


@given(MOMENTS, MOMENTS, st.sampled_from(["years", "days", "hours"]))
def test_ages_are_the_same_from_both_ends(one: datetime, other: datetime, unit: Any) -> None:
    """But for the sign."""
    assert age(local(one, UTC), local(other, UTC), unit) == -age(local(other, UTC), local(one, UTC), unit)


def test_hours_are_as_long_where_clocks_are_changed() -> None:
    """An hour by the clock that comes twice counts twice."""
    since, now = (datetime(2025, 10, day, 22, tzinfo=UTC).astimezone(BERLIN) for day in (25, 26))
    assert (age(since, now, "hours"), age(since, now, "days")) == (24, 1)


def test_dates_at_the_ends_of_the_calendar() -> None:
    """Are refused where a zone has no such year; early years have four digits."""
    with pytest.raises(UnfitValue):
        local(datetime(9999, 12, 31, 23), ZoneInfo("Asia/Tokyo"))  # noqa: DTZ001 - as BSON has it
    assert _of("0800-12-25", format="%Y-%m-%d") == "0800-12-25"
    assert _of("0001-01-03", truncate="week", zone="Asia/Tokyo", parse=["iso"], on_invalid="null") is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"zone": "Europe/Berlim"}, "unknown time zone 'Europe/Berlim', did you mean 'Europe/Berlin'?"),
        ({"zone": "Europe"}, "unknown time zone 'Europe'"),
        ({"zone": "../x"}, "unknown time zone '../x'"),
        ({"parse": []}, "must not be empty"),
        ({"parse": ["%d.%m."]}, "expected iso, epoch_s, epoch_ms, or a form with a year such as %d.%m.%Y"),
        ({"parse": ["isoo"]}, "expected iso, epoch_s, epoch_ms, or a form with a year such as %d.%m.%Y"),
        ({"parse": ["%Q.%Y"]}, "unknown directive %Q (known: "),
        ({"parse": ["%Y%"]}, "unknown directive % (known: "),
        ({"parse": ["%Y %d %d"]}, "'%Y %d %d' has a directive twice"),
        ({"format": "year"}, "expected iso, or a form such as %d.%m.%Y, got 'year'"),
        ({"format": "%c"}, "unknown directive %c"),
        ({"age": "years", "component": "year"}, "expected one of component, age, format, truncate"),
        ({"fields": ["a", "b"], "target": "document.c"}, "a target takes one field"),
    ],
)
def test_what_is_wrong_is_said_before_the_start(options: Any, message: str) -> None:
    """With what there is."""
    assert message in problem({"date": {"fields": ["a"], **options}})
