"""`eventbus snapshot`: what is there already becomes an operation for whoever runs the subscription."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from eventbus.devservices import MongoService
from eventbus.state.operations import OperationKind, OperationStatus, Progress
from tests.cli.by_hand import Step, ending
from tests.cli.command_line import CommandLine

DONE: Step = (OperationStatus.DONE, Progress(read=3, total=3), "")


@pytest.fixture
def shop(
    mongo: MongoService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[CommandLine]:
    """Commands on a database that holds three orders."""
    command = CommandLine(tmp_path, f"{{type: sqlite, path: {tmp_path}/s.db}}", mongo.uri, monkeypatch, capfd)
    command.park()
    with MongoClient[dict[str, Any]](mongo.uri) as client:
        client.shop.orders.insert_many([{"_id": number} for number in range(3)])
        yield command
        client.drop_database("shop")


@pytest.mark.services
def test_it_is_stored_followed_and_told(shop: CommandLine) -> None:
    """By default for every route, with how much there is; exit 0 once all of it found its end."""
    with ending(shop, DONE):
        answer = shop("snapshot", "orders", "--yes")
    assert answer.code == 0
    assert answer.text.startswith("snapshot orders: about 3 documents to hook, feed\noperation <operation>\n")
    assert answer.text.splitlines()[-1] == "<operation> orders/*: done, 3 of 3 read"
    (operation,) = shop.operations()
    assert (operation.kind, operation.route, operation.routes) == (
        OperationKind.SNAPSHOT,
        "*",
        ("hook", "feed"),
    )
    assert (operation.match, operation.collections, operation.runner) == ({}, (), "")
    assert "@" in operation.requested_by


@pytest.mark.services
def test_what_is_asked_for_is_kept(shop: CommandLine) -> None:
    """A route, a filter and collections; --detach does not wait, --json prints nothing else."""
    shop("pause", "orders", "--route", "feed", "--reason", "closed")
    words = (
        "--route",
        "feed",
        "--filter",
        '{"_id": {"$gt": {"$numberLong": "1"}}}',
        "--collection",
        "orders",
    )
    answer = shop("snapshot", "orders", *words, "--yes", "--detach", "--json")
    assert answer.code == 0
    (row,) = answer.rows
    (operation,) = shop.operations()
    assert (row["id"], row["kind"], row["route"], row["total"]) == (operation.id, "snapshot", "feed", 3)
    assert row["collections"] == ["orders"]
    assert (operation.routes, operation.collections) == (("feed",), ("orders",))
    assert operation.match == {"_id": {"$gt": {"$numberLong": "1"}}}
    assert "route orders/feed is paused, so this waits until it is resumed: closed" in answer.err


@pytest.mark.services
def test_it_asks(shop: CommandLine) -> None:
    """A no stores nothing; with --json the end is told, and a bad one by the exit code."""
    assert (shop("snapshot", "orders", typed="n\n").code, shop.operations()) == (1, [])
    with ending(shop, (OperationStatus.FAILED, Progress(), "no such thing")):
        answer = shop("snapshot", "orders", "--json", typed="y\n")
    assert answer.code == 1
    (row,) = answer.rows
    assert (row["status"], row["problem"]) == ("failed", "no such thing")


@pytest.mark.services
@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--collection", "order"), "no collection shop.order, did you mean 'shop.orders'?"),
        (("--filter", '{"$near": 1}'), "the filter of the snapshot: the server says: "),
    ],
)
def test_what_the_server_will_not_read(shop: CommandLine, words: tuple[str, ...], problem: str) -> None:
    """Exit 2, its words, nothing stored."""
    answer = shop("snapshot", "orders", *words, "--yes")
    assert (answer.code, answer.out, shop.operations()) == (2, "", [])
    assert problem in answer.err


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("order",), "no subscription is named 'order', did you mean 'orders'?"),
        (("orders", "--route", "hok"), "has no route 'hok', did you mean 'hook'?"),
        (("orders", "--filter", "[]"), '--filter: expected a JSON object, such as \'{"region": "eu"}\''),
    ],
)
def test_a_call_that_is_wrong(alone: CommandLine, words: tuple[str, ...], problem: str) -> None:
    """Exit 2, a sentence, nothing stored."""
    alone.park()
    answer = alone("snapshot", *words, "--yes")
    assert (answer.code, answer.out, alone.operations()) == (2, "", [])
    assert problem in answer.err


def test_without_a_source_nothing_is_stored(alone: CommandLine) -> None:
    """Exit 3: nobody could say what there is to read."""
    alone.park()
    assert (alone("snapshot", "orders", "--yes").code, alone.operations()) == (3, [])
