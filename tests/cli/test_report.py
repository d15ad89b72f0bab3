"""`eventbus report`: the numbers, what they mean, and what to type; alone and beside a daemon that counts."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import anyio
import pytest

from eventbus.administration.judging import Health, band_of, health_of, trend_of
from eventbus.administration.report import report_rows
from eventbus.administration.throughput import Throughput, throughput_in
from eventbus.config import load
from eventbus.model import DeadLetter, Event, Position
from eventbus.registry import Registry
from eventbus.state.gaps import Gap
from eventbus.state.operations import Control
from eventbus.state.store import LetterHour, Store
from tests.cli.command_line import CommandLine

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
METRICS = """\
# TYPE eventbus_events_settled counter
eventbus_events_settled_total{subscription="orders",route="hook",outcome="delivered"} 90.0
eventbus_events_settled_total{subscription="orders",route="hook",outcome="filtered"} 4.0
eventbus_events_settled_total{subscription="orders",route="hook",outcome="parked"} 6.0
# TYPE eventbus_events_settled_created gauge
eventbus_events_settled_created{subscription="orders",route="hook",outcome="delivered"} 1.7e+09
eventbus_events_settled_created{subscription="orders",route="hook",outcome="parked"} 1.8e+09
# TYPE eventbus_attempts_failed counter
eventbus_attempts_failed_total{subscription="orders",route="hook",fault="event",kind="rejected"} 5.0
eventbus_attempts_failed_total{subscription="orders",route="hook",fault="unavailable",kind="timeout"} 2.0
# TYPE eventbus_window_events gauge
eventbus_window_events{subscription="orders",route="hook"} 25.0
# TYPE eventbus_send_seconds histogram
eventbus_send_seconds_bucket{subscription="orders",route="hook",le="1.0"} 4.0
eventbus_send_seconds_count{subscription="orders",route="hook"} 4.0
eventbus_send_seconds_sum{subscription="orders",route="hook"} 2.0
"""


@pytest.mark.parametrize(
    ("throughput", "health"),
    [
        (None, Health.UNKNOWN),
        (Throughput(), Health.UNKNOWN),
        (Throughput(delivered=949, parked=51), Health.CRITICAL),
        (Throughput(delivered=950, parked=50), Health.WARNING),
        (Throughput(delivered=989, parked=11), Health.WARNING),
        (Throughput(delivered=990, parked=10), Health.HEALTHY),
        (Throughput(delivered=500, filtered=450, waiting=50), Health.HEALTHY),
        (Throughput(delivered=500, filtered=449, waiting=51), Health.WARNING),
        (Throughput(delivered=1, calls=2, call_secs=10.0), Health.HEALTHY),
        (Throughput(delivered=1, calls=2, call_secs=10.1), Health.DEGRADED),
        (Throughput(delivered=90, parked=10, calls=1, call_secs=60.0), Health.CRITICAL),
    ],
)
def test_health_is_where_the_bounds_are(throughput: Throughput | None, health: Health) -> None:
    """Over 5 % errors critical; over 1 %, or under 95 % processed, warning; over 5 s a call degraded."""
    assert health_of(throughput)[0] is health


def test_a_day_is_judged_by_the_seven_before() -> None:
    """Mean and two standard deviations; with fewer days nothing is said."""
    assert band_of([9, 1, 1, 1, 1, 1, 1]) is None
    calm = [10, 12, 8, 10, 12, 8, 10]
    band = band_of([999, *calm, 13])
    assert band is not None
    assert (round(band.low, 2), round(band.high, 2), band.anomaly) == (6.98, 13.02, None)
    for last, said in ((14, "high"), (6, "low"), (7, None)):
        found = band_of([*calm, last])
        assert found is not None
        assert found.anomaly == said
    assert [trend_of(*pair) for pair in ((1, 1), (2, 1), (0, 1))] == ["steady", "rising", "falling"]


def test_what_a_daemon_has_counted_is_read() -> None:
    """Since the earliest of its counters; labels that make no difference are added up."""
    assert throughput_in(METRICS) == {
        ("orders", "hook"): Throughput(1.7e9, 90.0, 4.0, 6.0, 25.0, 7.0, 4.0, 2.0)
    }
    with pytest.raises(ValueError, match=r".*"):
        throughput_in("no { metrics")


class _Remembering:
    """A store of which only this is asked."""

    def __init__(self, hours: Sequence[LetterHour]) -> None:
        self._hours = hours
        self.since: datetime | None = None

    async def letter_hours(self, since: datetime) -> Sequence[LetterHour]:
        self.since = since
        return self._hours

    async def controls(self, names: Sequence[str]) -> dict[str, Control]:
        return {"orders": Control(paused={"*": "counting"})}

    async def gaps(self, *, subscription: str, limit: int) -> Sequence[Gap]:
        start, end = Position("82A"), Position("82B")
        return [
            Gap(subscription, "feed", start, end, "oldest", "x", created_at=NOW - timedelta(hours=hours))
            for hours in (1, 25)
        ]

    async def find_operations(self, *, subscription: str, limit: int) -> Sequence[Any]:
        return []


def _hour(age: int, letters: int, route: str = "hook", kind: str = "rejected") -> LetterHour:
    """So many hours ago, of the 1440 that a window of 30 days and the one before have."""
    latest = NOW - timedelta(hours=age, minutes=30)
    return LetterHour("orders", route, kind, 60 * 24 - 1 - age, letters, latest)


def test_a_window_ends_now_and_the_one_before_ends_where_it_begins(alone: CommandLine) -> None:
    """Replays count for the route of their sink; the recommendations name this route."""
    config = load([alone.config_path], Registry.from_entry_points(), {})
    hours = [_hour(0, 3), _hour(719, 2, "hook@1f0a9b8c7d", "timeout"), _hour(720, 7), _hour(1439, 1)]
    store = _Remembering(hours)

    async def rows() -> list[dict[str, Any]]:
        counted = throughput_in(METRICS)
        return await report_rows(
            config, cast(Store, store), ["orders"], window="30d", throughput=counted, now=NOW
        )

    hook, feed = anyio.run(rows)
    assert store.since == NOW - timedelta(days=60)
    assert (hook["dead_letters"], hook["dead_letters_before"], hook["trend"]) == (5, 8, "falling")
    assert [(one["kind"], one["dead_letters"], one["latest"]) for one in hook["kinds"]] == [
        ("rejected", 3, "2026-03-01T12:00:00+00:00"),
        ("timeout", 2, (NOW - timedelta(hours=719, minutes=30)).isoformat()),
    ]
    assert [(one["from"], one["dead_letters"]) for one in hook["hours"]] == [
        ((NOW - timedelta(hours=720)).isoformat(), 2),
        ("2026-03-01T11:30:00+00:00", 3),
    ]
    assert (hook["health"], hook["error_share"], hook["processed_share"]) == ("critical", 0.06, 0.752)
    assert (hook["last_day"], hook["usual_day"], hook["anomaly"]) == (3, [0.0, 0.0], "high")
    assert hook["next"] == [
        "eventbus resume orders",
        "eventbus sink test hook",
        "eventbus dlq list --subscription orders --route hook",
    ]
    assert (feed["health"], feed["delivered"], feed["gaps"], feed["trend"]) == ("unknown", None, 2, "steady")
    assert feed["next"] == ["eventbus resume orders", "eventbus gaps orders --route feed"]


class _Counting(BaseHTTPRequestHandler):
    """A daemon that has counted the same for ever."""

    def do_GET(self) -> None:
        body = METRICS.encode()
        self.send_response(200 if self.path == "/metrics" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        return


@contextmanager
def _daemon() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Counting)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_it_is_printed_for_people_pages_and_programs(command: CommandLine) -> None:
    """The same numbers in each form, from both stores; without a daemon what it alone knows is left out."""
    event = Event(token="82", id="e", operation="insert", database="shop", collection="orders")
    command.park(DeadLetter("orders", "hook", event, "HTTP 422 | and more", 1))
    with _daemon() as url:
        hook, *_ = command("report", "--url", url, "--json").rows
        table = command("report", "--url", url)
        page = command("report", "orders", "--url", url, "--format", "markdown")
    assert (hook["dead_letters"], hook["delivered"], hook["failed_attempts"], hook["mean_call_secs"]) == (
        *(1, 90, 7, 0.5),
    )
    assert table.code == 0, table.err
    assert (
        "│ orders │ hook │ critical │ 6.0% of its events became dead letters │ <time> │ 90 │ 4 │ 6 │"
        in table.text
    )
    assert "since counted_since: not over the window." in table.out
    assert hook["counted_since"] == "2023-11-14T22:13:20+00:00"
    to_type = f"eventbus dlq list -c {command.config_path} --subscription orders --route hook"
    assert f"{to_type}\n" in table.out
    assert "\n| orders | hook | rejected | 1 | <time> |\n" in page.text
    assert f"- `{to_type}`\n" in page.out
    answer = command("report", "products")
    assert answer.code == 0
    assert "no daemon answers at http://127.0.0.1:8686" in answer.err
    assert "no dead letters in the last 24h" in answer.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--window", "2h"), "--window: expected one of 1h, 6h, 24h, 7d, 30d"),
        (("--format", "xml"), "--format: expected one of table, markdown, json"),
        (("order",), "did you mean 'orders'?"),
    ],
)
def test_a_wrong_call_is_told_what_would_be_right(
    words: tuple[str, ...], said: str, alone: CommandLine
) -> None:
    """Exit 2."""
    alone.park()
    answer = alone("report", *words)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err
