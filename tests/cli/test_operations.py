"""`eventbus operation`: what is sent once more, by whom, and how to end it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from eventbus.model import ClusterTime, Position
from eventbus.state.operations import Operation, OperationKind, OperationStatus, Progress
from eventbus.state.store import Store
from tests.cli.by_hand import move
from tests.cli.command_line import CommandLine

LIST = """\
┏─┳─┳─┳─┳─┳─┳─┳─┳─┳─┳─┳─┳─┳─┓
┃ id ┃ kind ┃ subscription ┃ route ┃ status ┃ delivered ┃ parked ┃ read ┃ total ┃ reached ┃ \
left_secs ┃ requested_by ┃ age_secs ┃ problem ┃
┡─╇─╇─╇─╇─╇─╇─╇─╇─╇─╇─╇─╇─╇─┩
│ second │ replay │ products │ feed │ failed │ 3 │ 0 │ │ │ <time> │ │ eve@there │ <age> │ the oplog │
│ first │ dead_letters │ orders │ hook │ waiting │ 0 │ 0 │ │ 7 │ │ │ eve@there │ <age> │ │
└─┴─┴─┴─┴─┴─┴─┴─┴─┴─┴─┴─┴─┴─┘
"""


async def _two(store: Store) -> None:
    """One of each kind: one that waits, one that failed."""
    await store.add_operation(
        Operation(
            "first",
            OperationKind.DEAD_LETTERS,
            "orders",
            "hook",
            routes=("hook",),
            match={"kind": "held"},
            progress=Progress(total=7),
            requested_by="eve@there",
        )
    )
    replay = Operation(
        "second",
        OperationKind.REPLAY,
        "products",
        "feed",
        start=Position("820000000100"),
        until=Position("820000000900"),
        rate=2.5,
        requested_by="eve@there",
    )
    await store.add_operation(replay)
    progress = Progress(delivered=3, reached=ClusterTime(1_700_000_000, 1))
    await move(store, replay, (OperationStatus.FAILED, progress, "the oplog"))


def test_the_list(command: CommandLine) -> None:
    """The newest first, those that are over included; narrowed by subscription and number."""
    command.on_store(_two)
    answer = command("operation", "list")
    assert (answer.code, answer.err) == (0, "")
    assert re.sub(r"there │ \d+ │", "there │ <age> │", answer.text) == LIST
    assert [row["id"] for row in command("operation", "list", "--json").rows] == ["second", "first"]
    assert [row["id"] for row in command("operation", "list", "--json", "--limit", "1").rows] == ["second"]
    narrowed = command("operation", "list", "--json", "--subscription", "orders").rows
    assert [row["id"] for row in narrowed] == ["first"]


def test_one_is_shown(command: CommandLine) -> None:
    """With all that was asked for; the exit code says whether it failed."""
    command.on_store(_two)
    answer = command("operation", "show", "first", "--json")
    assert answer.code == 0
    (row,) = answer.rows
    shown: dict[str, Any] = {"match": {"kind": "held"}, "total": 7, "runner": "daemon", "from": None}
    assert row.items() >= shown.items()
    answer = command("operation", "show", "second")
    assert answer.code == 1
    assert "from 820000000100\nto 820000000900\n" in answer.text
    assert "rate 2.5\n" in answer.text


def test_one_is_cancelled_once(command: CommandLine) -> None:
    """What is over stays as it ended."""
    command.on_store(_two)
    answer = command("operation", "cancel", "first")
    assert (answer.code, answer.out) == (0, "first is cancelled\n")
    answer = command("operation", "cancel", "first")
    assert (answer.code, answer.out) == (1, "first is over: cancelled\n")
    answer = command("operation", "cancel", "second")
    assert (answer.code, answer.out) == (1, "second is over: failed\n")


@pytest.mark.parametrize("words", [("show",), ("cancel",), ("show", "--follow")])
def test_one_that_is_not_there(alone: CommandLine, words: tuple[str, ...]) -> None:
    """Exit 1, as for a dead letter that is not there; 2 is for what the configuration can tell."""
    alone.on_store(_two)
    answer = alone("operation", *words, "third")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("no operation has the id third\n")


def test_none(alone: CommandLine) -> None:
    """A new store says so."""
    alone.park()
    assert alone("operation", "list").out == "no operations\n"
    assert alone("operation", "list", "--json").out == ""
