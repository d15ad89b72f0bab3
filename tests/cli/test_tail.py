"""`eventbus tail`: what passes a pipeline, shown to people and programs, and nothing is moved."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from pymongo import MongoClient

from eventbus.cli import tailing
from eventbus.cli.event_text import event_text
from eventbus.devservices import MongoService
from eventbus.model import Event
from eventbus.sdk import Source
from tests.cli.command_line import Answer, CommandLine
from tests.doctor.forgetful import forget, start_forgetful

_DEADLINE_SECS = 60.0

CONFIG = """\
mongodb: {uri: "%(uri)s"}
state: {type: sqlite, path: %(directory)s/state.db}
sinks:
  feed: {type: file, path: %(directory)s/feed.jsonl}
subscriptions:
  orders:
    source: {database: %(database)s, collections: [orders]}
    pipeline:
      - filter: document_key._id != 0
      - mask: {fields: {card: redact}}
      - classify: {target: urgency, cases: [{when: document.total > 100, then: high}], otherwise: normal}
    routes:
      - feed
      - {name: urgent, sink: feed, when: urgency == 'high', pipeline: [{drop: {fields: [note]}}]}
"""
PRETTY = """\
<time> insert <database>.orders {"_id":1} (<id>)
 document: {
 "_id": 1,
 "card": "****",
 "total": 7
 }
 attributes: {
 "masked": [
 "card"
 ],
 "urgency": "normal"
 }
<time> delete <database>.orders {"_id":1} (<id>)
 attributes: {
 "urgency": "normal"
 }
"""


@pytest.fixture(autouse=True)
def _bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tail that waits for what never comes fails its test, and does not hang it."""
    follow = tailing._follow

    async def bounded(source: Source, since_secs: float | None, passage: Any, printer: Any) -> None:
        with anyio.fail_after(_DEADLINE_SECS):
            await follow(source, since_secs, passage, printer)

    monkeypatch.setattr(tailing, "_follow", bounded)


@pytest.fixture
def served(
    mongo: MongoService,
    fresh_database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> CommandLine:
    """Commands with a pipeline and two routes. There is no state store, and nothing may need one."""
    command = CommandLine(tmp_path, "{}", mongo.uri, monkeypatch, capfd)
    parts = {"uri": mongo.uri, "directory": tmp_path, "database": fresh_database}
    command.config_path.write_text(CONFIG % parts)
    return command


@pytest.fixture
def orders(mongo: MongoService, fresh_database: str) -> Iterator[Any]:
    """The collection."""
    with MongoClient[dict[str, Any]](mongo.uri) as client:
        yield client[fresh_database]["orders"]


def _ids(answer: Answer) -> list[Any]:
    assert answer.code == 0, answer.err
    return [row["data"]["document_key"]["_id"] for row in answer.rows]


@pytest.mark.services
def test_what_has_passed_is_shown_as_the_pipeline_makes_it(served: CommandLine, orders: Any) -> None:
    """Filtered events are left out, hidden values stay hidden; nothing is written anywhere."""
    orders.insert_many(
        [
            {"_id": 0, "total": 1},
            {"_id": 1, "card": "1234", "total": 7},
            {"_id": 2, "card": "5678", "total": 700, "note": "-"},
        ]
    )
    answer = served("tail", "orders", "--since", "10m", "--limit", "2", "--json")
    assert _ids(answer) == [1, 2]
    first, second = answer.rows
    assert (first["type"], first["data"]["document"]["card"]) == ("mongodb.insert", "****")
    assert "note" in second["data"]["document"]
    answer = served(
        "tail", "orders", "--since", "10m", "--limit", "1", "--format", "json", "--route", "urgent"
    )
    assert _ids(answer) == [2]
    assert "note" not in answer.rows[0]["data"]["document"]
    directory = served.config_path.parent
    assert [path.name for path in directory.iterdir()] == [served.config_path.name]


@pytest.mark.services
def test_people_see_the_parts_that_there_are(served: CommandLine, orders: Any, fresh_database: str) -> None:
    orders.insert_one({"_id": 1, "card": "1234", "total": 7})
    orders.delete_one({"_id": 1})
    answer = served("tail", "orders", "--since", "10m", "--limit", "2")
    assert answer.code == 0, answer.err
    shown = re.sub(r"^ +", " ", answer.text.replace(fresh_database, "<database>"), flags=re.MULTILINE)
    assert shown == PRETTY


@pytest.mark.services
def test_events_are_shown_as_they_come(served: CommandLine, orders: Any) -> None:
    """From now on; nothing of the past."""
    orders.insert_one({"_id": "before"})
    answers: list[Answer] = []
    thread = threading.Thread(
        target=lambda: answers.append(served("tail", "orders", "--limit", "3", "--json"))
    )
    thread.start()
    number = 0
    while thread.is_alive():
        orders.insert_one({"_id": number})
        number += 1
        thread.join(0.02)
    (answer,) = answers
    ids = _ids(answer)
    assert ids == list(range(ids[0], ids[0] + 3))


@pytest.mark.services
def test_what_cannot_be_handled_is_said(served: CommandLine, orders: Any) -> None:
    """On standard error, for it is no event that anybody gets; it does not count."""
    text = served.config_path.read_text()
    broken = text.replace("mask: {fields: {card: redact}}", "convert: {fields: {total: int}}")
    served.config_path.write_text(broken)
    orders.insert_many([{"_id": 1, "total": "many"}, {"_id": 2, "total": "8"}])
    answer = served("tail", "orders", "--since", "10m", "--limit", "1", "--json")
    assert _ids(answer) == [2]
    assert re.search(r"becomes a dead letter: insert [0-9a-f]{32}: stage convert", answer.err)
    assert "many" not in answer.err


@pytest.mark.services
def test_so_long_ago_that_it_is_forgotten(served: CommandLine) -> None:
    """Exit 2: what the oplog has lost cannot be shown, and what is left is not passed off as all."""
    with start_forgetful() as service, MongoClient[dict[str, Any]](service.uri) as client:
        forget(client)
        text = served.config_path.read_text()
        served.config_path.write_text(re.sub(r'uri: "[^"]+"', f'uri: "{service.uri}"', text))
        answer = served("tail", "orders", "--since", "30d", "--limit", "1")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("--since: so long ago cannot be read any more")


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (("order",), 2, "did you mean 'orders'?"),
        (("orders", "--route", "hok"), 2, "did you mean 'hook'?"),
        (("orders", "--since", "yesterday"), 2, "--since: "),
        (("orders", "--format", "xml"), 2, "--format: expected json or pretty, got 'xml'"),
        (("orders",), 3, "MongoDB: "),
    ],
)
def test_a_wrong_call_and_a_server_that_is_away(
    alone: CommandLine, words: tuple[str, ...], code: int, problem: str
) -> None:
    """Each with its exit code and a sentence."""
    answer = alone("tail", *words)
    assert (answer.code, answer.out) == (code, "")
    assert problem in answer.err


def test_no_terminal_obeys_an_event() -> None:
    """Control sequences in names and values are shown, whether JSON escapes them or not."""
    event = Event(
        token="82",
        operation="insert",
        database="d",
        collection="c\x1b[2J",
        document_key={"_id": "\x9b2J"},
        document={"\x1b[2J": "\x9b2J"},
    )
    text = event_text(event)
    assert all(line.isprintable() for line in text.split("\n"))
    assert text.count("2J") == 4
