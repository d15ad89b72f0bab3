"""How long each route may still wait is looked at, told, and warned of once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from random import Random
from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from eventbus.errors import ConfigurationError, Unreachable
from eventbus.model import Batch, ClusterTime, Position, PositionKind
from eventbus.runtime.headroom import Headroom
from eventbus.runtime.letters import OnlyParked
from eventbus.runtime.policy import RoutePolicy
from eventbus.runtime.route import Route
from eventbus.runtime.shared_sink import SharedSink
from eventbus.telemetry import metrics
from tests.runtime.clock import run_virtual
from tests.runtime.history import FIRST_SECOND, History, Pace, SimulatedSource
from tests.runtime.scripted import Scripted
from tests.runtime.target import RouteTag

HOUR = 3600.0
DAY = 24 * HOUR

Logs = list[Mapping[str, Any]]


class Cluster(SimulatedSource):
    """A source that forgets as it is told: by the time, how old its oldest change is, or why nobody knows."""

    def __init__(self, oldest: Callable[[float], float | Exception]) -> None:
        super().__init__(History(), Pace(), Random(0), lambda _: None)
        self._oldest = oldest
        self.asked = 0

    async def oldest(self) -> Position:
        """See `eventbus.sdk.Source`."""
        self.asked += 1
        found = self._oldest(anyio.current_time())
        if isinstance(found, Exception):
            raise found
        return self.at(ClusterTime(int(FIRST_SECOND + found), 1))


def _place(secs: float) -> Position:
    time = ClusterTime(int(FIRST_SECOND + secs), 1)
    return Position(f"82{time.seconds:08X}{time.increment:08X}", PositionKind.IDLE, time)


def _route(name: str, secs: float, *, is_replay: bool = False) -> Route:
    """A route that stands somewhere, and waits."""

    async def park(_letters: object) -> None:
        raise AssertionError("nothing is sent")

    return Route(
        subscription="orders",
        name=name,
        sink=SharedSink(Scripted()),
        encoder=RouteTag(name),
        policy=RoutePolicy(),
        start=_place(secs),
        parked=(),
        letters=OnlyParked(park),
        changed=lambda _: None,
        is_replay=is_replay,
    )


def _watched(
    source: Cluster,
    *routes: Route,
    secs: float,
    every_secs: float = 10.0,
    meanwhile: Callable[[float], None] = lambda _: None,
) -> tuple[Headroom, Logs]:
    """Look for so long; the source reads for two subscriptions, of which one runs here."""
    running = {"orders": {route.name: route for route in routes}}
    sources = {"orders": source, "elsewhere": source}
    headroom = Headroom(sources, lambda: running, warn_below_secs=HOUR)

    async def whole() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(headroom.run)
            while anyio.current_time() < secs:
                meanwhile(anyio.current_time())
                await anyio.sleep(every_secs)
            tasks.cancel_scope.cancel()

    with capture_logs() as logs:
        run_virtual(whole, within_secs=10 * DAY)
    return headroom, [line for line in logs if line["log_level"] != "debug"]


def _gauge(gauge: Any, route: str) -> float:
    return float(gauge.labels("orders", route)._value.get())


def test_a_route_that_stands_still_burns_a_second_each_second() -> None:
    """Once the oplog has its full size; one at the head burns nothing, and has all of it."""
    waiting, ahead = _route("waiting", 0.0), _route("ahead", 0.0)
    source = Cluster(lambda now: now - DAY)
    headroom, logs = _watched(source, waiting, ahead, secs=HOUR, meanwhile=lambda now: _moved(ahead, now))
    assert source.asked == pytest.approx(360, abs=1)
    shown = headroom.of("orders")
    assert shown["waiting"]["secs"] == pytest.approx(DAY - HOUR, abs=11)
    assert shown["waiting"]["burn_rate"] == pytest.approx(1.0, abs=0.01)
    assert shown["waiting"]["left_secs"] == pytest.approx(DAY - HOUR, rel=0.02)
    assert shown["ahead"]["secs"] == pytest.approx(DAY, abs=11)
    assert shown["ahead"]["burn_rate"] == pytest.approx(0.0, abs=0.05)
    assert headroom.of("elsewhere") == {}
    assert _gauge(metrics._headroom, "waiting") == shown["waiting"]["secs"]
    assert _gauge(metrics._burn, "waiting") == pytest.approx(1.0, abs=0.01)
    assert _gauge(metrics._left, "waiting") == pytest.approx(DAY - HOUR, rel=0.02)
    assert logs == []


def _moved(route: Route, secs: float) -> None:
    route.take(Batch([], _place(secs)))


def test_a_route_in_danger_is_warned_of_once() -> None:
    """Below the threshold; again only after it was well out of it."""
    route = _route("waiting", 0.0)

    def meanwhile(now: float) -> None:
        if now == 23.8 * HOUR:
            _moved(route, 20 * HOUR)

    headroom, logs = _watched(
        Cluster(lambda now: now - DAY), route, secs=44 * HOUR, every_secs=60.0, meanwhile=meanwhile
    )
    assert [(line["event"], line["route"]) for line in logs] == [("headroom_low", "waiting")] * 2
    assert logs[0]["headroom_secs"] == pytest.approx(HOUR, abs=60)
    assert logs[0]["left_secs"] == pytest.approx(HOUR, rel=0.05)
    assert logs[0]["log_level"] == "warning"
    assert headroom.of("orders")["waiting"]["left_secs"] == pytest.approx(0, abs=20)


def test_what_will_be_lost_soon_is_warned_of_however_much_there_is() -> None:
    """A flood of writes shortens the oplog: twenty hours of headroom that last one hour."""
    _, logs = _watched(Cluster(lambda now: 20 * now - DAY), _route("waiting", 0.0), secs=900.0)
    assert [line["event"] for line in logs] == ["headroom_low"]
    assert logs[0]["headroom_secs"] > 19 * HOUR
    assert logs[0]["left_secs"] == pytest.approx(HOUR, rel=0.1)
    assert logs[0]["burn_rate"] == pytest.approx(20, rel=0.1)


def test_an_oplog_that_forgets_nothing_yet_is_no_danger() -> None:
    """A cluster that was made a minute ago has little history, and loses none of it."""
    headroom, logs = _watched(Cluster(lambda _: -60.0), _route("waiting", 0.0), secs=600.0)
    assert logs == []
    assert headroom.of("orders")["waiting"] == {"secs": 60, "burn_rate": 0.0, "left_secs": None}
    assert _gauge(metrics._left, "waiting") == inf


def test_what_may_not_be_asked_is_said_once_and_hurts_nothing() -> None:
    """Nor does a server that is away, which needs no word: others say it. Later it is known all the same."""

    def oldest(now: float) -> float | Exception:
        if now < 100.0:
            return ConfigurationError("not allowed")
        return Unreachable("away") if now < 200.0 else -DAY

    headroom, logs = _watched(Cluster(oldest), _route("waiting", 0.0), secs=300.0)
    assert [(line["event"], line["reason"]) for line in logs] == [("headroom_unknown", "not allowed")]
    assert headroom.of("orders")["waiting"]["secs"] == DAY


def test_replays_have_none_and_a_route_that_is_made_anew_begins_anew() -> None:
    """Labels stay bounded, and a position that was moved is no burn."""
    first, second = _route("waiting", DAY), _route("waiting", 0.0)
    routes = {"waiting": first, "waiting@1": _route("waiting@1", 0.0, is_replay=True)}
    headroom = Headroom({"orders": Cluster(lambda _: -DAY)}, lambda: {"orders": routes}, warn_below_secs=HOUR)

    async def whole() -> None:
        await headroom._look()
        routes["waiting"] = second
        await anyio.sleep(10.0)
        await headroom._look()
        assert headroom.of("orders") == {"waiting": {"secs": DAY, "burn_rate": 0.0, "left_secs": None}}
        del routes["waiting"]
        await headroom._look()
        assert headroom.of("orders") == {}

    run_virtual(whole)
