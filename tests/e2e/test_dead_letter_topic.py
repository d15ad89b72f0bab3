"""Copies of dead letters in a Kafka topic, as a consumer of it sees them, from the real process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import anyio
import bson
import orjson
import pytest
from bson.raw_bson import RawBSONDocument

from tests.e2e.daemon import DaemonProcess
from tests.e2e.scene import Scene
from tests.sinks.kafka_topics import Record, create_topic, records

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]

REFUSED = ("a", "b", "large")
MOST_BYTES = 20_000
"""What the topic takes, and the sink does not know."""


@pytest.fixture(params=["mongodb", "sqlite"])
def daemon(request: pytest.FixtureRequest, scene: Scene) -> Iterator[DaemonProcess]:
    """One whose webhook refuses some events, and copies of them go to a topic; not yet started."""
    scene.sink_names = ("webhook",)
    scene.webhook.answer = lambda event: 422 if event["subject"] in REFUSED else 200
    state = {
        "mongodb": {"type": "mongodb", "database": scene.state_database},
        "sqlite": {"type": "sqlite", "path": str(scene.directory / "state.db")},
    }[request.param]
    config = scene.config(state=state)
    config["defaults"]["dead_letters"] = {"sink": "dead"}
    config["sinks"]["dead"] = {
        "type": "kafka",
        "bootstrap_servers": scene.kafka.bootstrap_servers,
        "topic": _topic(scene),
    }
    with DaemonProcess(scene.directory, config) as made:
        yield made


def test_a_consumer_of_the_topic_learns_what_failed_and_why(scene: Scene, daemon: DaemonProcess) -> None:
    """Each dead letter once, also after a kill, and whatever is wrong with it; all stay dead letters."""
    anyio.run(_make_topic, scene)
    with daemon.start():
        scene.collection.insert_many([{"_id": "a"}, {"_id": "good"}, {"_id": "large", "x": "x" * 50_000}])
        scene.collection.insert_one(_unreadable())
        daemon.wait_for(lambda: len(_copies(scene)) == 3, "copies")
        daemon.wait_for(lambda: all(row["forwarded"] for row in _rows(daemon)), "the word that they are made")
        daemon.kill()
        daemon.start()
        scene.collection.insert_many([{"_id": "b"}, {"_id": "fine"}])
        daemon.wait_for(lambda: len(_copies(scene)) == 4, "the copy after the kill")
        daemon.wait_for(lambda: all(row["forwarded"] for row in _rows(daemon)), "the word of that one")
        daemon.wait_for(lambda: len({arrival.id for arrival in scene.webhook.arrivals}) == 2, "good events")
        assert daemon.terminate() == 0
    assert "subscription_crashed" not in daemon.log()
    rows = {row["id"]: row for row in _rows(daemon)}
    copies = {record.headers["eventbus-dead-letter-id"].decode(): record for record in _copies(scene)}
    assert copies.keys() == rows.keys()
    for letter_id, record in copies.items():
        _check_copy(record, rows[letter_id], scene)
    bodies = {body["subject"]: body for body in map(_body, copies.values()) if "subject" in body}
    assert bodies.keys() == set(REFUSED)
    assert bodies["a"]["data"]["document"] == {"_id": "a"}
    assert bodies["large"]["data"]["document"] is None
    assert {subject for subject, body in bodies.items() if "dataomitted" in body} == {"large"}


def _unreadable() -> RawBSONDocument:
    """Its `_id` is no text, so it has no key."""
    return RawBSONDocument(bson.encode({"_id": "placeholder"}).replace(b"placeholder", b"\xff\xfe........."))


def _check_copy(record: Record, row: Mapping[str, Any], scene: Scene) -> None:
    headers = {name: value.decode() for name, value in record.headers.items()}
    kind = row["kind"]
    assert (
        headers.items()
        >= {
            "event-id": row["event_id"],
            "__connect.errors.topic": f"{scene.name}.orders",
            "__connect.errors.connector.name": "orders/webhook",
            "__connect.errors.stage": "TASK_PUT" if kind == "rejected" else "VALUE_CONVERTER",
            "__connect.errors.class.name": "webhook",
            "__connect.errors.exception.class.name": kind,
            "eventbus-dead-letter-route": "webhook",
            "eventbus-dead-letter-attempts": str(row["attempts"]),
        }.items()
    )
    assert headers["__connect.errors.exception.message"] in row["reason"]
    body = _body(record)
    assert (body["id"], body["deadletterid"]) == (row["event_id"], row["id"])
    assert (body["failurekind"], row["status"]) == (kind, "parked")


def _body(record: Record) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(record.value)
    return body


def _topic(scene: Scene) -> str:
    return f"{scene.name}.dead"


async def _make_topic(scene: Scene) -> None:
    most = str(MOST_BYTES)
    await create_topic(
        scene.kafka.bootstrap_servers, name=_topic(scene), partitions=1, max_message_bytes=most
    )


def _copies(scene: Scene) -> list[Record]:
    return list(anyio.run(records, scene.kafka.bootstrap_servers, _topic(scene)))


def _rows(daemon: DaemonProcess) -> list[dict[str, Any]]:
    """The dead letters, as the command tells them."""
    done = subprocess.run(
        [sys.executable, "-m", "eventbus", "dlq", "list", "-c", str(daemon.config_path), "--json"],
        capture_output=True,
        check=True,
        timeout=60,
    )
    return [orjson.loads(line) for line in done.stdout.splitlines()]
