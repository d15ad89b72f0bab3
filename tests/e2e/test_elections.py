"""The primary of a replica set is killed under load: nothing is lost, and how long it took is told."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from eventbus.devservices import KafkaService, MongoService, RedisService
from tests.e2e.changes import Changes
from tests.e2e.daemon import DaemonProcess
from tests.e2e.oracle import judge
from tests.e2e.receivers import WebhookReceiver
from tests.e2e.scene import Scene

pytestmark = [pytest.mark.services, pytest.mark.heavy, pytest.mark.proof]

FULL = os.environ.get("EVENTBUS_PROOF") == "full"
KILLS = 5 if FULL else 1
CHANGES_PER_KILL = 1500 if FULL else 600
PER_SECOND = 200.0


@pytest.fixture
def elected(
    replica_set: MongoService, redis_service: RedisService, kafka_service: KafkaService, tmp_path: Path
) -> Iterator[Scene]:
    """A scene on three members, which keep the state, too; a webhook and a file are told."""
    with WebhookReceiver() as webhook:
        scene = Scene(replica_set, redis_service, kafka_service, webhook, tmp_path, ("webhook", "archive"))
        try:
            yield scene
        finally:
            scene.close()


def test_a_primary_is_killed_under_load(elected: Scene, replica_set: MongoService) -> None:
    """Every change reaches every sink, in order; the daemon measures how long it could not read."""
    scene, count = elected, CHANGES_PER_KILL * KILLS
    kills: list[float] = []
    config = scene.config()
    heartbeat = {"every": "200ms", "database": scene.name, "collection": "orders_heartbeat"}
    config["mongodb"] = {"uri": replica_set.uri, "heartbeat": heartbeat}
    with (
        DaemonProcess(scene.directory, config).start() as daemon,
        Changes(scene.collection, count, per_second=PER_SECOND, seed=KILLS) as changes,
    ):
        for number in range(KILLS):
            moment = CHANGES_PER_KILL * number + CHANGES_PER_KILL // 3
            daemon.wait_for(lambda moment=moment: changes.done >= moment, f"change {moment}")
            killed = replica_set.kill_primary()
            kills.append(time.time())
            replica_set.wait_for_primary()
            replica_set.restart_member(killed)
        changes.wait()
        expected = scene.expected(count)
        scene.wait_for_arrivals({change.id for change in expected})
        recoveries, seconds = recovery(daemon)
        beats = scene.client[scene.name]["orders_heartbeat"].count_documents({})
        assert daemon.terminate() == 0
    print(f"{KILLS} primaries killed, {recoveries:.0f} recoveries of {seconds / recoveries:.1f} s each")
    for kill in kills:
        later = {change.id for change in expected if change.committed_at > kill}
        first = min(arrival.at for arrival in scene.webhook.arrivals if arrival.id in later)
        print(f"{first - kill:.1f} s from a kill to the arrival of the first change that was made after it")
    assert recoveries >= KILLS
    assert beats == 1
    for sink, arrivals in scene.arrivals().items():
        verdict = judge(expected, arrivals)
        print(f"{sink}: {len(arrivals)} arrivals, {verdict.duplicates} duplicates")
        assert verdict.is_clean, f"{sink}: {verdict}"


def recovery(daemon: DaemonProcess) -> tuple[float, float]:
    """How often reading was held up, and for how many seconds in all."""
    status, text = daemon.get("/metrics")
    assert status == 200
    found = {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        if family.name == "eventbus_reader_recovery_seconds"
        for sample in family.samples
    }
    return found["eventbus_reader_recovery_seconds_count"], found["eventbus_reader_recovery_seconds_sum"]
