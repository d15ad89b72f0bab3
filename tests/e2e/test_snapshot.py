"""Documents that are there already reach a receiver beside the writes that go on; the daemon is killed twice.

The receiver's last value of every document equals the collection's, and none ever went backwards.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator

import pytest

from eventbus.devservices import MongoService
from tests.e2e.command import Operator, peak_bytes
from tests.e2e.daemon import DaemonProcess
from tests.e2e.scene import Scene
from tests.e2e.versions import Received, Writes, fill

pytestmark = [pytest.mark.services, pytest.mark.heavy, pytest.mark.proof, pytest.mark.timeout(1800)]

FULL = os.environ.get("EVENTBUS_PROOF") == "full"
DOCUMENTS = 300_000 if FULL else 20_000
PER_SECOND = 2000 if FULL else 500
RATE = "20000/s" if FULL else "5000/s"
"""So that it takes long enough to be killed in the middle."""
MOST_BYTES = 150 << 20
"""What the daemon may take beside its idle size."""


@pytest.fixture(scope="module")
def mongo(mongo: MongoService) -> Iterator[MongoService]:
    """One with room for all that is written, where that is much."""
    if not FULL:
        yield mongo
        return
    with MongoService.start(oplog_mb=2048, own=True) as service:
        yield service


def test_a_snapshot_through_two_kills(scene: Scene) -> None:
    """Asked for by command, followed by another to its end; nothing stale, nothing lost, little memory."""
    seed = int(os.environ.get("EVENTBUS_SEED", time.time_ns() % 10_000))
    print(f"\nseed {seed}")
    scene.sink_names = ("feed",)
    fill(scene.collection, DOCUMENTS)
    config = scene.config(window=4096)
    config["subscriptions"]["orders"]["source"]["snapshot"] = {"rate": RATE}
    with DaemonProcess(scene.directory, config).start() as daemon:
        idle = peak_bytes(daemon.process.pid)
        peaks: list[int] = []
        operator = Operator(daemon)
        writes = Writes(scene.mongo.uri, scene.name, keys=DOCUMENTS, per_second=PER_SECOND, seed=seed)
        begun = time.monotonic()
        with writes:
            (asked,) = operator.do("snapshot", "orders", "--yes", "--detach", "--json").rows
            for part in (0.3, 0.6):
                daemon.wait_for(lambda part=part: _read(daemon) >= part * DOCUMENTS, f"{part:.0%} of it")
                peaks.append(peak_bytes(daemon.process.pid))
                daemon.kill()
                daemon.start()
            with operator.begin("operation", "show", asked["id"], "--follow") as followed:
                followed.end()
            secs = time.monotonic() - begun
            pace = writes.stop()
        last = scene.collection.insert_one({"_id": -1, "v": 0})
        assert last.acknowledged
        _wait_for_last(scene, daemon)
        peaks.append(peak_bytes(daemon.process.pid))
        assert daemon.terminate() == 0
    arrivals = scene.arrivals()["feed"]
    received = Received.of(arrivals)
    there = {document["_id"]: document["v"] for document in scene.collection.find({}, {"v": 1})}
    print(
        f"{DOCUMENTS} documents, {pace:.0f} writes a second, {secs:.0f} s: {received.reads} readings, "
        f"{received.repeated} changes repeated; idle {idle >> 20} MB, most {max(peaks) >> 20} MB"
    )
    assert asked["kind"] == "snapshot"
    assert received.stale == []
    assert received.documents == there
    assert max(peaks) - idle <= MOST_BYTES
    assert "done" in followed.out


def _read(daemon: DaemonProcess) -> float:
    """How many documents have found their end."""
    found = re.search(
        r"^eventbus_snapshot_read_documents{.*} (\S+)$", daemon.get("/metrics")[1], re.MULTILINE
    )
    return float(found[1]) if found else 0.0


def _wait_for_last(scene: Scene, daemon: DaemonProcess) -> None:
    """Wait until the last write has arrived."""

    def arrived() -> bool:
        return any(b'"_id":-1' in arrival.body for arrival in scene.arrivals()["feed"][-1000:])

    daemon.wait_for(arrived, "last write")
