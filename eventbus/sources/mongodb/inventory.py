"""Which collections there are that a snapshot can read, and how many documents they have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pymongo import AsyncMongoClient

from eventbus.sources.mongodb.options import MongoOptions

__all__ = ["Found", "Inventory"]

_SERVERS_OWN: Final = frozenset({"admin", "config", "local"})
_COLLECTION: Final = "collection"


@dataclass(frozen=True, slots=True)
class Found:
    """Something that has a name in a database.

    Args:
        namespace: ``database.collection``.
        what: What it is, for people, if a snapshot cannot read it; empty if it can.
    """

    namespace: str
    what: str


class Inventory:
    """The collections whose changes a source reads.

    Args:
        client: The client to read with.
        options: What the user wrote under ``source``.
        own_database: Name of the database that holds the daemon's own collections, if it is on this cluster.
        own_collection: Database and name of a further collection that is the daemon's own.
    """

    def __init__(
        self,
        client: AsyncMongoClient[Any],
        options: MongoOptions,
        own_database: str | None,
        own_collection: tuple[str, str] | None = None,
    ) -> None:
        self._client = client
        self._options = options
        self._own_database = own_database
        self._own_collection = own_collection

    async def found(self) -> list[Found]:
        """All that there is of what the source reads, and what has the name of such a collection.

        Raises:
            PyMongoError: The server refused, or did not answer.
        """
        return [found for database in await self._databases() for found in await self._found_in(database)]

    async def count(self, namespaces: Sequence[str]) -> int:
        """How many documents these collections have, as their own counters say.

        Raises:
            PyMongoError: The server refused, or did not answer.
        """
        total = 0
        for namespace in namespaces:
            database, _, collection = namespace.partition(".")
            total += (await self._client[database].command({"count": collection}))["n"]
        return total

    async def _databases(self) -> list[str]:
        if self._options.database is not None:
            return [self._options.database]
        left_out = {*_SERVERS_OWN, self._own_database}
        return [name for name in await self._client.list_database_names() if name not in left_out]

    async def _found_in(self, database: str) -> list[Found]:
        chosen = self._options.collections
        cursor = await self._client[database].list_collections()
        return [
            Found(f"{database}.{entry['name']}", _what(entry))
            async for entry in cursor
            if not entry["name"].startswith("system.")
            and (chosen is None or entry["name"] in chosen)
            and (database, entry["name"]) != self._own_collection
        ]


def _what(entry: Mapping[str, Any]) -> str:
    """What of an entry of ``listCollections`` a snapshot cannot read.

    The server reads no capped collection as of a cluster time; views and time series have no changes.
    """
    if entry["type"] != _COLLECTION:
        return f"a {entry['type']}"
    return "a capped collection" if entry["options"].get("capped") else ""
