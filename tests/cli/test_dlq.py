"""`eventbus dlq`: looking at dead letters and deciding about them."""

from __future__ import annotations

from pathlib import Path

import bson
import orjson
import pytest

from eventbus.model import DeadLetter, Failure
from eventbus.state.store import LetterQuery, Store
from tests.cli.command_line import CommandLine, masked
from tests.state.letters import event, failures, letter, odd_events

SECRET = "never printed without being asked"


def _letters() -> list[DeadLetter]:
    """Three of one route, one of another, one of another subscription."""
    document = bson.encode({"_id": 1, "text": SECRET})
    return [
        letter(1, event=event(1, document=document), body=SECRET.encode(), reason="HTTP 422: no such field"),
        letter(2, attempts=5, errors=failures("HTTP 500", "HTTP 502"), kind=Failure.SERVER),
        letter(3, kind=Failure.HELD, held_behind=event(1).id, event=event(3, key=event(1).key)),
        letter(4, route="feed", kind=Failure.TOO_LARGE),
        letter(5, subscription="products", route="feed"),
    ]


LIST = """\
┏─┳─┳─┳─┳─┳─┳─┳─┳─┳─┓
┃ id ┃ subscription ┃ route ┃ operation ┃ key ┃ kind ┃ reason ┃ attempts ┃ status ┃ created_at ┃
┡─╇─╇─╇─╇─╇─╇─╇─╇─╇─┩
│ <id> │ orders │ feed │ insert │ {"ns":"shop.orders","document_key":{"_id":4}} │ too_large │ \
the sink said no │ 0 │ parked │ <time> │
│ <id> │ products │ feed │ insert │ {"ns":"shop.orders","document_key":{"_id":5}} │ rejected │ \
the sink said no │ 0 │ parked │ <time> │
└─┴─┴─┴─┴─┴─┴─┴─┴─┴─┘
"""
SHOWN = """\
id <id>
event_id <id>
subscription orders
route hook
operation insert
database shop
collection orders
document_key {"_id":2}
key {"ns":"shop.orders","document_key":{"_id":2}}
kind server
reason the sink said no
attempts 5
size 77
cluster_time 1700000002.1
token 820000000002
status parked
created_at <time>
expires_at
legal_hold no
held_behind
superseded_by
operation_id
forwarded no
config
┏─┳─┳─┓
┃ at ┃ kind ┃ reason ┃
┡─╇─╇─┩
│ <time> │ server │ HTTP 500 │
│ <time> │ server │ HTTP 502 │
└─┴─┴─┘

"""
COUNTED = """\
letters 5
keys 4
bytes 385
superseded 0
held 1
legal_hold 0
"""


def test_the_list_is_a_table(command: CommandLine) -> None:
    """One row for each, the oldest first, with what tells one from another."""
    command.park(*_letters())
    answer = command("dlq", "list", "--route", "feed")
    assert (answer.code, answer.err) == (0, "")
    assert answer.text == LIST


def test_the_list_is_json(command: CommandLine) -> None:
    """One object a line, its fields named as a query names them; no document, no message."""
    command.park(*_letters())
    answer = command("dlq", "list", "--json")
    assert [row["document_key"] for row in answer.rows] == [{"_id": number} for number in range(1, 6)]
    first, second, third = answer.rows[:3]
    assert SECRET not in answer.out
    assert first["reason"] == "HTTP 422: no such field"
    assert [error["reason"] for error in second["errors"]] == ["HTTP 500", "HTTP 502"]
    assert second["errors"][0]["at"] == "2023-11-14T22:13:20.000+00:00"
    assert third["held_behind"] == first["event_id"]


@pytest.mark.parametrize(
    ("narrowed", "numbers"),
    [
        ((), [1, 2, 3, 4, 5]),
        (("--subscription", "products"), [5]),
        (("--subscription", "orders", "--route", "feed"), [4]),
        (("--match", '{"reason": {"$regex": "^HTTP 4"}}'), [1]),
        (("--match", '{"$or": [{"kind": "held"}, {"attempts": {"$gte": 5}}]}'), [2, 3]),
        (("--match", '{"document_key._id": 3}'), [3]),
        (("--status", "discarded"), []),
        (("--status", "any", "--limit", "2"), [1, 2]),
        (("--limit", "0"), [1, 2, 3, 4, 5]),
    ],
)
def test_what_is_listed_can_be_narrowed(
    command: CommandLine, narrowed: tuple[str, ...], numbers: list[int]
) -> None:
    """By names, by status, by a query over the row, by number."""
    command.park(*_letters())
    answer = command("dlq", "list", "--json", *narrowed)
    assert [row["document_key"]["_id"] for row in answer.rows] == numbers


