"""`eventbus gaps` and `eventbus position set`: what was skipped, and a route that is to go on elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from eventbus.devservices import MongoService
from eventbus.model import ClusterTime, Position, PositionKind
from eventbus.sources.mongodb.tokens import high_water_mark
from eventbus.state.gaps import Gap
from eventbus.state.operations import OperationKind, OperationStatus
from eventbus.state.store import Save, Store
from tests.cli.by_hand import ended, ending
from tests.cli.command_line import CommandLine

LIST = """\
┏─┳─┳─┳─┳─┳─┳─┳─┓
┃ subscription ┃ route ┃ from ┃ to ┃ secs ┃ policy ┃ age_secs ┃ reason ┃
┡─╇─╇─╇─╇─╇─╇─╇─┩
│ products │ feed │ │ │ 0 │ position set │ <age> │ an operator │
│ orders │ hook │ <time> │ <time> │ 90 │ oldest │ <age> │ the oplog │
└─┴─┴─┴─┴─┴─┴─┴─┘
"""
HOOK = ("orders", "--route", "hook")


def _at(seconds: int) -> Position:
    return high_water_mark(ClusterTime(seconds, 1))


async def _two(store: Store) -> None:
    await store.record_gap(
        Gap("orders", "hook", _at(1_700_000_000), _at(1_700_000_090), "oldest", "the oplog")
    )
    await store.record_gap(
        Gap("products", "feed", Position("82"), Position("83"), "position set", "an operator")
    )


def test_gaps_are_listed(command: CommandLine) -> None:
    """The newest first, narrowed by name; a name that is gone is pointed out and shown all the same."""
    command.on_store(_two)
    answer = command("gaps")
    text = re.sub(r"│ \d+ │ (an|the)", r"│ <age> │ \1", answer.text)
    assert (answer.code, answer.err, text) == (0, "", LIST)
    (row,) = command("gaps", "orders", "--route", "hook", "--json").rows
    assert row["from"] == "2023-11-14T22:13:20+00:00"
    assert (row["from_token"], row["to_token"]) == (_at(1_700_000_000).token, _at(1_700_000_090).token)
    assert len(command("gaps", "--json", "--limit", "1").rows) == 1
    answer = command("gaps", "order", "--json")
    assert (answer.code, answer.rows) == (0, [])
    assert "no subscription is named 'order', did you mean 'orders'?" in answer.err


def test_no_gaps(alone: CommandLine) -> None:
    """A new store says so."""
    alone.park()
    assert alone("gaps").out == "no gaps\n"


@pytest.fixture
def served(
    mongo: MongoService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> CommandLine:
    """Commands beside a server, with their state in a file."""
    state = f"{{type: sqlite, path: {tmp_path}/state.db}}"
    return CommandLine(tmp_path, state, mongo.uri, monkeypatch, capfd)


@pytest.fixture
def oldest(mongo: MongoService) -> Iterator[Callable[[], int]]:
    """The second of the oldest entry of the server's oplog."""
    with MongoClient[dict[str, Any]](mongo.uri) as client:
        oplog = client.local["oplog.rs"]
        yield lambda: int(oplog.find_one(sort=[("$natural", 1)])["ts"].time)  # type: ignore[index]


def _stands(position: Position) -> Callable[[Store], Any]:
    async def save(store: Store) -> None:
        lease = await store.acquire("orders", lease_secs=60.0, reclaim=True)
        assert lease is not None
        await store.save([Save(lease, {"hook": position})], lease_secs=60.0)

    return save


@pytest.mark.services
@pytest.mark.parametrize("to", ["now", "oldest", "-1s"])
def test_a_move_is_stored_and_waited_for(served: CommandLine, oldest: Callable[[], int], to: str) -> None:
    """As a position, with who wants it; whoever runs the subscription ends the wait."""
    served.on_store(_stands(_at(oldest() - 100)))
    with ending(served, ended()):
        answer = served("position", "set", *HOOK, "--to", to, "--yes")
    assert answer.code == 0, answer.err
    assert "position orders/hook from <time> to <time>\noperation <operation>\n" in answer.text
    assert answer.text.splitlines()[-1] == "<operation> orders/hook: done"
    assert answer.err.startswith("What lies between is skipped, for ever: it is recorded as a gap")
    (operation,) = served.operations()
    assert (operation.kind, operation.route, operation.status) == (
        OperationKind.MOVE,
        "hook",
        OperationStatus.DONE,
    )
    assert operation.start is not None
    assert operation.start.kind is PositionKind.IDLE
    assert operation.start.cluster_time is not None
    assert operation.start.cluster_time.seconds >= oldest() - (to == "oldest")
    assert "@" in operation.requested_by


@pytest.mark.services
def test_a_move_back_says_that_events_come_again_and_asks(
    served: CommandLine, oldest: Callable[[], int]
) -> None:
    """A no stores nothing; a yes does, and --detach does not wait."""
    served.on_store(_stands(_at(oldest() + 1_000_000)))
    answer = served("position", "set", *HOOK, "--to", "now", typed="n\n")
    assert (answer.code, served.operations()) == (1, [])
    assert "What was committed since is sent again" in answer.err
    answer = served("position", "set", *HOOK, "--to", "now", "--detach", typed="y\n")
    assert answer.code == 0
    (operation,) = served.operations()
    assert operation.status is OperationStatus.WAITING
    shown = served("operation", "show", operation.id)
    assert "kind move\n" in shown.text


@pytest.mark.services
@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((*HOOK, "--to", "2026-01-01"), "--to: 2026-01-01 cannot be read any more: the oldest change"),
        ((*HOOK, "--to", "+1h"), "--to: +1h is yet to come"),
        ((*HOOK, "--to", "noon"), "--to: expected a time such as -2h"),
        (("orders", "--route", "hok", "--to", "now"), "has no route 'hok', did you mean 'hook'?"),
    ],
)
def test_a_move_that_cannot_be(served: CommandLine, words: tuple[str, ...], problem: str) -> None:
    """Exit 2, a sentence, nothing stored."""
    served.park()
    answer = served("position", "set", *words, "--yes")
    assert (answer.code, answer.out, served.operations()) == (2, "", [])
    assert problem in answer.err


@pytest.mark.services
def test_a_route_without_a_position_can_be_given_one(served: CommandLine) -> None:
    """Before it ever ran."""
    served.park()
    answer = served("position", "set", *HOOK, "--to", "oldest", "--yes", "--detach")
    assert answer.code == 0
    assert "position orders/hook from none to <time>\n" in answer.text
    assert "The route has no position yet: it begins there." in answer.err
