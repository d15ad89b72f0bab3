"""`eventbus plan`: what becomes of each route at the start, as the server says of its stored position."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from eventbus.devservices import MongoService
from eventbus.model import Position, PositionKind
from eventbus.sources.mongodb.tokens import cluster_time_of
from eventbus.state.store import Save, Store
from tests.cli.command_line import CommandLine, masked
from tests.docs.pages import ROOT, blocks
from tests.doctor.forgetful import forget, start_forgetful

pytestmark = pytest.mark.services

AS_THE_READER: list[dict[str, Any]] = [{"$changeStreamSplitLargeEvent": {}}]
"""With this stage the server writes tokens of the same form as for the daemon."""

DECIDED_BY_TIME = {"bytes", "per_sec", "busiest_sec", "busiest_min"}
BY_DEFAULT = "mongodb://localhost:27017/?replicaSet=rs0"

CONFIG = """\
mongodb: {uri: "%(uri)s"}
state: {type: sqlite, path: %(directory)s/state.db}
sinks:
  nothing: {type: discard}
subscriptions:
  orders:
    source: {database: shop, collections: [orders], match: {operationType: insert}}
    routes:
      - {name: kept, sink: nothing}
      - {name: idle, sink: nothing}
      - {name: reopened, sink: nothing}
      - {name: reopened_last, sink: nothing}
      - {name: lost, sink: nothing}
      - {name: resting, sink: nothing}
      - {name: fresh, sink: nothing}
      - {name: past, sink: nothing, start: oldest}
  products:
    source: {database: shop, collections: [products], snapshot: initial}
    routes: [nothing]
"""


@pytest.fixture(scope="module")
def forgetful() -> Iterator[MongoService]:
    """A server of these tests alone."""
    with start_forgetful() as service:
        yield service


def position(token: str, kind: PositionKind = PositionKind.EVENT) -> Position:
    """Of a token."""
    return Position(token, kind, cluster_time_of(token))


def test_every_prospect(
    forgetful: MongoService,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    command = CommandLine(tmp_path, "{}", forgetful.uri, monkeypatch, capfd)
    command.config_path.write_text(CONFIG % {"uri": forgetful.uri, "directory": tmp_path})
    with MongoClient[dict[str, Any]](forgetful.uri) as client:
        tokens = _history(client)
    stored = {
        "kept": position(tokens["insert"]),
        "idle": position(tokens["idle"], PositionKind.IDLE),
        "reopened": position(tokens["update"]),
        "reopened_last": position(tokens["delete"]),
        "lost": position(tokens["forgotten"]),
        "resting": position(tokens["insert"]),
        "gone": position(tokens["insert"]),
        "gone@4f2a": position(tokens["insert"]),
    }

    async def store_them(store: Store) -> None:
        for name, positions in (("orders", stored), ("past_times", {"x": position(tokens["insert"])})):
            lease = await store.acquire(name, lease_secs=60.0, reclaim=False)
            assert lease is not None
            await store.save([Save(lease, positions)], lease_secs=60.0)
            await store.release(lease)
        await store.set_paused("orders", "resting", "asked for")

    first = command("plan", "--json")
    assert {row["prospect"] for row in first.rows} == {"new", "snapshot"}, first.err
    assert not (tmp_path / "state.db").exists()
    command.on_store(store_them)
    before = command.on_store(lambda store: store.positions("orders"))
    answer = command("plan", "--json", "--window", "1d")
    assert answer.code == 1, answer.err
    rows = {(row["subscription"], row["route"]): row for row in answer.rows}
    assert {route: row["prospect"] for (_, route), row in rows.items()} == {
        "kept": "kept",
        "idle": "kept",
        "reopened": "reopened at cluster time",
        "reopened_last": "reopened at cluster time",
        "lost": "position lost",
        "resting": "paused",
        "fresh": "new",
        "past": "new",
        "gone": "orphaned",
        "nothing": "snapshot",
        "x": "orphaned",
    }
    assert rows["products", "nothing"]["documents"] == 3
    assert "286" in rows["orders", "lost"]["why"]
    assert "--running" in answer.err
    assert "MongoDB still has the changes of" in answer.err, "the oplog is shorter than the window"
    assert rows["orders", "kept"]["matches"] == 2
    assert rows["orders", "kept"]["newly"] is None
    assert command.on_store(lambda store: store.positions("orders")) == before
    assert not list(tmp_path.glob("*.jsonl"))
    _forget_what_is_orphaned(command)


def test_the_page_shows_what_is_printed(
    mongo: MongoService,
    fresh_database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Every count and sentence of docs/plan.md, of its two configurations and 240 inserts."""
    command = CommandLine(tmp_path, "{}", mongo.uri, monkeypatch, capfd)
    monkeypatch.chdir(tmp_path)
    page = ROOT / "docs/plan.md"
    for name, block in zip(("eventbus.yaml", "new.yaml"), blocks("yaml", page), strict=True):
        text = block.text.replace("database: shop", f"database: {fresh_database}")
        (tmp_path / name).write_text(text.replace(BY_DEFAULT, mongo.uri))
    with MongoClient[dict[str, Any]](mongo.uri) as client:
        orders = client[fresh_database]["orders"]
        orders.insert_many(
            [
                {"_id": n, "region": ("eu", "us", "us")[n % 3], "total": (20, 60, 95, 99.5)[n % 4]}
                for n in range(240)
            ]
        )
        orders.delete_many({"_id": {"$lt": 60}})
        with orders.watch(AS_THE_READER) as stream:
            stream.try_next()
            assert stream.resume_token is not None
            now = position(stream.resume_token["_data"], PositionKind.IDLE)

    async def store_them(store: Store) -> None:
        lease = await store.acquire("orders", lease_secs=60.0, reclaim=False)
        assert lease is not None
        stored = dict.fromkeys(("archive", "alerts", "copy"), now)
        await store.save([Save(lease, stored)], lease_secs=60.0)
        await store.release(lease)

    command.on_store(store_them)
    for block in blocks("console", page):
        line, *shown = block.text.splitlines()
        answer = command.plainly(*shlex.split(line)[2:])
        assert told(answer.out.splitlines()) == told(shown), answer.out
    assert {path.name for path in tmp_path.iterdir() if path.suffix == ".jsonl"} == set()


