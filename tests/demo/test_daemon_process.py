"""The daemon's process is the demo's own from the first moment to the last."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from eventbus.demo.daemon_process import DaemonProcess, Readiness
from tests.demo.processes import started_with, wait_for

pytestmark = [pytest.mark.anyio, pytest.mark.services]  # processes that start: not one of the fast tests

URL = "http://127.0.0.1:1"
WAITING = """\
mongodb: {uri: "mongodb://127.0.0.1:1/?replicaSet=rs0"}
state: {type: sqlite, path: "${STATE}"}
server: {port: 0}
sinks: {out: {type: stdout}}
subscriptions: {s: {source: {database: shop}, routes: [out]}}
"""
STARTER = """\
import sys
from pathlib import Path
import anyio
from eventbus.demo.daemon_process import DaemonProcess

async def main():
    folder = Path(sys.argv[1])
    log = folder / "daemon.log"
    environment = {"STATE": sys.argv[2]}
    async with DaemonProcess([folder / "waiting.yaml"], environment, url="http://127.0.0.1:1", log=log):
        await anyio.sleep_forever()

anyio.run(main)
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Of a daemon that waits, for its MongoDB is not there."""
    path = tmp_path / "waiting.yaml"
    path.write_text(WAITING)
    return path


def process(config: Path) -> DaemonProcess:
    folder = config.parent
    return DaemonProcess([config], {"STATE": str(folder / "state.db")}, url=URL, log=folder / "daemon.log")


async def listens_to_signals(config: Path) -> None:
    with anyio.fail_after(30):
        while not is_waiting(config):  # noqa: ASYNC110 - a file wakes nobody
            await anyio.sleep(0.02)


def is_waiting(config: Path) -> bool:
    log = config.parent / "daemon.log"
    return log.exists() and "daemon_waited" in log.read_text()


async def test_a_bad_configuration_ends_it_and_its_last_words_say_why(tmp_path: Path) -> None:
    config = tmp_path / "bad.yaml"
    config.write_text("monogdb: {}\n")

    async with process(config) as daemon:
        with anyio.fail_after(30):
            assert await daemon.ended() == 2

    assert "monogdb" in daemon.last_words()


async def test_stop_drains_and_gives_the_exit_code(config: Path) -> None:
    async with process(config) as daemon:
        await listens_to_signals(config)

        assert await daemon.stop() == 0


async def test_leaving_ends_it(config: Path) -> None:
    async with process(config):
        await listens_to_signals(config)

    assert not started_with("STATE", str(config.parent / "state.db"))


async def test_where_nobody_answers_it_is_not_ready(config: Path) -> None:
    async with process(config) as daemon:
        assert await daemon.readiness() == Readiness(ok=False, reason="no answer")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_it_does_not_outlive_a_parent_that_is_killed(config: Path, tmp_path: Path) -> None:
    state = str(tmp_path / "state.db")
    with subprocess.Popen([sys.executable, "-c", STARTER, str(tmp_path), state]) as parent:
        try:
            wait_for(lambda: is_waiting(config), "daemon that waits for MongoDB")
            assert started_with("STATE", state)
        finally:
            parent.kill()

    wait_for(lambda: not started_with("STATE", state), "end of the daemon", secs=10)