def test_a_list_that_is_cut_says_so(alone: CommandLine) -> None:
    """Nobody takes the first hundred for all."""
    alone.park(*_letters())
    assert alone("dlq", "list", "--limit", "4").err == "there are more than 4: see --limit\n"
    assert alone("dlq", "list", "--limit", "5").err == ""


def test_a_name_that_is_not_configured_is_noted(alone: CommandLine) -> None:
    """What it left behind is shown all the same."""
    alone.park(letter(1, route="gone"))
    answer = alone("dlq", "list", "--json", "--route", "gone")
    assert (len(answer.rows), answer.err) == (1, "no route is named 'gone'\n")
    answer = alone("dlq", "list", "--route", "hok")
    assert (answer.out, answer.err) == (
        "no dead letters\n",
        "no route is named 'hok', did you mean 'hook'?\n",
    )
    answer = alone("dlq", "list", "--subscription", "order")
    assert answer.err == "no subscription is named 'order', did you mean 'orders'?\n"


@pytest.mark.parametrize(
    "words", [("list",), ("count",), ("export",), ("discard", "--yes"), ("replay", "--yes")]
)
@pytest.mark.parametrize(
    ("match", "problem"),
    [
        ("{", "--match: "),
        ("[]", "--match: expected a JSON object"),
        ('{"raeson": 1}', "did you mean 'reason'?"),
    ],
)
def test_a_query_that_is_none(command: CommandLine, words: tuple[str, ...], match: str, problem: str) -> None:
    """Exit 2 and what is wrong, whatever was to be done; nothing is done."""
    command.park(*_letters())
    answer = command("dlq", *words, "--match", match)
    assert (answer.code, answer.out) == (2, "")
    assert problem in answer.err
    assert command("dlq", "count", "--json").rows[0]["letters"] == 5


def test_the_count(command: CommandLine) -> None:
    """How many, of how many keys, how large, and what stands in the way of sending them."""
    command.park(*_letters())
    answer = command("dlq", "count")
    assert (answer.code, answer.text) == (0, COUNTED)
    assert command("dlq", "count", "--json", "--match", '{"kind": "held"}').rows == [
        {"letters": 1, "keys": 1, "bytes": 77, "superseded": 0, "held": 1, "legal_hold": 0}
    ]


def test_one_is_shown(command: CommandLine) -> None:
    """All of its fields and every error with its time."""
    command.park(*_letters())
    named = command("dlq", "list", "--json").rows[1]
    answer = command("dlq", "show", named["id"])
    assert (answer.code, answer.err) == (0, "")
    assert answer.text == masked(SHOWN)
    assert command("dlq", "show", named["event_id"], "--json").rows == [named]


def test_documents_are_shown_when_asked_for(command: CommandLine) -> None:
    """The event in Extended JSON and the message as it would be sent; else neither."""
    command.park(*_letters())
    (named, *_) = command("dlq", "list", "--json").rows
    assert SECRET not in command("dlq", "show", named["id"]).out
    assert SECRET in command("dlq", "show", named["id"], "--body").out
    (row,) = command("dlq", "show", named["id"], "--body", "--json").rows
    assert row["event"]["document"] == {"_id": 1, "text": SECRET}
    assert row["message"] == SECRET


def test_none_is_shown(alone: CommandLine) -> None:
    """Exit 1: the answer is no."""
    alone.park()
    answer = alone("dlq", "show", "0" * 32)
    assert (answer.code, answer.out, answer.err) == (1, "", f"no dead letter has the id {'0' * 32}\n")


def test_whatever_an_event_holds_it_can_be_exported(command: CommandLine) -> None:
    """Garbage, halves of characters and bytes of any kind become JSON."""
    odd = odd_events()
    command.park(*(letter(0, event=each, body=b"\xff\0", reason="\ud800") for each in odd.values()))
    answer = command("dlq", "export")
    assert (answer.code, answer.err) == (0, f"exported {len(odd)}\n")
    assert {row["event_id"] for row in answer.rows} == {each.id for each in odd.values()}
    assert all(row["message"] == {"$binary": {"base64": "/wA=", "subType": "00"}} for row in answer.rows)
    assert command("dlq", "list", "--limit", "0").code == 0


def test_an_export_is_whole_or_not_there(alone: CommandLine, tmp_path: Path) -> None:
    """A file that was there stays as it was until the new one is complete, and if it fails."""
    alone.park(*_letters())
    target = tmp_path / "out" / "letters.jsonl"
    target.parent.mkdir()
    target.write_text("before")
    failed = alone("dlq", "export", "-o", str(target), "--match", '{"raeson": 1}')
    assert (failed.code, target.read_text()) == (2, "before")
    answer = alone("dlq", "export", "-o", str(target), "--route", "hook")
    assert (answer.code, answer.out, answer.err) == (0, "", "exported 3\n")
    rows = [orjson.loads(line) for line in target.read_bytes().splitlines()]
    assert [row["event"]["document"]["_id"] for row in rows] == [1, 2, 3]
    assert [path.name for path in target.parent.iterdir()] == ["letters.jsonl"]
    assert target.stat().st_mode & 0o777 == 0o600


