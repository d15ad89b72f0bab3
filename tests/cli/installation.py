"""A whole installation for the golden tests: real servers, a daemon as a process, and a history.

Subscription ``stock`` has what commands show and nobody changes: an open route, one whose receiver refuses
everything, one that is paused, dead letters, a gap and an operation that is over. Subscription ``orders`` is
for the commands that change something; of ``closed``, which is configured no more, a position is left.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import anyio
import yaml
from pymongo import MongoClient

from eventbus.administration.replaying import Stretch
from eventbus.config import load
from eventbus.devservices import MongoService, RedisService
from eventbus.model import ClusterTime, Position
from eventbus.registry import Registry
from eventbus.servers import open_store
from eventbus.sources.mongodb.tokens import high_water_mark
from eventbus.state.access import Access
from eventbus.state.gaps import Gap
from eventbus.state.operations import Operation, OperationKind
from eventbus.state.store import LetterQuery, Save, Store
from tests.e2e.daemon import DEADLINE_SECS, DaemonProcess

__all__ = ["OPERATION", "SECOND_TIME", "TOKEN", "WAITING", "Installation", "installed"]

T = TypeVar("T")

TOKEN = "golden-token-0123456789abcdef"
"""What the daemon wants to be shown."""
OPERATION = "1f0a9b8c7d"
"""Id of the operation that is over."""
WAITING = "2f0a9b8c7d"
"""Id of an operation that waits for a route that is paused."""
SECOND_TIME = 5
"""The order that the partner takes when it comes again."""


class _Refusing(BaseHTTPRequestHandler):
    """A receiver that refuses everything, but for one document when that comes for the second time."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        seen: list[object] = self.server.seen  # type: ignore[attr-defined]  # ours
        key = ((body.get("data") or {}).get("document_key") or {}).get("_id")
        self.send_response(200 if key == SECOND_TIME and key in seen else 422)
        seen.append(key)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        return


@dataclass(frozen=True, slots=True)
class Installation:
    """What the commands are called on.

    Args:
        directory: Everything that is a file.
        database: The database that is read.
        config_path: The configuration.
        url: Where the daemon answers.
        letter: Id of the dead letter of item 1 of the stock.
    """

    directory: Path
    database: str
    config_path: Path
    url: str
    letter: str

    def variant(self, name: str, **sections: Any) -> Path:
        """The same configuration with other sections, in a file of its own."""
        path = self.directory / name
        path.write_text(yaml.safe_dump({**yaml.safe_load(self.config_path.read_text()), **sections}))
        return path


@contextmanager
def installed(
    mongo: MongoService, redis: RedisService, database: str, directory: Path
) -> Iterator[Installation]:
    """An installation with its history; all of it is gone afterwards but what is in the directory."""
    receiver = ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
    receiver.seen = []  # type: ignore[attr-defined]  # ours
    thread = threading.Thread(target=receiver.serve_forever, daemon=True)
    thread.start()
    daemon = DaemonProcess(directory, _config(mongo, redis, database, directory, receiver.server_port))
    client = MongoClient[dict[str, Any]](mongo.uri)
    try:
        with daemon, client:
            for collection in ("orders", "stock"):
                client[database].create_collection(collection)
            daemon.start()
            store = partial(_on_store, daemon.config_path)
            store(_pause)
            daemon.wait_for(lambda: _paused(daemon) == {"counted", "spare"}, "pauses")
            before = _now(client)
            client[database].stock.insert_many([{"_id": 1, "left": 3}, {"_id": 2, "left": 0}])
            client[database].orders.insert_many([{"_id": number, "total": number} for number in range(1, 6)])
            _until(lambda: store(_letters) == (2, 5), "dead letters")
            store(partial(_leave_history, Stretch(before, _now(client))))
            _until(lambda: store(_is_over), "the end of the operation")
            letter = store(_letter_of_item)
            installation = Installation(
                directory, database, daemon.config_path, f"http://127.0.0.1:{daemon._port()}", letter
            )
            yield installation
    finally:
        receiver.shutdown()
        receiver.server_close()
        thread.join()
        with MongoClient[dict[str, Any]](mongo.uri) as cleaner:
            for name in (database, f"{database}_state"):
                cleaner.drop_database(name)


