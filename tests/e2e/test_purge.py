"""The daemon removes dead letters that have expired."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from eventbus.devservices import MongoService
from eventbus.state.sqlite import SqliteStore
from tests.e2e.daemon import DaemonProcess
from tests.state.letters import letter

pytestmark = pytest.mark.services


def test_what_has_expired_is_gone_soon_after_the_start(
    mongo: MongoService, fresh_database: str, tmp_path: Path
) -> None:
    """And counted; what has no end stays."""
    path = tmp_path / "state.db"

    async def park() -> None:
        store = SqliteStore(path, instance="before")
        await store.open()
        await store.park([letter(1, expire_after_secs=0.0), letter(2)])
        await store.close()

    anyio.run(park)
    config = {
        "mongodb": {"uri": mongo.uri},
        "state": {"type": "sqlite", "path": str(path)},
        "sinks": {"archive": {"type": "file", "path": str(tmp_path / "archive.jsonl")}},
        "subscriptions": {"orders": {"source": {"database": fresh_database}, "routes": ["archive"]}},
    }
    with DaemonProcess(tmp_path, config).start() as daemon:
        daemon.wait_for(
            lambda: "eventbus_dead_letters_purged_total 1.0" in daemon.get("/metrics")[1],
            "the removal of what has expired",
        )
        assert daemon.terminate() == 0
