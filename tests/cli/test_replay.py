"""`eventbus replay`: a stretch of time becomes an operation for whoever runs the subscription."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from eventbus.devservices import MongoService
from eventbus.model import ClusterTime
from eventbus.sources.mongodb.tokens import high_water_mark
from eventbus.state.operations import OperationKind, OperationStatus
from tests.cli.by_hand import Step, ended, ending
from tests.cli.command_line import CommandLine

HOOK = ("orders", "--route", "hook")
STRETCH = ("--from", "2026-03-01T12:00:00Z", "--to", "1772370000.5")


def test_it_is_stored_followed_and_told(command: CommandLine) -> None:
    """With both ends as positions; the live position is not touched; exit 0 once all were delivered."""
    command.park()
    with ending(command, ended(delivered=7)):
        answer = command("replay", *HOOK, *STRETCH, "--rate", "100/s", "--yes")
    assert answer.code == 0
    assert "replay orders/hook from <time> to <time>\noperation <operation>\n" in answer.text
    assert answer.text.splitlines()[-1] == "<operation> orders/hook: done, 7 delivered"
    assert answer.err.startswith("Old states are sent once more: ")
    (operation,) = command.operations()
    assert (operation.kind, operation.subscription, operation.route) == (
        OperationKind.REPLAY,
        "orders",
        "hook",
    )
    assert operation.start == high_water_mark(ClusterTime(1_772_366_400, 0))
    assert operation.until == high_water_mark(ClusterTime(1_772_370_000, 5))
    assert (operation.rate, operation.runner) == (100.0, "")
    assert "@" in operation.requested_by


def test_it_asks(alone: CommandLine) -> None:
    """A no stores nothing; a yes does, and --detach does not wait."""
    alone.park()
    answer = alone("replay", *HOOK, *STRETCH, typed="n\n")
    assert (answer.code, alone.operations()) == (1, [])
    answer = alone("replay", *HOOK, *STRETCH, "--detach", typed="y\n")
    assert answer.code == 0
    (operation,) = alone.operations()
    assert operation.status is OperationStatus.WAITING


@pytest.mark.parametrize(
    "last", [ended(parked=1), ended(OperationStatus.FAILED, "the oplog")], ids=["parked", "failed"]
)
def test_what_did_not_go_well_is_told(alone: CommandLine, last: Step) -> None:
    """Exit 1."""
    alone.park()
    with ending(alone, last):
        assert alone("replay", *HOOK, *STRETCH, "--yes").code == 1


def test_a_pause_is_pointed_out(alone: CommandLine) -> None:
    """It shares the pause of its route."""
    alone.park()
    alone("pause", *HOOK, "--reason", "closed")
    answer = alone("replay", *HOOK, *STRETCH, "--yes", "--detach")
    assert "route orders/hook is paused, so this waits until it is resumed: closed" in answer.err


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (
            ("order", "--route", "hook", "--from", "-2h"),
            "no subscription is named 'order', did you mean 'orders'?",
        ),
        (("orders", "--route", "hok", "--from", "-2h"), "has no route 'hok', did you mean 'hook'?"),
        ((*HOOK, "--from", "-1h", "--to", "-2h"), "is not before --to ("),
        ((*HOOK, "--from", "1772370000.5", "--to", "1772370000.5"), "is not before --to ("),
        ((*HOOK, "--from", "-1h", "--to", "+1h"), "--to: +1h is yet to come"),
        ((*HOOK, "--from", "noon", "--to", "-1h"), "--from: expected a time such as -2h"),
        ((*HOOK, "--from", "-2h", "--to", "-1h", "--rate", "0/s"), "--rate: expected a rate above 0"),
    ],
)
def test_a_call_that_is_wrong(alone: CommandLine, words: tuple[str, ...], problem: str) -> None:
    """Exit 2, a sentence, nothing stored."""
    alone.park()
    answer = alone("replay", *words, "--yes")
    assert (answer.code, answer.out, alone.operations()) == (2, "", [])
    assert problem in answer.err


@pytest.mark.services
def test_the_present_moment_is_the_servers(
    mongo: MongoService,
    fresh_database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Without --to everything that was committed before the call is within it."""
    command = CommandLine(tmp_path, f"{{type: sqlite, path: {tmp_path}/s.db}}", mongo.uri, monkeypatch, capfd)
    command.park()
    with MongoClient[dict[str, Any]](mongo.uri) as client, client[fresh_database].orders.watch() as stream:
        client[fresh_database].orders.insert_one({})
        token = stream.next()["_id"]["_data"]
    assert command("replay", *HOOK, "--from", "-1m", "--yes", "--detach").code == 0
    (operation,) = command.operations()
    assert operation.start is not None
    assert operation.until is not None
    assert operation.start.token < token <= operation.until.token


def test_without_a_source_the_present_moment_is_unknown(alone: CommandLine) -> None:
    """Exit 3, nothing stored; with --to nobody is asked."""
    alone.park()
    answer = alone("replay", *HOOK, "--from", "-1m", "--yes", "--detach")
    assert (answer.code, alone.operations()) == (3, [])