def _on_store(config_path: Path, body: Callable[[Store], Awaitable[T]]) -> T:
    config = load([config_path], Registry.from_entry_points(), {})

    async def opened() -> T:
        async with open_store(config, access=Access.OPERATE) as store:
            return await body(store)

    return anyio.run(opened)


def _config(
    mongo: MongoService, redis: RedisService, database: str, directory: Path, port: int
) -> dict[str, Any]:
    return {
        "mongodb": {"uri": mongo.uri},
        "state": {"type": "mongodb", "database": f"{database}_state"},
        "log": {"format": "json"},
        "daemon": {"instance": "here", "checkpoint_every": "100ms"},
        "server": {"tokens": [{"name": "operator", "token": TOKEN, "scope": "write"}]},
        "defaults": {"retry": {"attempts": 2, "initial_delay": "5ms", "max_delay": "10ms"}},
        "sinks": {
            "ledger": {"type": "file", "path": str(directory / "ledger.jsonl")},
            "feed": {"type": "redis", "url": redis.url, "stream": database},
            "partner": {"type": "webhook", "url": f"http://127.0.0.1:{port}/hook"},
        },
        "subscriptions": {
            "orders": {
                "source": {"database": database, "collections": ["orders"]},
                "routes": ["feed", "partner", {"name": "spare", "sink": "feed"}],
            },
            "stock": {
                "source": {"database": database, "collections": ["stock"]},
                "routes": ["ledger", "partner", {"name": "counted", "sink": "feed"}],
            },
        },
    }


async def _pause(store: Store) -> None:
    for subscription, route in (("stock", "counted"), ("orders", "spare")):
        reason = "stock-taking (by ann@desk since 2026-01-01T00:00:00+00:00)"
        await store.set_paused(subscription, route, reason)


def _paused(daemon: DaemonProcess) -> set[str]:
    """The routes that the daemon has paused by now."""
    found = json.loads(daemon.get("/readyz")[1])["subscriptions"].values()
    return {route for one in found for route in one["paused"]}


def _now(client: MongoClient[dict[str, Any]]) -> Position:
    time = client.admin.command("hello")["operationTime"]
    return high_water_mark(ClusterTime(time.time, time.inc))


async def _letters(store: Store) -> tuple[int, int]:
    stock, orders = [
        (await store.count_letters(LetterQuery(subscription=name))).letters for name in ("stock", "orders")
    ]
    return stock, orders


async def _letter_of_item(store: Store) -> str:
    query = LetterQuery(subscription="stock", match={"document_key._id": 1})
    [letter] = [letter async for letter in store.find_letters(query)]
    return letter.id


async def _leave_history(stretch: Stretch, store: Store) -> None:
    lease = await store.acquire("closed", lease_secs=60.0, reclaim=True)
    assert lease is not None
    await store.save([Save(lease, {"old": stretch.start})], lease_secs=60.0)
    await store.release(lease)
    start, end = ClusterTime(1_700_000_000, 1), ClusterTime(1_700_000_060, 1)
    gap = Gap(
        "stock",
        "ledger",
        Position("82A", cluster_time=start),
        Position("82B", cluster_time=end),
        "oldest",
        "the oplog is short",
    )
    await store.record_gap(gap)
    for name, subscription, route in ((OPERATION, "stock", "ledger"), (WAITING, "orders", "spare")):
        await store.add_operation(
            Operation(
                name,
                OperationKind.REPLAY,
                subscription,
                route,
                stretch.start,
                stretch.until,
                requested_by="ann@desk",
            )
        )


async def _is_over(store: Store) -> bool:
    [operation] = await store.find_operations(operation_id=OPERATION)
    return operation.status.is_over


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECS
    while not condition():
        assert time.monotonic() < deadline, f"no {what} in time"
        time.sleep(0.05)
