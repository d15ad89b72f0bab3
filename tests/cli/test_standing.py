"""In one word how a route stands, why, and what is typed next."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from eventbus.administration.seen import RouteSeen, SubscriptionSeen
from eventbus.administration.standing import Facts, standing
from eventbus.cli.daemon_seen import address_of
from eventbus.config.models import ServerSection
from eventbus.doctor.oplog import Oplog
from eventbus.model import ClusterTime, Position, PositionKind
from eventbus.state.store import Holder

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECONDS = round(NOW.timestamp())
HOUR = 3600


def _at(seconds: int) -> Position:
    return Position("82", PositionKind.IDLE, ClusterTime(seconds, 1))


def _seen(state: str = "running", problems: tuple[str, ...] = (), **route: object) -> SubscriptionSeen:
    return SubscriptionSeen(state, problems, {"hook": RouteSeen(**route)})  # type: ignore[arg-type]


OPLOG = Oplog(SECONDS - 20 * HOUR, SECONDS, is_whole=False, size=10, max_size=10)
HOLDER = Holder("one", 12.0)
WELL = Facts(
    "orders",
    "hook",
    "web",
    position=_at(SECONDS - 5),
    holder=HOLDER,
    seen=_seen(watermark=SECONDS - 2, headroom_secs=20 * HOUR - 5),
    oplog=OPLOG,
)


def test_a_route_that_is_well() -> None:
    """Nothing needs to be typed."""
    assert standing(WELL, NOW) == {
        "subscription": "orders",
        "route": "hook",
        "state": "running",
        "owner": "one",
        "lag_secs": 2,
        "position_age_secs": 5,
        "headroom_secs": 20 * HOUR - 5,
        "left_secs": None,
        "dead_letters": 0,
        "gaps": 0,
        "why": None,
        "next": None,
    }


@pytest.mark.parametrize(
    ("facts", "state", "why", "to_do"),
    [
        (
            replace(WELL, position=_at(OPLOG.first - 1), seen=None, paused="stock-taking"),
            "position lost",
            "the oplog no longer has what comes after its position",
            "eventbus position set orders --route hook --to oldest",
        ),
        (
            replace(WELL, paused="stock-taking"),
            "paused",
            "stock-taking",
            "eventbus resume orders --route hook",
        ),
        (
            replace(WELL, paused="all of it", is_paused_with_all=True),
            "paused",
            "all of it",
            "eventbus resume orders",
        ),
        (replace(WELL, holder=None, seen=None), "nobody runs it", None, "eventbus run"),
        (replace(WELL, seen=None), "held", None, None),
        (replace(WELL, seen=_seen("standby")), "held", None, None),
        (
            replace(WELL, seen=_seen("crashed", ("KeyError: 1",))),
            "crashed",
            "KeyError: 1",
            "eventbus doctor orders",
        ),
        (
            replace(WELL, seen=_seen(circuit="HTTP 503")),
            "circuit open",
            "HTTP 503",
            "eventbus sink test web",
        ),
        (
            replace(WELL, seen=_seen(problem="cannot read")),
            "waiting",
            "cannot read",
            "eventbus sink test web",
        ),
        (replace(WELL, seen=_seen(problems=("a", "b"))), "waiting", "a; b", "eventbus doctor orders"),
        (replace(WELL, seen=_seen(snapshot="3 of 7")), "snapshot", "3 of 7", None),
        (replace(WELL, seen=_seen("draining")), "draining", None, None),
        (
            replace(WELL, dead_letters=3, gaps=1),
            "running",
            None,
            "eventbus dlq list --subscription orders --route hook",
        ),
        (replace(WELL, gaps=1), "running", None, "eventbus gaps orders --route hook"),
        (
            replace(WELL, dead_letters=3, seen=_seen(headroom_secs=9 * HOUR, left_secs=HOUR - 1)),
            "running",
            None,
            "eventbus doctor orders",
        ),
    ],
)
def test_the_worst_comes_first(facts: Facts, state: str, why: str | None, to_do: str | None) -> None:
    """One word, one reason, one command."""
    row = standing(facts, NOW)
    assert (row["state"], row["why"], row["next"]) == (state, why, to_do)


def test_what_is_left_of_a_route_that_nobody_runs() -> None:
    """Its position stands still: the oplog must first be full, and then reach it."""
    alone = replace(WELL, holder=None, seen=None)
    row = standing(alone, NOW)
    assert row["headroom_secs"] == row["left_secs"] == 20 * HOUR - 5
    young = replace(alone, oplog=Oplog(SECONDS - 10 * HOUR, SECONDS, is_whole=True, size=10, max_size=40))
    row = standing(young, NOW)
    assert (row["headroom_secs"], row["left_secs"]) == (10 * HOUR - 5, 40 * HOUR - 5)
    assert standing(replace(alone, oplog=None), NOW)["left_secs"] is None
    assert standing(replace(WELL, seen=None), NOW)["left_secs"] is None  # whoever runs it may move it


def test_nothing_is_made_up_of_a_route_without_a_position() -> None:
    """It never ran."""
    row = standing(Facts("orders", "hook", "web", oplog=OPLOG), NOW)
    assert {key for key, value in row.items() if value is None} == {
        *("owner", "lag_secs", "position_age_secs", "headroom_secs", "left_secs", "why"),
    }
    assert row["state"] == "nobody runs it"


@pytest.mark.parametrize(
    ("host", "port", "address"),
    [
        ("127.0.0.1", 8686, "http://127.0.0.1:8686"),
        ("0.0.0.0", 80, "http://127.0.0.1:80"),
        ("::", 80, "http://[::1]:80"),
        ("10.0.0.7", 0, None),
    ],
)
def test_where_a_daemon_answers(host: str, port: int, address: str | None) -> None:
    """One that listens on all addresses is asked on this machine's own."""
    assert address_of(ServerSection(host=host, port=port, allow_unauthenticated=True)) == address
