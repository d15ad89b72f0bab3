"""An oplog that rolls over: under paused routes, with each policy, and under a subscription that is idle."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from pymongo import MongoClient

from eventbus.devservices import MongoService
from eventbus.sources.mongodb.tokens import cluster_time_of
from eventbus.state.access import Access
from eventbus.state.store import Store
from tests.e2e.command import Operator
from tests.e2e.daemon import DaemonProcess
from tests.sources.test_mongodb_faults import roll_over

pytestmark = [pytest.mark.services, pytest.mark.heavy]

GO_ON = ("oldest", "now", "snapshot")
PAUSED = ("stop", *GO_ON, "quiet")
"""Subscriptions of one collection; ``quiet`` goes on from now, and its sink is not told."""
SUBSCRIPTIONS = (*PAUSED, "idle")


@pytest.fixture
def mongo_of_little_memory() -> Iterator[MongoService]:
    """A server whose oplog is soon full, and forgets soon."""
    with MongoService.start(oplog_mb=1, extra_args=["--syncdelay", "1"], own=True) as service:
        yield service


def _config(mongo: MongoService, directory: Path) -> dict[str, Any]:
    policies = {name: {"on_position_lost": name} for name in PAUSED} | {
        "quiet": {"on_position_lost": "now", "gap_events": False}
    }
    sources = {name: {"database": "shop", "collections": ["orders"], **policies[name]} for name in PAUSED}
    sources["idle"] = {"database": "still", "collections": ["waters"]}
    return {
        "mongodb": {"uri": mongo.uri},
        "state": {"type": "sqlite", "path": str(directory / "state.db")},
        "log": {"format": "json"},
        "sinks": {name: {"type": "file", "path": str(directory / f"{name}.jsonl")} for name in SUBSCRIPTIONS},
        "subscriptions": {
            name: {"start": "oldest", "source": sources[name], "routes": [name]} for name in SUBSCRIPTIONS
        },
    }


def test_an_oplog_that_rolls_over_three_times(mongo_of_little_memory: MongoService, tmp_path: Path) -> None:
    """Each policy does what it says, the gap is told to the second, and who was only idle never notices."""
    mongo = mongo_of_little_memory
    with (
        MongoClient[dict[str, Any]](mongo.uri) as client,
        DaemonProcess(tmp_path, _config(mongo, tmp_path)) as daemon,
    ):
        operator = Operator(daemon)
        client.shop.orders.insert_many([{"_id": number} for number in range(3)])
        client.still.create_collection("waters")
        daemon.start()
        for name in PAUSED:
            daemon.wait_for(lambda name=name: _ids(tmp_path, name) == [0, 1, 2], "the first orders")
        operator.on_store(_pause, Access.OPERATE)
        daemon.wait_for(lambda: len(daemon.events("route_paused")) == len(PAUSED), "pauses")
        client.shop.orders.insert_one({"_id": "lost"})
        for _ in range(3):
            roll_over(client)
        oldest = _oldest(client)
        daemon.wait_for(lambda: _stands(operator)["idle"] >= oldest, "a position of the idle one")
        daemon.kill()
        stood = _stands(operator)
        daemon.start()

        before = (_oldest(client), int(time.time()) - 20)  # an idle cluster's clock is as old as its noop
        operator.on_store(_resume, Access.OPERATE)
        daemon.wait_for(lambda: len(daemon.events("gap_recorded")) == len(PAUSED), "gaps")
        for name in GO_ON:
            daemon.wait_for(lambda name=name: _told(tmp_path, name), "the word of a gap")
        after = (_oldest(client), int(time.time()) + 1)
        client.shop.orders.insert_one({"_id": "new"})
        client.still.waters.insert_one({"_id": "a stone"})
        for name in (*GO_ON, "quiet"):
            daemon.wait_for(lambda name=name: _ids(tmp_path, name) == [0, 1, 2, "new"], "what comes later")
        daemon.wait_for(lambda: _ids(tmp_path, "idle") == ["a stone"], "the idle one's first change")

        gaps = _gaps(operator)
        for name in PAUSED:
            start, end = (cluster_time_of(gaps[name][f"{end}_token"]) for end in ("from", "to"))
            first, last = (moment[name in {"now", "snapshot", "quiet"}] for moment in (before, after))
            assert start.seconds == stood[name], name
            assert first <= end.seconds <= last, name
            assert gaps[name]["policy"] == ("now" if name == "quiet" else name)
            if name in GO_ON:
                (told,) = _told(tmp_path, name)
                assert told["type"] == "eventbus.gap"
                document = told["data"]["document"]
                assert document["from"]["clustertime"] == f"{start.seconds}.{start.increment}"
                assert document["to"]["clustertime"] == f"{end.seconds}.{end.increment}"
                assert document["policy"] == name
        assert _told(tmp_path, "quiet") == []
        assert "idle" not in gaps

        assert "ChangeStreamHistoryLost (286)" in _ready(daemon)["stop"]["problems"][0]
        daemon.wait_for(lambda: _ready(daemon)["idle"]["headroom"], "headroom")
        assert _ready(daemon)["idle"]["headroom"]["idle"]["secs"] >= 0
        operator.do("position", "set", "stop", "--route", "stop", "--to", "oldest", "--yes")
        daemon.wait_for(lambda: _ids(tmp_path, "stop") == [0, 1, 2, "new"], "what comes after a move")
        daemon.wait_until_ready()
        assert daemon.terminate() == 0


def _ready(daemon: DaemonProcess) -> dict[str, Any]:
    detail: dict[str, Any] = orjson.loads(daemon.get("/readyz")[1])["subscriptions"]
    return detail


def _lines(directory: Path, name: str) -> list[dict[str, Any]]:
    path = directory / f"{name}.jsonl"
    return [orjson.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def _ids(directory: Path, name: str) -> list[Any]:
    """The ``_id`` of each document that arrived, the first time that it did, in order."""
    events = [line["data"] for line in _lines(directory, name) if line["type"] == "mongodb.insert"]
    return list(dict.fromkeys(event["document_key"]["_id"] for event in events))


def _told(directory: Path, name: str) -> list[dict[str, Any]]:
    return [line for line in _lines(directory, name) if line["type"] == "eventbus.gap"]


def _gaps(operator: Operator) -> dict[str, dict[str, Any]]:
    return {row["subscription"]: row for row in operator.do("gaps", "--json").rows}


def _stands(operator: Operator) -> dict[str, int]:
    """The second of each subscription's stored position."""

    async def stored(store: Store) -> dict[str, int]:
        found = {name: (await store.positions(name))[name] for name in SUBSCRIPTIONS}
        return {name: cluster_time_of(position.token).seconds for name, position in found.items()}

    return operator.on_store(stored)


async def _pause(store: Store) -> None:
    for name in PAUSED:
        await store.set_paused(name, "*", "by a test")


async def _resume(store: Store) -> None:
    for name in PAUSED:
        await store.set_paused(name, "*", None)


def _oldest(client: MongoClient[dict[str, Any]]) -> int:
    first = next(client.local["oplog.rs"].find().sort("$natural", 1).limit(1))
    return int(first["ts"].time)
