"""Changes at a steady pace from a process of its own: inserts, updates and deletes in small groups.

The server records when each was committed, so nothing here is timed but the pace.
"""

from __future__ import annotations

import sys
import threading
import time
from random import Random
from typing import Any, Final

from pymongo import DeleteOne, InsertOne, MongoClient, UpdateOne
from pymongo.collection import Collection
from pymongo.write_concern import WriteConcern

from tests.e2e.child import Child, say

HOT_KEYS: Final = 5
GROUPS_PER_SECOND: Final = 50


class Load(Child):
    """The test's end. It makes changes from when it is entered until it is stopped.

    Args:
        uri: Of the server.
        database: Where; the collection is ``orders``.
        per_second: How many changes.
        seed: Which.
    """

    def __init__(self, uri: str, database: str, *, per_second: int, seed: int) -> None:
        super().__init__(__name__, uri, database, str(per_second), str(seed))

    def made(self) -> int:
        """How many changes are made by now."""
        return int(self.ask("made")["made"])

    def stop(self) -> tuple[int, float]:
        """Make no more; how many were made, and how many of them in a second."""
        answer = self.ask("stop")
        return int(answer["made"]), float(answer["per_second"])


class _Writer:
    """The child's end."""

    def __init__(self, collection: Collection[dict[str, Any]], per_second: int, rng: Random) -> None:
        self.made = 0
        self._collection = collection
        self._per_second = per_second
        self._rng = rng
        self._alive = list(range(HOT_KEYS))
        self._next = HOT_KEYS
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._begun = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    @property
    def pace(self) -> float:
        return self.made / (time.monotonic() - self._begun)

    def _run(self) -> None:
        self._write([InsertOne({"_id": key, "revision": 0}) for key in self._alive])
        while not self._stopping.wait(
            max(0.0, self._begun + self.made / self._per_second - time.monotonic())
        ):
            self._write(self._group(max(3, self._per_second // GROUPS_PER_SECOND)))

    def _group(self, size: int) -> list[Any]:
        """So many changes, each of them one event; those of one kind together, as the driver sends them."""
        inserts, deletes = size // 3, int(self._rng.random() < 0.3 and len(self._alive) > 2 * HOT_KEYS)
        new = range(self._next, self._next + inserts)
        self._next += inserts
        self._alive += new
        updates = [
            UpdateOne({"_id": self._any()}, {"$set": {"revision": self.made + number + 1}})
            for number in range(size - inserts - deletes)
        ]
        gone = [
            DeleteOne({"_id": self._alive.pop(self._rng.randrange(HOT_KEYS, len(self._alive)))})
            for _ in range(deletes)
        ]
        return [*(InsertOne({"_id": key, "revision": 0, "text": "x" * 50}) for key in new), *updates, *gone]

    def _write(self, group: list[Any]) -> None:
        self._collection.bulk_write(group)
        self.made += len(group)

    def _any(self) -> int:
        """A document that is there; every second time one of the few hot ones."""
        return (
            self._alive[self._rng.randrange(HOT_KEYS)]
            if self._rng.random() < 0.5
            else self._rng.choice(self._alive)
        )


def _main(uri: str, database: str, per_second: str, seed: str) -> None:
    with MongoClient[dict[str, Any]](uri) as client:
        collection = client[database].get_collection("orders", write_concern=WriteConcern(1))
        writer = _Writer(collection, int(per_second), Random(int(seed)))
        writer.start()
        say({})
        for line in sys.stdin:
            if "stop" in line:
                pace = writer.pace
                writer.stop()
                say({"made": writer.made, "per_second": pace})
            else:
                say({"made": writer.made})
        writer.stop()


if __name__ == "__main__":
    _main(*sys.argv[1:])
