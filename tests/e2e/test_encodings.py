"""Every envelope and form from the real daemon, as readers of each sink find it."""

from __future__ import annotations

import subprocess
import sys
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import bson
import gridfs
import orjson
import pytest
from bson import Int64
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.daemon import DaemonProcess
from tests.e2e.receivers import from_redis
from tests.e2e.scene import Scene
from tests.sinks.kafka_topics import Record, create_topic, records

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]

LARGE = "x" * 70_000
ENCODINGS: Mapping[str, Mapping[str, Any]] = {
    "binary": {"mode": "binary", "without": ["card"]},
    "debezium": {"envelope": "debezium", "schema": True},
    "documents": {"envelope": "document", "json": "plain", "claim_check": {"above": "64KiB", "keep": "1d"}},
    "feed": {"envelope": "change", "format": "bson"},
    "archive": {"body": {"who": "{document.name}", "text": "{operation} of {document_key._id}"}},
    "refused": {"envelope": "document", "format": "bson"},
}
WITH_DOCUMENT = ("insert", "update", "delete", "insert")
TOPICS = ("binary", "debezium", "documents")


def _config(scene: Scene) -> dict[str, Any]:
    def topic(name: str) -> dict[str, Any]:
        servers = scene.kafka.bootstrap_servers
        return {"type": "kafka", "bootstrap_servers": servers, "topic": f"{scene.name}.{name}"}

    scene.sink_names = ("feed", "archive")
    refused = {"type": "webhook", "url": f"{scene.webhook.url}/nowhere"}
    sinks = {**scene.sinks(), **{name: topic(name) for name in TOPICS}, "refused": refused}
    subscription = {
        "source": {"database": scene.name, "collections": ["orders"], "full_document": "required"},
        "routes": [{"sink": name, "encoding": encoding} for name, encoding in ENCODINGS.items()],
    }
    return scene.config(sinks=sinks, subscriptions={"orders": subscription})


def _change_things(scene: Scene) -> None:
    """An insert, an update, a delete, a large document."""
    orders = scene.collection
    scene.client[scene.name].command("collMod", "orders", changeStreamPreAndPostImages={"enabled": True})
    orders.insert_one({"_id": 1, "name": "Ünal", "total": Int64(2**60), "card": "4111"})
    orders.update_one({"_id": 1}, {"$set": {"total": 7.5}, "$unset": {"card": 1}})
    orders.delete_one({"_id": 1})
    orders.insert_one({"_id": 2, "name": LARGE})


def test_each_sink_has_what_its_route_asks_for(scene: Scene) -> None:
    """One daemon, six routes; a drop is told where there is a form for it, and left out elsewhere."""
    anyio.run(_make_topics, scene)
    with DaemonProcess(scene.directory, _config(scene)) as daemon, daemon.start():
        _change_things(scene)
        daemon.wait_for(lambda: _settled(daemon) == dict.fromkeys(ENCODINGS, 4), "four changes")
        scene.collection.drop()
        daemon.wait_for(lambda: _settled(daemon) == dict.fromkeys(ENCODINGS, 6), "what the drop is")
        assert daemon.terminate() == 0
        _check_dead_letters(daemon)
    _check_binary(scene)
    _check_debezium(_records(scene, "debezium"))
    _check_documents(scene)
    _check_changes(scene)
    lines = [orjson.loads(line) for line in (scene.directory / "archive.jsonl").read_bytes().splitlines()]
    assert lines[0] == {"who": "Ünal", "text": "insert of 1"}
    assert lines[4] == {"who": None, "text": "drop of "}


def _settled(daemon: DaemonProcess) -> dict[str, float]:
    """How many events found their end, by route."""
    settled: dict[str, float] = {}
    for family in text_string_to_metric_families(daemon.get("/metrics")[1]):
        for sample in family.samples:
            if sample.name == "eventbus_events_settled_total":
                route = sample.labels["route"]
                settled[route] = settled.get(route, 0) + sample.value
    return settled


