"""Documents that are there, and writes to them from a process of its own; each write has a higher version.

A key's version only ever grows, over its deletion too: so a receiver can tell an older state from a newer.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import orjson
from pymongo import DeleteOne, InsertOne, MongoClient, UpdateOne
from pymongo.collection import Collection
from pymongo.write_concern import WriteConcern

from tests.e2e.child import Child, say
from tests.e2e.oracle import Arrival

_GROUPS_PER_SECOND: Final = 20
_WRITERS: Final = 4
"""One waits for each answer, and a server that is read from beside takes its time."""
_AT_ONCE: Final = 5000


def fill(collection: Collection[dict[str, Any]], count: int) -> None:
    """So many documents, of version 0, about 500 bytes each."""
    for first in range(0, count, _AT_ONCE):
        keys = range(first, min(count, first + _AT_ONCE))
        collection.insert_many([{"_id": key, "v": 0, "text": "x" * 450} for key in keys])


class Writes(Child):
    """The test's end. It writes from when it is entered until it is stopped.

    Args:
        uri: Of the server.
        database: Where; the collection is ``orders``.
        keys: How many documents there are.
        per_second: How many writes.
        seed: Which.
    """

    def __init__(self, uri: str, database: str, *, keys: int, per_second: int, seed: int) -> None:
        super().__init__(__name__, uri, database, str(keys), str(per_second), str(seed))

    def stop(self) -> float:
        """Write no more; how many writes were made in a second."""
        return float(self.ask("stop")["per_second"])


@dataclass
class Received:
    """What a receiver makes of what it got, in its order.

    Args:
        documents: The version of each document that is there by its account.
        stale: States that came after a newer one of their document, and were no repetition of a change.
        reads: How many documents came as they were read, again and again included.
        repeated: How many changes came again, which a receiver knows by their ids.
    """

    documents: dict[int, int] = field(default_factory=dict)
    stale: list[str] = field(default_factory=list)
    reads: int = 0
    repeated: int = 0

    @classmethod
    def of(cls, arrivals: Iterable[Arrival]) -> Received:
        """Take everything in."""
        received, known, newest = cls(), set[str](), dict[int, tuple[int, bool]]()
        for arrival in arrivals:
            data = orjson.loads(arrival.body)["data"]
            is_read = data["operation"] == "read"
            if not is_read and arrival.id in known:
                received.repeated += 1
                continue
            known.add(arrival.id)
            received.reads += is_read
            received._take(data, newest)
        return received

    def _take(self, data: dict[str, Any], newest: dict[int, tuple[int, bool]]) -> None:
        """One state; `newest` has the version of each key, and whether that state may come once more."""
        key, operation = data["document_key"]["_id"], data["operation"]
        version, may_repeat = newest.get(key, (-1, False))
        if operation == "delete":
            self.documents.pop(key, None)
            newest[key] = (version, False)
            return
        found = (data["changed"] if operation == "update" else data["document"])["v"]
        if found < version or (found == version and not (may_repeat and operation == "read")):
            self.stale.append(f"{key}: {operation} of version {found} after {version}")
        self.documents[key] = found
        newest[key] = (max(found, version), True)


class _Writer:
    """One of those at the child's end, each with documents of its own."""

    def __init__(
        self, collection: Collection[dict[str, Any]], keys: range, per_second: int, rng: Random
    ) -> None:
        self.made = 0
        self._collection = collection
        self._versions = dict.fromkeys(keys, 0)
        self._keys = keys
        self._gone: set[int] = set()
        self._per_second = per_second
        self._rng = rng
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._begun = time.monotonic()
        self._thread.start()

    def stop(self) -> float:
        self._stopping.set()
        self._thread.join()
        return self.made / (time.monotonic() - self._begun)

    def _run(self) -> None:
        while not self._stopping.wait(
            max(0.0, self._begun + self.made / self._per_second - time.monotonic())
        ):
            group = [self._write() for _ in range(max(1, self._per_second // _GROUPS_PER_SECOND))]
            self._collection.bulk_write(group)
            self.made += len(group)

    def _write(self) -> InsertOne[dict[str, Any]] | UpdateOne | DeleteOne:
        key = self._rng.choice(self._keys)
        self._versions[key] += 1
        if key in self._gone:
            self._gone.remove(key)
            return InsertOne({"_id": key, "v": self._versions[key], "text": "x" * 450})
        if self._rng.random() < 0.1:
            self._gone.add(key)
            return DeleteOne({"_id": key})
        return UpdateOne({"_id": key}, {"$set": {"v": self._versions[key]}})


def _main(uri: str, database: str, keys: str, per_second: str, seed: str) -> None:
    with MongoClient[dict[str, Any]](uri) as client:
        collection = client[database].get_collection("orders", write_concern=WriteConcern(1))
        writers = [
            _Writer(
                collection,
                range(number, int(keys), _WRITERS),
                int(per_second) // _WRITERS,
                Random(f"{seed}/{number}"),
            )
            for number in range(_WRITERS)
        ]
        for writer in writers:
            writer.start()
        say({})
        sys.stdin.readline()
        say({"per_second": sum([writer.stop() for writer in writers])})


if __name__ == "__main__":
    _main(*sys.argv[1:])
