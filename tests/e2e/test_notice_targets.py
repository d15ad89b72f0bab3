"""Notices of a running daemon in what keeps them: a topic, a collection, a file. Each on the real server."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from pymongo import MongoClient

from eventbus.devservices import KafkaService, MongoService
from eventbus.state.access import Access
from eventbus.state.store import Store
from tests.e2e.command import Operator
from tests.e2e.daemon import DaemonProcess
from tests.e2e.receivers import from_files, from_kafka

pytestmark = pytest.mark.services

KINDS = ["subscription_started", "route_paused", "route_resumed", "subscription_stopped"]


def test_notices_in_a_topic(kafka_service: KafkaService, mongo: MongoService, tmp_path: Path) -> None:
    """As records, one for each."""
    topic = f"notices-{uuid.uuid4().hex}"
    servers = kafka_service.bootstrap_servers
    sink = {"type": "kafka", "bootstrap_servers": servers, "topic": topic}
    _carried(sink, mongo, tmp_path, lambda: [orjson.loads(one.body) for one in from_kafka(servers, topic)])


def test_notices_in_a_collection(mongo: MongoService, fresh_database: str, tmp_path: Path) -> None:
    """As documents, one for each."""
    sink = {
        "type": "mongodb",
        "uri": mongo.uri,
        "mode": "insert",
        "database": fresh_database,
        "collection": "notices",
    }
    with MongoClient[dict[str, Any]](mongo.uri) as client:
        found = client[fresh_database].notices
        _carried(sink, mongo, tmp_path, lambda: list(found.find().sort("$natural", 1)))


def test_notices_in_a_file(mongo: MongoService, tmp_path: Path) -> None:
    """As lines."""
    file = tmp_path / "notices.jsonl"
    sink = {"type": "file", "path": str(file)}
    _carried(sink, mongo, tmp_path, lambda: [orjson.loads(one.body) for one in from_files(file)])


def _carried(
    sink: dict[str, Any], mongo: MongoService, folder: Path, told: Callable[[], list[dict[str, Any]]]
) -> None:
    """What a daemon says from its start to its stop is in the sink: each notice once, whole, in its order."""
    config: dict[str, Any] = {
        "mongodb": {"uri": mongo.uri},
        "state": {"type": "sqlite", "path": str(folder / "state.db")},
        "log": {"format": "json"},
        "daemon": {"instance": "e2e"},
        "sinks": {"ops": sink, "archive": {"type": "file", "path": str(folder / "archive.jsonl")}},
        "subscriptions": {
            "orders": {
                "source": {"database": f"shop_{uuid.uuid4().hex[:8]}", "collections": ["orders"]},
                "routes": ["archive"],
            }
        },
        "notices": {"sink": "ops", "min_interval": "0s"},
    }
    daemon = DaemonProcess(folder, config)

    def kinds() -> list[str]:
        every = [one["data"]["kind"] for one in told()]
        return [kind for kind in every if kind in KINDS]  # a pause also detaches the route, or does not

    with daemon.start():
        daemon.wait_for(lambda: kinds() == KINDS[:1], "the start")
        for number, reason in enumerate(("stock-taking", None), start=2):
            Operator(daemon).on_store(_paused(reason), Access.OPERATE)
            daemon.wait_for(lambda wanted=KINDS[:number]: kinds() == wanted, "a pause, and its end")
        assert daemon.terminate() == 0
    assert kinds() == KINDS
    arrived = told()
    paused = next(one for one in arrived if one["data"]["kind"] == "route_paused")
    assert (paused["specversion"], paused["type"]) == ("1.0", "eventbus.notice.route_paused")
    assert (paused["source"], paused["subject"]) == ("/eventbus/e2e", "orders/archive")
    assert (paused["data"]["reason"], paused["data"]["route"]) == ("stock-taking", "archive")
    assert len({one["id"] for one in arrived}) == len(arrived)
    assert not daemon.events("notice_refused")


def _paused(reason: str | None) -> Callable[[Store], Any]:
    async def stored(store: Store) -> None:
        await store.set_paused("orders", "archive", reason)

    return stored
