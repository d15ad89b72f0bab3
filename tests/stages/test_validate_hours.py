"""The stage `validate`: hours, by the clocks of a zone."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import bson
import pytest

from eventbus.model import ClusterTime
from tests.stages.rules import HOURS, judged, utc

NIGHT = {**HOURS, "days": ["fri"], "from": "22:00", "to": "06:00"}


@pytest.mark.parametrize(
    ("hours", "at", "is_kept"),
    [
        (HOURS, utc("2024-01-15T08:00"), True),
        (HOURS, utc("2024-01-15T07:59:59.999"), False),
        (HOURS, utc("2024-07-15T07:00"), True),  # the same clock an hour earlier, in summer
        (HOURS, utc("2024-07-15T06:59"), False),
        (HOURS, utc("2024-01-15T16:29"), True),
        (HOURS, utc("2024-01-15T16:30"), False),
        (HOURS, utc("2024-01-14T12:00"), False),  # a Sunday
        (NIGHT, utc("2024-01-12T21:00"), True),  # a Friday
        (NIGHT, utc("2024-01-13T04:59"), True),
        (NIGHT, utc("2024-01-13T05:00"), False),
        (NIGHT, utc("2024-01-12T04:00"), False),  # what began on Thursday
        (NIGHT, utc("2024-01-13T21:30"), False),
        (NIGHT | {"days": ["sun"]}, utc("2024-01-15T00:00"), True),  # Monday belongs to Sunday's night
        ({**HOURS, "days": ["sun"], "from": "02:00", "to": "03:00"}, utc("2024-03-31T01:00"), False),
        ({**HOURS, "days": ["sun"], "from": "02:00", "to": "03:00"}, utc("2024-10-27T00:30"), True),
        ({**HOURS, "days": ["sun"], "from": "02:00", "to": "03:00"}, utc("2024-10-27T01:30"), True),
        ({**HOURS, "days": ["mon"], "from": "00:00", "to": "24:00"}, utc("2024-01-15T22:59"), True),
        ({**HOURS, "days": ["mon"], "from": "00:00", "to": "24:00"}, utc("2024-01-15T23:00"), False),
    ],
)
def test_hours_are_those_of_the_zones_clocks(hours: dict[str, Any], at: datetime, is_kept: bool) -> None:
    """In summer and in winter: the hour that is skipped never comes, the repeated one counts twice."""
    assert judged({"_id": 1, "at": at}, hours=hours) == ("" if is_kept else "out of hours")


def test_hours_go_by_the_cluster_time_unless_told_otherwise() -> None:
    """A Monday at noon, and a minute before nine."""
    hours = {"zone": "UTC", "from": "09:00", "to": "17:00"}
    noon = int(utc("2024-01-15T12:00").timestamp())
    assert judged({"_id": 1}, when=ClusterTime(noon, 1), hours=hours) == ""
    assert judged({"_id": 1}, when=ClusterTime(noon - 3 * 3600 - 60, 1), hours=hours) == "out of hours"


@pytest.mark.parametrize(
    ("at", "says"),
    [
        (None, "its time is missing"),
        ("noon", "its time is text, and none that a calendar has"),
        (bson.DatetimeMS(2**60), "its time is a date, and none that a calendar has"),
    ],
)
def test_a_time_that_is_none_does_not_keep_the_rule(at: Any, says: str) -> None:
    """And it is said what it is."""
    assert judged({"_id": 1, "at": at}, hours=HOURS) == says
