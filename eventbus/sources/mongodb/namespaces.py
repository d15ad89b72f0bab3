"""Names of databases and collections out of raw ``ns`` documents, each looked into once."""

from __future__ import annotations

from typing import Final

from eventbus.sources.mongodb.elements import elements

__all__ = ["Namespaces"]

_MOST: Final = 10_000


class Namespaces(dict[bytes, tuple[str, str]]):
    """(database, collection) by the raw bytes of ``ns``; the collection is empty where there is none."""

    def __missing__(self, raw: bytes) -> tuple[str, str]:
        found = elements(raw)
        collection = found.get(b"coll")
        names = (found[b"db"].text, collection.text if collection else "")
        if len(self) >= _MOST:  # a cluster that makes and drops collections without end
            self.clear()
        self[raw] = names
        return names