def _check_binary(scene: Scene) -> None:
    """By the package of the CloudEvents project."""
    read = [
        from_kafka_event(KafkaMessage(headers=dict(record.headers), key=record.key, value=record.value))
        for record in _records(scene, "binary")
    ]
    types = (*WITH_DOCUMENT, "drop", "invalidate")
    assert sorted(event.get_type() for event in read) == sorted(f"mongodb.{name}" for name in types)
    inserted = next(event for event in read if event.get_subject() == "1")
    data = inserted.get_data()
    assert isinstance(data, dict)
    assert data["document"] == {"_id": 1, "name": "Ünal", "total": 2**60}


def _check_debezium(found: Sequence[Record]) -> None:
    of_one = [orjson.loads(record.value)["payload"] for record in found if record.key == found[0].key]
    of_two = [orjson.loads(record.value)["payload"] for record in found if record.key != found[0].key]
    of_one, of_two = sorted((of_one, of_two), key=len, reverse=True)
    assert [one["op"] for one in of_two] == ["c"]
    assert [one["op"] for one in of_one] == ["c", "u", "d"]
    assert of_one[1]["updateDescription"]["removedFields"] == ["card"]
    assert orjson.loads(of_one[1]["updateDescription"]["updatedFields"]) == {"total": 7.5}


def _check_documents(scene: Scene) -> None:
    """The last value of a document that is gone is null, and large content lies where the message says."""
    found = _records(scene, "documents")
    keys = {record.key for record in found}
    second, first = sorted(([one.value for one in found if one.key == key] for key in keys), key=len)
    assert [orjson.loads(value)["total"] if value else value for value in first] == [str(2**60), 7.5, None]
    claim = orjson.loads(second[0])["claim_check"]
    stored = gridfs.GridFS(scene.client[scene.state_database], claim["bucket"]).get(claim["id"])
    assert orjson.loads(stored.read()) == {"_id": 2, "name": LARGE}


def _check_changes(scene: Scene) -> None:
    """What the driver's own watch shows of the same history."""
    found = [bson.decode(arrival.body) for arrival in from_redis(scene.redis.url, scene.name)]
    split: list[dict[str, Any]] = [{"$changeStreamSplitLargeEvent": {}}]  # for tokens of the same version
    with scene.collection.watch(split, resume_after=scene.beginning) as stream:
        shown = [stream.next() for _ in range(6)]
    for ours, theirs in zip(found, shown, strict=True):
        if ours["operationType"] == "update":
            assert ours.pop("fullDocument") == {"_id": 1, "name": "Ünal", "total": 7.5}
        assert ours == theirs


def _check_dead_letters(daemon: DaemonProcess) -> None:
    """Their messages are kept as they were, and shown though they are no text."""
    rows = _dead_letters(daemon)
    assert sorted(row["operation"] for row in rows) == sorted(WITH_DOCUMENT)
    for row in (next(row for row in rows if row["operation"] == name) for name in ("insert", "delete")):
        shown = orjson.loads(_command("dlq", "show", row["id"], "--body", "--json", daemon=daemon))
        document = bson.decode(b64decode(shown["message"]["$binary"]["base64"]))
        if row["operation"] == "delete":
            assert document == {"_id": 1, "__deleted": True}
        assert document["_id"] == shown["event"]["document_key"]["_id"]


def _dead_letters(daemon: DaemonProcess) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in _command("dlq", "list", "--json", daemon=daemon).splitlines()]


def _command(*words: str, daemon: DaemonProcess) -> bytes:
    command = [sys.executable, "-m", "eventbus", *words, "-c", str(daemon.config_path)]
    return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout


def _records(scene: Scene, name: str) -> Sequence[Record]:
    return anyio.run(records, scene.kafka.bootstrap_servers, f"{scene.name}.{name}")


async def _make_topics(scene: Scene) -> None:
    for name in TOPICS:
        await create_topic(scene.kafka.bootstrap_servers, name=f"{scene.name}.{name}", partitions=2)
