"""Moments as people write them become the positions that they mean, or a sentence that says what is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from eventbus.administration.moments import end_of, start_of
from eventbus.errors import ConfigurationError
from eventbus.model import ClusterTime, Position
from eventbus.sdk import SourceContext
from eventbus.sources.mongodb.options import MongoOptions
from eventbus.sources.mongodb.source import MongoSource

NOW = datetime(2026, 3, 1, 12, 0, 0, 250_000, UTC)
SECONDS = int(NOW.timestamp())
SOURCE = MongoSource(
    MongoOptions.model_validate({"database": "shop"}),
    SourceContext(subscription="orders", client=None, own_database=None),
)
TOKEN = "8269A00000000000062B022C0100"


def _start(written: str) -> Position:
    return start_of("--from", written, SOURCE, NOW)


def _end(written: str) -> Position:
    return end_of("--to", written, SOURCE, NOW)


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("-2h", ClusterTime(SECONDS - 7200, 0)),
        ("-1.5m", ClusterTime(SECONDS - 90, 0)),
        ("2026-03-01T11:00:00Z", ClusterTime(SECONDS - 3600, 0)),
        ("2026-03-01T11:00:00", ClusterTime(SECONDS - 3600, 0)),
        ("2026-03-01 12:00:00+01:00", ClusterTime(SECONDS - 3600, 0)),
        ("2026-03-01", ClusterTime(SECONDS - 43_200, 0)),
        ("2026-03-01T11:00:00.999Z", ClusterTime(SECONDS - 3600, 0)),
        ("1772362800.7", ClusterTime(1_772_362_800, 7)),
        ("0.0", ClusterTime(0, 0)),
    ],
)
def test_a_start_is_just_before_its_time(written: str, time: ClusterTime) -> None:
    """So that what was committed then is read; a part of a second begins with the whole of it."""
    assert _start(written) == SOURCE.at(time)


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("-1h", ClusterTime(SECONDS - 3599, 0)),
        ("2026-03-01T11:00:00Z", ClusterTime(SECONDS - 3600, 0)),
        ("2026-03-01T11:00:00.001Z", ClusterTime(SECONDS - 3599, 0)),
        ("1772362800.7", ClusterTime(1_772_362_800, 7)),
        ("2026-03-01T12:00:00.25Z", ClusterTime(SECONDS + 1, 0)),
    ],
)
def test_an_end_takes_in_the_second_that_it_lies_in(written: str, time: ClusterTime) -> None:
    """What was committed before it is read for certain; the present moment is no future."""
    assert _end(written) == SOURCE.at(time)


@pytest.mark.parametrize("moment", [_start, _end])
def test_a_token_is_the_position_after_its_event(moment: object) -> None:
    """As it is stored and shown."""
    assert callable(moment)
    assert moment(TOKEN) == SOURCE.position(TOKEN)


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("-2", "--from: -2: expected a duration with its unit, such as 250ms, 5s or 2h, got '2'"),
        ("-", "--from: -: expected a duration"),
        ("-99999999d", "--from: -99999999d is beyond what a cluster's clock can show"),
        ("yesterday", "--from: expected a time such as -2h, "),
        ("", "--from: expected a time such as -2h, "),
        ("1772362800", "or a resume token; '1772362800' is no resume token of MongoDB"),
        ("1960-01-01", "--from: 1960-01-01 is beyond"),
        ("9999999999.1", "--from: 9999999999.1 is beyond"),
        ("8200", "'8200' is no resume token"),
    ],
)
def test_what_is_no_moment(written: str, problem: str) -> None:
    """The option, what was written, and what would be understood."""
    with pytest.raises(ConfigurationError) as caught:
        _start(written)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    "written", ["+1h", "2026-03-01T12:00:02Z", "4294967295.1", "82FFFFFFFF000000062B022C0100"]
)
def test_an_end_that_is_yet_to_come_is_refused(written: str) -> None:
    """A replay is of the past; whoever wants what comes has the live route."""
    with pytest.raises(ConfigurationError, match=r"^--to: .* is yet to come$"):
        _end(written)


def test_a_year_before_the_leap() -> None:
    """Offsets are of exact length, whatever the calendar does."""
    assert _start("-366d") == SOURCE.at(ClusterTime(SECONDS - int(timedelta(days=366).total_seconds()), 0))
