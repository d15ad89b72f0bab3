"""The daemon carries changes of a real MongoDB into a real stream, through SIGKILL."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import nats
import pytest
from pymongo import MongoClient

from eventbus.devservices import MongoService, NatsService
from tests.e2e.daemon import DaemonProcess

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]

COUNT = 400


@pytest.fixture(scope="module")
def service() -> Iterator[NatsService]:
    with NatsService.start(own=True) as service:
        yield service


def _config(mongo: MongoService, service: NatsService, database: str) -> Mapping[str, Any]:
    return {
        "mongodb": {"uri": mongo.uri},
        "state": {"type": "mongodb", "database": f"{database}_state"},
        "log": {"format": "json"},
        "daemon": {"instance": "e2e"},
        "defaults": {"window": {"events": 64}},
        "sinks": {
            "bus": {
                "type": "nats",
                "servers": [service.url],
                "subject": f"{database}.{{collection}}.{{operation}}",
                "stream": {"name": database, "subjects": [f"{database}.>"]},
            }
        },
        "subscriptions": {"orders": {"source": {"database": database}, "routes": ["bus"]}},
    }


def test_every_change_is_in_the_stream_once(
    mongo: MongoService, service: NatsService, fresh_database: str, tmp_path: Path
) -> None:
    """Though the daemon is killed in between and reads some of them again, and in the order of each key."""
    config = _config(mongo, service, fresh_database)
    with MongoClient[dict[str, Any]](mongo.uri) as client, DaemonProcess(tmp_path, config) as daemon:
        orders = client[fresh_database]["orders"]
        daemon.start()
        for number in range(COUNT):
            orders.update_one({"_id": number % 7}, {"$set": {"number": number}}, upsert=True)
            if number == COUNT // 2:
                daemon.wait_for(lambda: len(_taken(service, fresh_database)) > COUNT // 4, "half of them")
                daemon.kill()
                daemon.start(wait=False)
        daemon.wait_for(lambda: len(_taken(service, fresh_database)) >= COUNT, "all of them")
        assert daemon.terminate() == 0
        taken = _taken(service, fresh_database)
        client.drop_database(f"{fresh_database}_state")
    assert len(taken) == COUNT
    assert {subject for subject, _ in taken} == {
        f"{fresh_database}.orders.{one}" for one in ("insert", "update")
    }
    by_key: dict[int, list[int]] = defaultdict(list)
    for _, event in taken:
        data = event["data"]
        by_key[data["document_key"]["_id"]].append((data["changed"] or data["document"])["number"])
    assert by_key == {key: list(range(key, COUNT, 7)) for key in range(7)}


def _taken(service: NatsService, stream: str) -> list[tuple[str, dict[str, Any]]]:
    return anyio.run(_messages, service.url, stream)


async def _messages(url: str, stream: str) -> list[tuple[str, dict[str, Any]]]:
    client = await nats.connect(url)
    try:
        streams = client.jetstream()
        last = (await streams.stream_info(stream)).state.last_seq
        messages = [await streams.get_msg(stream, number) for number in range(1, last + 1)]
        return [(str(message.subject), json.loads(message.data or b"")) for message in messages]
    finally:
        await client.close()
