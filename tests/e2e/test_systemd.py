"""The daemon under a service manager that listens: what it hears, and when."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eventbus.devservices import MongoService
from tests.e2e.daemon import DEADLINE_SECS, DaemonProcess

pytestmark = pytest.mark.services


@pytest.fixture
def manager() -> Iterator[socket.socket]:
    """The manager's socket, with a name that the kernel chooses."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("")
        listener.settimeout(DEADLINE_SECS)
        yield listener


def _environment(manager: socket.socket) -> dict[str, str]:
    name = manager.getsockname().decode().replace("\0", "@")
    return {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "200000"}


def _config(uri: str, database: str, directory: Path) -> dict[str, Any]:
    return {
        "mongodb": {"uri": uri},
        "state": {"type": "sqlite", "path": str(directory / "state.db")},
        "sinks": {"out": {"type": "file", "path": str(directory / "out.jsonl")}},
        "subscriptions": {"orders": {"source": {"database": database}, "routes": ["out"]}},
    }


def _heard(manager: socket.socket, word: str) -> list[str]:
    """What comes until a word does, that one included; other watchdogs' lines are left out."""
    said: list[str] = []
    while True:
        lines = manager.recv(4096).decode().split("\n")
        said += [line for line in lines if line != "WATCHDOG=1" or word == line]
        if word in lines:
            return said


def test_it_is_ready_when_it_carries_alive_while_it_does_and_says_that_it_stops(
    manager: socket.socket, mongo: MongoService, fresh_database: str, tmp_path: Path
) -> None:
    """In this order; the watchdog is told again and again, over the drain's beginning too."""
    config = _config(mongo.uri, fresh_database, tmp_path)
    with DaemonProcess(tmp_path, config, _environment(manager)) as daemon:
        daemon.start(wait=False)
        assert _heard(manager, "READY=1") == ["READY=1", "STATUS=carries orders"]
        assert daemon.events("daemon_started")
        for _ in range(5):
            assert _heard(manager, "WATCHDOG=1") == ["WATCHDOG=1"]
        assert daemon.terminate() == 0
        assert _heard(manager, "STOPPING=1") == ["STOPPING=1", "STATUS=draining"]


def test_a_daemon_that_waits_for_mongodb_says_so_and_is_not_ready(
    manager: socket.socket, tmp_path: Path
) -> None:
    """`systemctl status` shows what it waits for; a signal ends it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        uri = f"mongodb://127.0.0.1:{taken.getsockname()[1]}/?replicaSet=rs0&serverSelectionTimeoutMS=300"
        with DaemonProcess(tmp_path, _config(uri, "shop", tmp_path), _environment(manager)) as daemon:
            daemon.start(wait=False)
            while not (said := manager.recv(4096).decode()).startswith("STATUS="):
                assert said == "WATCHDOG=1"
            assert said.startswith("STATUS=waits for a server: ")
            daemon.terminate()
            assert "READY=1" not in _heard(manager, "STOPPING=1")
