"""`eventbus doctor` as people and programs see it: lines, exit codes, one subscription alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from eventbus.devservices import MongoService
from tests.cli.command_line import Answer, CommandLine

WELL = """\
ok topology replica set rs0, read from <server>
ok version MongoDB <version>: images of documents, splitting of large changes
ok clock less than 2 s apart from the server's
ok pool the daemon opens up to <n> connections; the server has <n> left
ok privileges mongodb: the server asks nobody for a name: access control is off
ok stream products: the server opens it
ok oplog reaches back for <oplog>
ok state <state> is made when a daemon first runs
ok sink feed: <folder> may be written to
"""
AWAY = """\
FAIL topology.unreachable <reason>
 do: Start it, or correct the address, or open the network between it and here.
ok state <state> is made when a daemon first runs
FAIL sink.unreachable hook: connect: <reason>
 do: eventbus sink test -c <folder>/eventbus.yaml hook prints each step
ok sink feed: <folder> may be written to
"""


@pytest.fixture
def served(
    mongo: MongoService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> CommandLine:
    """Commands beside a server, with their state in a file."""
    state = f"{{type: sqlite, path: {tmp_path}/state.db}}"
    return CommandLine(tmp_path, state, mongo.uri, monkeypatch, capfd)


def _masked(answer: Answer, folder: Path) -> str:
    text = answer.text
    for pattern, name in (
        (re.escape(f"{folder}/state.db"), "<state>"),
        (re.escape(str(folder)), "<folder>"),
        (r"from 127.0.0.1:\d+", "from <server>"),
        (r"MongoDB [\d.]+", "MongoDB <version>"),
        (r"\d+ (connections|left)", r"<n> \1"),
        (r"back for .*", "back for <oplog>"),
        (r"(?<=unreachable) (?!hook).*", " <reason>"),
        (r"(?<=connect:) .*", " <reason>"),
    ):
        text = re.sub(pattern, name, text)
    return text


@pytest.mark.services
def test_one_subscription_that_is_well(served: CommandLine, tmp_path: Path) -> None:
    """Its source and its sink are looked at, and no other; exit 0."""
    answer = served("doctor", "products")
    assert (answer.code, answer.err) == (0, "9 ok, 0 warn, 0 fail\n")
    assert _masked(answer, tmp_path) == WELL


def test_what_fails_says_what_to_do(alone: CommandLine, tmp_path: Path) -> None:
    """Exit 1; with --json it is one object a line."""
    answer = alone("doctor")
    assert (answer.code, answer.err) == (1, "2 ok, 0 warn, 2 fail\n")
    assert _masked(answer, tmp_path) == AWAY
    answer = alone("doctor", "--json")
    assert answer.code == 1
    assert [(row["code"], row["verdict"], row["about"]) for row in answer.rows] == [
        ("topology.unreachable", "fail", None),
        ("state", "ok", None),
        ("sink.unreachable", "fail", "hook"),
        ("sink", "ok", "feed"),
    ]
    assert answer.rows[0]["mend"].startswith("Start it")
    assert answer.rows[1]["mend"] is None


def test_a_wrong_call(alone: CommandLine) -> None:
    """Exit 2, and nothing is looked at."""
    answer = alone("doctor", "order")
    assert (answer.code, answer.out) == (2, "")
    assert "no subscription is named 'order', did you mean 'orders'?" in answer.err
    alone.config_path.write_text("mongodb: 7")
    assert alone("doctor").code == 2
