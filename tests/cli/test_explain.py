"""`eventbus explain`: what runs where, without a connection."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import anyio
import pytest

from eventbus.assembly import pipeline_of
from eventbus.cli.explaining import explanation
from eventbus.config import Config, load
from eventbus.model import Event
from eventbus.registry import Registry
from eventbus.sdk import StageContext, Views
from tests.cli.command_line import CommandLine

GOLDEN = Path(__file__).parent / "golden"

CONFIG = """\
mongodb: {uri: "mongodb://someone:secret@127.0.0.1:1/?replicaSet=rs0"}
state: {type: mongodb, database: own}
sinks:
  lines: {type: stdout}
  raw: {type: kafka, bootstrap_servers: "127.0.0.1:1", topic: raw}
  pages: {type: redis, url: "redis://:secret@127.0.0.1:1/0", mode: invalidate, keys: ["page:{document.slug}"]}
subscriptions:
  orders:
    service: shop
    source:
      database: shop
      collections: [orders, payments]
      operations: [insert, update]
      match: {documentKey._id: {$gt: {$oid: "64b7f0c2a1b2c3d4e5f60718"}}}
      fields: [status]
      classify:
        severity: {cases: [{when: {$eq: [$operationType, insert]}, then: high}], otherwise: normal}
      project: [status]
      pipeline: [{$unset: fullDocument.card}]
      full_document: when_available
    routes:
      - sink: raw
        when: severity == 'high'
        encoding: {envelope: document, format: bson}
        delivery: exactly_once
      - {sink: pages, pipeline: [{filter: "operation == 'update'"}]}
  everything:
    source: {}
    pipeline:
      - {name: totals, set: {fields: {document.total: document.price * 2, place: ns}}, on_error: drop}
      - filter: document.total > 5 && place != 'shop.carts'
      - {sample: {share: 0.5}}
      - lookup: {collection: customers, key: document.customer, into: customer}
    routes:
      - {sink: lines, when: "changed.status == 'open'", on_dead_letter: hold_key}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The configuration above as a file."""
    file = tmp_path / "c.yaml"
    file.write_text(CONFIG)
    return file


def _found(config: Path) -> Config:
    return load([config], Registry.from_entry_points(), {})


@pytest.mark.parametrize("name", ["orders", "everything"])
def test_what_people_and_programs_are_told(alone: CommandLine, config: Path, name: str) -> None:
    """The whole of it, word for word; no secret is in it. EVENTBUS_GOLDEN=write writes it anew."""
    words = ("explain", name, "-c", str(config))
    text = alone.plainly(*words)
    (row,) = alone.plainly(*words, "--json").rows
    assert (text.code, text.err) == (0, "")
    assert "secret" not in text.text + json.dumps(row)
    for file, found in (
        (GOLDEN / f"explain_{name}.txt", text.out),
        (GOLDEN / f"explain_{name}.json", json.dumps(row, indent=1) + "\n"),
    ):
        if os.environ.get("EVENTBUS_GOLDEN") == "write":
            file.write_text(found)
        assert found == file.read_text()


def test_an_unknown_subscription_is_pointed_out(alone: CommandLine, config: Path) -> None:
    answer = alone.plainly("explain", "order", "-c", str(config))
    assert answer.code == 2
    assert "no subscription is named 'order', did you mean 'orders'?" in answer.err


def test_what_decodes_documents(config: Path) -> None:
    """A condition on a name does not, nor does BSON; a sink that writes keys of its own needs no encoding."""
    raw, pages = explanation(_found(config), "orders")["routes"]
    assert raw["decoded_by"] == []
    assert pages["decoded_by"] == ["sink pages"]
    (lines,) = explanation(_found(config), "everything")["routes"]
    stages = ["stage totals", "stage filter (2)", "stage lookup (4)"]
    assert lines["decoded_by"] == [*stages, "when", "encoding"]


@pytest.mark.parametrize(
    "stage",
    [
        {"set": {"fields": {"place": "ns"}}},
        {"filter": "operation == 'insert'"},
        {"sample": 1.0},
        {"classify": {"target": "kind", "cases": [{"when": "operation == 'insert'", "then": 1}]}},
    ],
    ids=lambda stage: next(iter(stage)),
)
def test_what_is_said_to_decode_nothing_decodes_nothing(config: Path, stage: dict[str, Any]) -> None:
    """Documents that cannot be decoded pass."""
    config.write_text(
        CONFIG.replace("    routes:\n", f"    pipeline: [{json.dumps(stage)}]\n    routes:\n", 1)
    )
    found = _found(config)
    (told,) = explanation(found, "orders")["pipeline"]
    assert not told["decodes"]
    pipeline = pipeline_of(found.subscriptions["orders"].pipeline, StageContext("orders", "shop", Views()))
    assert pipeline is not None
    odd = b"no document"
    event = Event(
        token="82", operation="insert", database="a", collection="b", document=odd, before=odd, changed=odd
    )
    (slot,) = anyio.run(pipeline.apply, [event])
    assert isinstance(slot, Event)


def test_the_server_is_told_what_is_explained(config: Path) -> None:
    """In the order of the stream itself."""
    told = [stage["option"] for stage in explanation(_found(config), "orders")["source"]["stages"]]
    assert told == [
        *("collections", "operations", "match", "fields", "classify", "project", "project", "project"),
        *("pipeline", "split"),
    ]
    (state, split) = explanation(_found(config), "everything")["source"]["stages"]
    assert state["stage"] == {"$match": {"ns.db": {"$ne": "own"}}}
    assert split["option"] == "split"