def told(lines: list[str]) -> list[list[str]]:
    """The cells of tables but those that time decides, and lines without times and tokens."""
    found: list[list[str]] = []
    columns: list[str] = []
    for line in lines:
        cells = [cell.strip() for cell in re.split("[│┃]", line)]
        if line.startswith("┃"):
            columns = cells
        if len(cells) > 1:
            found.append(
                [cell for name, cell in zip(columns, cells, strict=True) if name not in DECIDED_BY_TIME]
            )
        elif line.strip() and line[0] not in "┏┡└":
            found.append([re.sub(r"82[0-9A-F]{20,}", "<token>", masked(line))])
    return found


def _forget_what_is_orphaned(command: CommandLine) -> None:
    """The command that a row names does what it says, and no more."""
    refused = command("position", "forget", "orders", "--route", "kept", "--yes")
    assert (refused.code, "is configured" in refused.err) == (2, True)
    for subscription, route in (("orders", "gone"), ("past_times", "x")):
        answer = command("position", "forget", subscription, "--route", route, "--yes")
        assert answer.code == 0, answer.err
    assert command("position", "forget", "orders", "--route", "gone", "--yes").code == 1
    rows = command("plan", "orders", "--json").rows
    assert "orphaned" not in {row["prospect"] for row in rows}
    assert len(rows) == 8


def _history(client: MongoClient[dict[str, Any]]) -> dict[str, str]:
    """Some changes, and the tokens of what the positions are to stand at."""
    orders, products = client["shop"]["orders"], client["shop"]["products"]
    tokens: dict[str, str] = {}
    with client["shop"].watch(AS_THE_READER) as early:
        orders.insert_one({"_id": "early"})
        tokens["forgotten"] = next(early)["_id"]["_data"]
    forget(client)
    products.insert_many([{"_id": number} for number in range(3)])
    with orders.watch(AS_THE_READER) as stream:
        orders.insert_one({"_id": 1})
        orders.update_one({"_id": 1}, {"$set": {"n": 1}})
        orders.insert_one({"_id": 2})
        orders.delete_one({"_id": 2})
        for change in stream:
            tokens.setdefault(change["operationType"], change["_id"]["_data"])
            if change["operationType"] == "delete":
                break
    products.update_one({"_id": 1}, {"$set": {"n": 1}})
    with orders.watch(AS_THE_READER) as stream:
        stream.try_next()
        assert stream.resume_token is not None
        tokens["idle"] = stream.resume_token["_data"]
    return tokens
