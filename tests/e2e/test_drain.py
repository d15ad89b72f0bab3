"""SIGTERM under load: exit 0, and the next life sends nothing again."""

from __future__ import annotations

import sys

import pytest

from tests.e2e.changes import Changes
from tests.e2e.daemon import DaemonProcess
from tests.e2e.oracle import judge
from tests.e2e.receivers import from_files
from tests.e2e.scene import Scene

pytestmark = pytest.mark.services

CHANGES = 3_000


def test_sigterm_drains_and_nothing_comes_twice(scene: Scene) -> None:
    """Three drains under load: exit code 0 each time, no duplicate and nothing lost on any sink."""
    with (
        DaemonProcess(scene.directory, scene.config(window=256)).start() as daemon,
        Changes(scene.collection, CHANGES, per_second=500) as changes,
    ):
        for moment in (700, 1400, 2100):
            daemon.wait_for(lambda moment=moment: changes.done >= moment, f"change {moment}")
            assert daemon.terminate() == 0
            assert daemon.events("subscription_drained")[-1]["open_events"] == {}
            daemon.start()
        changes.wait()
        expected = scene.expected(CHANGES)
        scene.wait_for_arrivals({change.id for change in expected})
        assert daemon.terminate() == 0
    for sink, arrivals in scene.arrivals().items():
        verdict = judge(expected, arrivals)
        assert verdict.is_clean, f"{sink}: {verdict}"
        assert verdict.duplicates == 0, sink


def test_a_second_signal_stops_at_once(scene: Scene) -> None:
    """While the drain waits for a receiver that never answers, another SIGTERM ends the process."""
    scene.webhook.answer = lambda _event: 500
    with DaemonProcess(scene.directory, scene.config()) as daemon:
        daemon.start()
        scene.collection.insert_many([{"n": number} for number in range(10)])
        daemon.wait_for(lambda: 'fault="failed"' in _failures(daemon), "a failed attempt")
        daemon.process.terminate()
        daemon.wait_for(lambda: daemon.events("daemon_draining"), "the drain")
        daemon.process.terminate()
        assert daemon.wait() == 128 + 15


NEVER_CLOSES = """
import anyio, sys
from eventbus import daemon
from eventbus.cli import main
from eventbus.sinks.file.sink import FileSink

async def close(self):
    with anyio.CancelScope(shield=True):
        await anyio.sleep_forever()

FileSink.close = close
daemon._CLOSE_SECS = 0.5
main()
"""


def test_what_does_not_close_is_left_behind(scene: Scene) -> None:
    """A sink hangs when it is to be closed, as no real one can be made to: the process ends all the same.

    The position was saved before: the next life sends only what is new.
    """
    archive = scene.directory / "archive.jsonl"
    config = scene.config(sinks={"archive": scene.sinks()["archive"]})
    config["daemon"] = {**config.get("daemon", {}), "drain_timeout": "1s", "lease": "3s"}
    config["subscriptions"]["orders"]["routes"] = ["archive"]
    with DaemonProcess(scene.directory, config, command=(sys.executable, "-c", NEVER_CLOSES)) as daemon:
        daemon.start()
        scene.collection.insert_one({"n": 1})
        daemon.wait_for(lambda: from_files(archive), "the event")
        daemon.process.terminate()
        assert daemon.wait() == 1
        assert daemon.events("daemon_not_closed")
        daemon.start()
        scene.collection.insert_one({"n": 2})
        daemon.wait_for(lambda: len(from_files(archive)) > 1, "the second event")
        assert len(from_files(archive)) == 2


def _failures(daemon: DaemonProcess) -> str:
    lines = daemon.get("/metrics")[1].splitlines()
    return "\n".join(
        line
        for line in lines
        if line.startswith("eventbus_attempts_failed_total") and not line.endswith(" 0.0")
    )
