"""One installation for all that the admin API is asked: a real daemon on real servers, not an empty one."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from pymongo import MongoClient

from eventbus.config import load
from eventbus.devservices import MongoService
from eventbus.model import DeadLetter, Event, Position
from eventbus.registry import Registry
from eventbus.servers import open_store
from eventbus.state.gaps import Gap
from eventbus.state.store import Store
from tests.api.caller import READ, WRITE, Caller
from tests.e2e.daemon import DaemonProcess

EVENT_ID = "e0000000000000000000000000000000"
PASSWORD = "a-password-that-nobody-may-see"
HEADER = "a-header-that-nobody-may-see"


@dataclass(frozen=True, slots=True)
class Installation:
    """What is asked.

    Args:
        daemon: The process.
        caller: Somebody with a token for all.
        directory: Where its files are.
        database: The database that it reads.
    """

    daemon: DaemonProcess
    caller: Caller
    directory: Path
    database: str


def configuration(mongo: MongoService, database: str, directory: Path) -> dict[str, Any]:
    """Two subscriptions, one target that is away, and two tokens."""
    return {
        "mongodb": {"uri": mongo.uri},
        "state": {"type": "mongodb", "database": f"{database}_state"},
        "daemon": {"instance": "here"},
        "server": {
            "tokens": [
                {"name": "reader", "token": READ},
                {"name": "operator", "token": WRITE, "scope": "write"},
            ],
            "rate": "1000/s",
        },
        "sinks": {
            "feed": {"type": "file", "path": str(directory / "feed.jsonl")},
            "hook": {
                "type": "webhook",
                "url": "http://127.0.0.1:1/",
                "headers": {"X-Key": HEADER},
                "basic": {"username": "shop", "password": PASSWORD},
            },
        },
        "subscriptions": {
            "orders": {
                "source": {"database": database, "collections": ["orders"]},
                "routes": ["feed", {"sink": "hook", "when": "operation == 'insert'"}],
            },
            "products": {"source": {"database": database, "collections": ["products"]}, "routes": ["feed"]},
        },
    }


async def _filled(store: Store) -> None:
    event = Event(
        token="82", id=EVENT_ID, operation="insert", database="shop", collection="orders",
        document_key={"_id": 1}, document={"_id": 1, "total": 12},
    )  # fmt: skip
    other = Event(token="83", id="f" * 32, operation="insert", database="shop", collection="orders")
    await store.park([DeadLetter("orders", "feed", event, "HTTP 422", 1)])
    await store.park([DeadLetter("orders", "hook", other, "HTTP 422", 3)])
    await store.record_gap(Gap("orders", "feed", Position("82"), Position("83"), "oldest", "the oplog"))


@pytest.fixture(scope="package")
def installation(mongo: MongoService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The one of all tests of the API: they change what they are about, and nothing else."""
    directory = tmp_path_factory.mktemp("api")
    database = f"test_{uuid.uuid4().hex[:12]}"
    daemon = DaemonProcess(directory, configuration(mongo, database, directory))
    with daemon.start(wait=False), MongoClient[dict[str, Any]](mongo.uri) as client:
        daemon.wait_for(lambda: "watermarks" in daemon.get("/readyz")[1], "subscriptions that run")
        config = load([daemon.config_path], Registry.from_entry_points(), {})

        async def fill() -> None:
            async with open_store(config) as store:
                await _filled(store)

        anyio.run(fill)
        client[database].orders.insert_one({"_id": 1})
        yield Installation(daemon, Caller(daemon.port), directory, database)
        with contextlib.suppress(Exception):
            daemon.terminate()
        for name in (database, f"{database}_state"):
            client.drop_database(name)
