"""The daemon is killed at random, and so are its targets: outside readers count each event once, in order.

A message that was taken back, or came twice, is seen: Kafka's reader shows what is committed, Redis' stream
keeps every entry, and of MongoDB the changes of the target are read, not what is left in the end.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from bson import json_util
from pymongo import MongoClient

from eventbus.devservices import KafkaService, MongoService, RedisService
from tests.e2e.changes import Changes
from tests.e2e.daemon import DEADLINE_SECS, DaemonProcess
from tests.e2e.oracle import Arrival, Expected, client_of, history, judge, start_watching
from tests.e2e.receivers import from_kafka, from_redis

pytestmark = [pytest.mark.services, pytest.mark.heavy, pytest.mark.proof]

FULL = os.environ.get("EVENTBUS_PROOF") == "full"
CHANGES = 50_000 if FULL else 4_000
KILLS_OF_DAEMON = 10 if FULL else 3
KILLS_OF_EACH_SERVER = 3 if FULL else 1
PER_SECOND = 500.0
DATABASE, COLLECTION = "copies", "orders"


@dataclass(frozen=True)
class _Targets:
    """Servers that are killed."""

    kafka: KafkaService
    redis: RedisService
    mongo: MongoService

    def sinks(self) -> Mapping[str, Any]:
        """One on each."""
        return {
            "feed": {
                "type": "kafka",
                "bootstrap_servers": self.kafka.bootstrap_servers,
                "topic": COLLECTION,
                "topics": {"create": True, "partitions": 3, "replication": 1},
                "request_timeout": "3s",
                "positions": {"transaction_timeout": "10s"},
            },
            "ledger": {"type": "redis", "url": self.redis.url, "mode": "stream", "stream": COLLECTION},
            "copies": {
                "type": "mongodb",
                "uri": self.mongo.uri,
                "mode": "insert",
                "database": DATABASE,
                "collection": COLLECTION,
                "timeout": "3s",
            },
        }

    def readers(self, beginning: Mapping[str, Any]) -> Mapping[str, Callable[[], list[Arrival]]]:
        """What each of them has now, read by clients that are not ours."""
        return {
            "feed": lambda: from_kafka(self.kafka.bootstrap_servers, COLLECTION, isolation="read_committed"),
            "ledger": lambda: from_redis(self.redis.url, COLLECTION),
            "copies": lambda: _written(self.mongo.uri, beginning),
        }

    def services(self) -> Sequence[Any]:
        """All of them."""
        return (self.kafka, self.redis, self.mongo)


@pytest.fixture(scope="module")
def targets() -> Iterator[_Targets]:
    durable = ["--appendonly", "yes", "--appendfsync", "always"]
    with (
        KafkaService.start(extra_properties={"auto.create.topics.enable": "false"}) as kafka,
        RedisService.start(extra_args=durable, own=True) as redis,
        MongoService.start(own=True) as mongo,
    ):
        yield _Targets(kafka, redis, mongo)


def _written(uri: str, beginning: Mapping[str, Any]) -> list[Arrival]:
    """Every write of the copies, also one that changed nothing in the end."""
    arrivals: list[Arrival] = []
    with (
        MongoClient[dict[str, Any]](uri) as client,
        client[DATABASE][COLLECTION].watch(resume_after=beginning, batch_size=1000) as stream,
    ):
        end = client[DATABASE].command("ping")["$clusterTime"]["clusterTime"]
        while True:
            change = stream.try_next()
            if change is None:
                token = stream.resume_token
                if token is not None and _time_of(token) >= end.time:
                    return arrivals
                continue
            body = json_util.dumps(change.get("fullDocument"), sort_keys=True).encode()
            arrivals.append(Arrival(str(change["documentKey"]["_id"]), body))


def _time_of(token: Mapping[str, Any]) -> int:
    """Seconds of the cluster time in a resume token: behind its first byte, which tells the type."""
    return int(token["_data"][2:10], 16)


def test_every_event_is_there_once_whoever_dies(
    mongo: MongoService, targets: _Targets, tmp_path: Path
) -> None:
    """SIGKILL of the daemon and of each server at random moments of a steady load."""
    seed = int(os.environ.get("EVENTBUS_SEED", time.time_ns() % 10_000))
    print(f"seed {seed}")
    rng = Random(seed)
    source = f"e2e_once_{time.time_ns()}"
    victims: list[Any] = [None] * KILLS_OF_DAEMON + [*targets.services()] * KILLS_OF_EACH_SERVER
    rng.shuffle(victims)
    moments = sorted(rng.sample(range(CHANGES // 20, CHANGES * 19 // 20), len(victims)))
    with client_of(mongo.uri) as client, client_of(targets.mongo.uri) as copies:
        collection = client[source]["orders"]
        client[source].create_collection("orders")
        copies[DATABASE].create_collection(COLLECTION)
        beginning, before_copies = start_watching(collection), start_watching(copies[DATABASE][COLLECTION])
        readers = targets.readers(before_copies)
        config = _config(mongo, source, targets)
        with (
            DaemonProcess(tmp_path, config).start() as daemon,
            Changes(collection, CHANGES, per_second=PER_SECOND, seed=seed) as changes,
        ):
            for moment, victim in zip(moments, victims, strict=True):
                daemon.wait_for(lambda moment=moment: changes.done >= moment, f"change {moment}")
                if victim is None:
                    daemon.kill()
                    daemon.start(wait=False)
                else:
                    victim.kill()
                    victim.restart()
            changes.wait()
            expected = history(collection, beginning, CHANGES)
            _wait_for_all(expected, readers)
            daemon.wait_until_ready()  # it may have been killed when all was there already
            assert daemon.terminate() == 0
        for sink, read in readers.items():
            arrivals = read()
            verdict = judge(expected, arrivals)
            print(f"{sink}: {len(arrivals)} of {CHANGES} events, {verdict.duplicates} duplicates")
            assert verdict.is_clean, f"{sink}: {verdict}"
            assert (len(arrivals), verdict.duplicates) == (CHANGES, 0)
        for name in (source, f"{source}_state"):
            client.drop_database(name)


def _config(mongo: MongoService, source: str, targets: _Targets) -> dict[str, Any]:
    sinks = targets.sinks()
    return {
        "mongodb": {"uri": mongo.uri},
        "state": {"type": "mongodb", "database": f"{source}_state"},
        "log": {"format": "json"},
        "daemon": {"instance": "e2e"},
        "defaults": {
            "retry": {"initial_delay": "20ms", "max_delay": "200ms"},
            "circuit": {"initial_open": "100ms", "max_open": "500ms"},
        },
        "sinks": {name: {**sink, "delivery": "exactly_once"} for name, sink in sinks.items()},
        "subscriptions": {
            "orders": {"source": {"database": source, "collections": ["orders"]}, "routes": list(sinks)}
        },
    }


def _wait_for_all(expected: Sequence[Expected], readers: Mapping[str, Callable[[], list[Arrival]]]) -> None:
    """Wait until each target has all events, however often."""
    ids = {change.id for change in expected}
    deadline = time.monotonic() + 3 * DEADLINE_SECS
    while missing := {
        sink: len(left) for sink, read in readers.items() if (left := ids - {a.id for a in read()})
    }:
        assert time.monotonic() < deadline, f"events that did not arrive: {missing}"
        time.sleep(1)