def test_an_export_to_nowhere(alone: CommandLine, tmp_path: Path) -> None:
    """Exit 2 with the path."""
    alone.park()
    answer = alone("dlq", "export", "-o", str(tmp_path / "missing" / "letters.jsonl"))
    assert answer.code == 2
    assert "letters.jsonl cannot be written: No such file or directory" in answer.err


def test_discarding_asks(command: CommandLine) -> None:
    """A no changes nothing; a yes, typed or given, discards what matches and nothing else."""
    command.park(*_letters())
    answer = command("dlq", "discard", "--route", "hook", typed="n\n")
    assert answer.code == 1
    assert answer.out.startswith("3 dead letters of 2 keys, 0 of them on legal hold\ndiscard them? [y/N]: ")
    assert command("dlq", "count", "--json").rows[0]["letters"] == 5
    answer = command("dlq", "discard", "--route", "hook", typed="y\n")
    assert (answer.code, answer.out.splitlines()[-1].endswith("discarded 3 dead letters")) == (0, True)
    answer = command("dlq", "discard", "--yes", "--match", '{"kind": "too_large"}')
    assert answer.out.splitlines()[-1] == "discarded 1 dead letter"
    assert [row["status"] for row in command("dlq", "list", "--json", "--status", "any").rows] == [
        *["discarded"] * 4,
        "parked",
    ]
    answer = command("dlq", "discard", "--yes", "--route", "hook")
    assert (answer.code, answer.out) == (0, "no dead letters\n")


def test_a_script_that_forgot_to_say_yes(alone: CommandLine) -> None:
    """Nobody is there to answer: nothing is done, exit 1."""
    alone.park(*_letters())
    assert alone("dlq", "discard").code == 1
    assert alone("dlq", "count", "--json").rows[0]["letters"] == 5


def test_a_legal_hold_is_set_and_lifted(command: CommandLine) -> None:
    """On what matches, discarded ones included if asked for."""
    command.park(*_letters())
    command("dlq", "discard", "--yes", "--match", '{"document_key._id": 1}')
    answer = command("dlq", "hold", "--yes", "--route", "hook", "--status", "any")
    assert (answer.code, answer.out.splitlines()[-1]) == (0, "now held: 3 dead letters")
    assert command("dlq", "count", "--json", "--status", "any").rows[0]["legal_hold"] == 3
    answer = command("dlq", "unhold", "--yes", "--route", "hook")
    assert answer.out.splitlines()[-1] == "no longer held: 2 dead letters"
    held = command("dlq", "list", "--json", "--status", "any", "--match", '{"legal_hold": true}').rows
    assert [row["document_key"] for row in held] == [{"_id": 1}]


def test_a_superseded_one_names_what_superseded_it(command: CommandLine) -> None:
    """And the count has it."""
    newer = event(9, document_key=event(1).document_key)
    command.park(*_letters())

    async def superseded(store: Store) -> None:
        await store.supersede_letters("orders", "hook", newer)

    command.on_store(superseded)
    assert command("dlq", "count", "--json").rows[0]["superseded"] == 2
    rows = command("dlq", "list", "--json", "--match", '{"superseded_by": {"$exists": true}}').rows
    assert {row["superseded_by"] for row in rows} == {newer.id}


def test_commands_work_beside_a_daemon(command: CommandLine) -> None:
    """Whoever holds the store, its dead letters can be seen and decided about."""
    command.park(*_letters())

    async def meanwhile(store: Store) -> int:
        import anyio.to_thread

        assert await anyio.to_thread.run_sync(lambda: command("dlq", "discard", "--yes").code) == 0
        return (await store.count_letters(LetterQuery(statuses=()))).letters

    assert command.on_store(meanwhile) == 5
    assert command("dlq", "count", "--json").rows[0]["letters"] == 0


def test_a_store_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Exit 3 with a sentence."""
    state = '{type: mongodb, uri: "mongodb://127.0.0.1:1/?replicaSet=rs0"}'
    command = CommandLine(tmp_path, state, "mongodb://127.0.0.1:1/?replicaSet=rs0", monkeypatch, capfd)
    answer = command("dlq", "list")
    assert (answer.code, answer.out) == (3, "")
    assert len(answer.err.splitlines()) == 1
