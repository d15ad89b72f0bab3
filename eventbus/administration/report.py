"""How every route has done over a window of time: from the state store, and from what its daemon counts.

The state store knows dead letters, gaps and operations of any time; how much was delivered only the daemon
knows, since its start.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from eventbus.administration.judging import Band, Health, band_of, health_of, trend_of
from eventbus.administration.pausing import ALL_ROUTES, paused_by
from eventbus.administration.throughput import Throughput
from eventbus.config import Config
from eventbus.state.operations import Control
from eventbus.state.store import LetterHour, Store

__all__ = ["WINDOWS", "report_rows"]

WINDOWS: Final = {"1h": 1, "6h": 6, "24h": 24, "7d": 7 * 24, "30d": 30 * 24}
"""The windows that can be asked for, in hours."""

_DAY: Final = 24
_REMEMBERED_DAYS: Final = 30
_MOST_RECORDS: Final = 1000


@dataclass(frozen=True, slots=True)
class _Letters:
    """The dead letters of one route.

    Args:
        by_age: How many there are, by how many hours ago they were parked: 0 for the last hour.
        kinds: Of each kind, how many there are within the window, and when the latest was parked.
        before: How many there were within the window before this one.
    """

    by_age: Counter[int] = field(default_factory=Counter)
    kinds: dict[str, tuple[int, datetime]] = field(default_factory=dict)
    before: int = 0

    @property
    def total(self) -> int:
        """How many there are within the window."""
        return sum(count for count, _ in self.kinds.values())

    @property
    def band(self) -> Band | None:
        """What is usual for a day; None if what is stored does not reach back for eight days."""
        days = Counter[int]()
        for age, count in self.by_age.items():
            days[age // _DAY] += count
        reach = max(days, default=0) + 1
        return band_of([days[age] for age in reversed(range(reach))])


async def report_rows(
    config: Config,
    store: Store,
    subscriptions: Sequence[str],
    *,
    window: str,
    throughput: Mapping[tuple[str, str], Throughput],
    now: datetime,
) -> list[dict[str, Any]]:
    """A row for each configured route.

    Args:
        config: Has the subscriptions.
        store: Where their state is.
        subscriptions: Which of them.
        window: One of `WINDOWS`.
        throughput: What a daemon has counted, by subscription and route; empty if none answers.
        now: The end of the window.
    """
    hours = WINDOWS[window]
    reach_hours = max(2 * hours, _REMEMBERED_DAYS * _DAY)
    found = await store.letter_hours(now - timedelta(hours=reach_hours))
    letters = _letters(found, reach_hours, hours)
    controls = await store.controls(subscriptions)
    begin = now - timedelta(hours=hours)
    rows = []
    for name in subscriptions:
        gaps = await store.gaps(subscription=name, limit=_MOST_RECORDS)
        operations = await store.find_operations(subscription=name, limit=_MOST_RECORDS)
        recent_gaps = Counter(gap.route for gap in gaps if gap.created_at and gap.created_at >= begin)
        for route in config.subscriptions[name].routes:
            of_route = letters.get((name, route.name), _Letters())
            asked = [one for one in operations if one.route == route.name or route.name in one.routes]
            row = _row(name, route.name, window, of_route, throughput.get((name, route.name)), now)
            row["hours"] = [
                {
                    "from": (now - timedelta(hours=age + 1)).isoformat(timespec="seconds"),
                    "dead_letters": count,
                }
                for age, count in sorted(of_route.by_age.items(), reverse=True)
                if age < hours
            ]
            row["gaps"] = recent_gaps[route.name]
            row["operations"] = sum(1 for one in asked if one.created_at and one.created_at >= begin)
            row["paused"] = paused_by(controls.get(name, Control()).paused, route.name)
            row["next"] = list(_to_do(row, route.sink, is_whole=_is_whole(controls, name, route.name)))
            rows.append(row)
    return rows


def _letters(found: Sequence[LetterHour], reach_hours: int, hours: int) -> dict[tuple[str, str], _Letters]:
    """By subscription and live route: what a replay could not send counts for the route of its sink."""
    letters: dict[tuple[str, str], _Letters] = defaultdict(_Letters)
    for one in found:
        of_route = letters[one.subscription, one.route.partition("@")[0]]
        age = max(0, reach_hours - 1 - one.hour)
        of_route.by_age[age] += one.letters
        if age < hours:
            count, latest = of_route.kinds.get(one.kind, (0, one.latest))
            of_route.kinds[one.kind] = count + one.letters, max(latest, one.latest)
    return {
        name: _Letters(
            one.by_age, one.kinds, sum(n for age, n in one.by_age.items() if hours <= age < 2 * hours)
        )
        for name, one in letters.items()
    }


def _row(
    subscription: str,
    route: str,
    window: str,
    letters: _Letters,
    throughput: Throughput | None,
    now: datetime,
) -> dict[str, Any]:
    health, why = health_of(throughput)
    counted = throughput or Throughput()
    secs = now.timestamp() - counted.since if counted.since else None
    band = letters.band
    return {
        "subscription": subscription,
        "route": route,
        "health": health.value,
        "why": why or None,
        "counted_since": _moment(counted.since) if counted.since else None,
        "counted_secs": None if secs is None else round(secs),
        "delivered": None if throughput is None else round(counted.delivered),
        "filtered": None if throughput is None else round(counted.filtered),
        "parked": None if throughput is None else round(counted.parked),
        "waiting": None if throughput is None else round(counted.waiting),
        "failed_attempts": None if throughput is None else round(counted.failed_attempts),
        "settled_per_sec": round(counted.settled / secs, 3) if secs and secs > 0 else None,
        "error_share": _rounded(counted.error_share),
        "processed_share": _rounded(counted.processed_share),
        "mean_call_secs": _rounded(counted.mean_call_secs),
        "window": window,
        "dead_letters": letters.total,
        "dead_letters_before": letters.before,
        "trend": trend_of(letters.total, letters.before),
        "kinds": [
            {"kind": kind, "dead_letters": count, "latest": latest.isoformat(timespec="seconds")}
            for kind, (count, latest) in sorted(
                letters.kinds.items(), key=lambda item: (-item[1][0], item[0])
            )
        ],
        "last_day": band.last if band else None,
        "usual_day": [round(max(0.0, band.low), 1), round(band.high, 1)] if band else None,
        "anomaly": band.anomaly if band else None,
    }


def _to_do(row: Mapping[str, Any], sink: str, *, is_whole: bool) -> Iterator[str]:
    """What to type, the most pressing first."""
    named = f"{row['subscription']} --route {row['route']}"
    if row["paused"] is not None:
        yield f"eventbus resume {row['subscription'] if is_whole else named}"
    if row["health"] == Health.DEGRADED or (row["failed_attempts"] and row["health"] != Health.HEALTHY):
        yield f"eventbus sink test {sink}"
    if row["health"] == Health.WARNING and not row["dead_letters"]:
        yield f"eventbus status {row['subscription']}"
    if row["dead_letters"]:
        yield f"eventbus dlq list --subscription {named}"
    if row["gaps"]:
        yield f"eventbus gaps {named}"


def _is_whole(controls: Mapping[str, Control], subscription: str, route: str) -> bool:
    paused = controls.get(subscription, Control()).paused
    return route not in paused and ALL_ROUTES in paused


def _moment(secs: float) -> str:
    return datetime.fromtimestamp(secs, UTC).isoformat(timespec="seconds")


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
