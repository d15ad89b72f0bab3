"""A paced load in which every operation is one event: inserts, updates, replaces, deletes, hot keys."""

from __future__ import annotations

import threading
import time
from random import Random
from types import TracebackType
from typing import Any, Self

from pymongo.collection import Collection

HOT_KEYS = 5


class Changes:
    """Makes changes on a thread of its own.

    Args:
        collection: Where.
        count: How many changes.
        per_second: How fast; None for as fast as it goes.
        seed: Which changes.
    """

    def __init__(
        self,
        collection: Collection[dict[str, Any]],
        count: int,
        *,
        per_second: float | None = None,
        seed: int = 1,
    ) -> None:
        self.done = 0
        self._collection = collection
        self._count = count
        self._per_second = per_second
        self._rng = Random(seed)
        self._alive: list[int] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def wait(self) -> None:
        """Wait for the last change."""
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            begun = time.monotonic()
            while self.done < self._count:
                self._change(self.done)
                self.done += 1
                if self._per_second:
                    ahead = begun + self.done / self._per_second - time.monotonic()
                    if ahead > 0:
                        time.sleep(ahead)
        except BaseException as error:
            self._error = error

    def _change(self, number: int) -> None:
        chance = self._rng.random()
        if number < HOT_KEYS or chance < 0.4 or len(self._alive) <= HOT_KEYS:
            self._collection.insert_one({"_id": number, "revision": number, "text": "x" * 100})
            self._alive.append(number)
        elif chance < 0.75:
            self._collection.update_one(
                {"_id": self._any()}, {"$set": {"revision": number, "tags": [number]}}
            )
        elif chance < 0.9:
            self._collection.replace_one({"_id": self._any()}, {"revision": number, "text": "y" * 50})
        else:
            place = self._rng.randrange(HOT_KEYS, len(self._alive))
            self._collection.delete_one({"_id": self._alive.pop(place)})

    def _any(self) -> int:
        """A document that is there; every second time one of the few hot ones."""
        if self._rng.random() < 0.5:
            return self._alive[self._rng.randrange(HOT_KEYS)]
        return self._rng.choice(self._alive)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._count = min(self._count, self.done)
        self._thread.join()
