"""What a first look at the server finds: databases, collections, and which of them keep images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import SecretStr
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from eventbus.config import MongoDBAccess
from eventbus.doctor import server
from eventbus.servers import open_client
from eventbus.sources.mongodb.client import asked
from eventbus.sources.mongodb.errors import failure_of

__all__ = ["Look", "look_at"]

_SERVERS_OWN: Final = frozenset({"admin", "config", "local", "eventbus"})
_SETTING: Final = "changeStreamPreAndPostImages"


@dataclass(frozen=True, slots=True)
class Look:
    """What is there.

    Args:
        databases: For each database its collections, and whether each keeps images of its documents.
        problem: What kept us from looking, or would keep a change stream from working; empty if nothing.
    """

    databases: Mapping[str, Mapping[str, bool]] = field(default_factory=dict)
    problem: str = ""

    def keeps_images(self, database: str, collections: list[str]) -> bool:
        """Whether each of these collections, all of the database if none is named, is there and does."""
        there = self.databases.get(database, {})
        chosen = collections or list(there)
        return bool(chosen) and all(there.get(name, False) for name in chosen)

    def lacking_images(self, database: str, collections: list[str]) -> list[str]:
        """Those of these collections that are there and keep none."""
        there = self.databases.get(database, {})
        return [name for name in collections or there if there.get(name) is False]


async def look_at(uri: str) -> Look:
    """Look at a server, with no more patience than somebody who types has.

    Raises:
        ConfigurationError: The driver refuses the URI.
    """
    async with open_client(MongoDBAccess(SecretStr(uri)), "init", pool_size=1) as client:
        try:
            hello = await asked(client, "hello")
            databases = {name: await _collections(client, name) for name in await _databases(client)}
        except PyMongoError as error:
            return Look(problem=server.silence(client, error).text)
    is_standalone = "setName" not in hello and hello.get("msg") != "isdbgrid"
    return Look(databases, "a standalone server has no change streams" if is_standalone else "")


async def _databases(client: AsyncMongoClient[Any]) -> list[str]:
    return [name for name in await client.list_database_names() if name not in _SERVERS_OWN]


async def _collections(client: AsyncMongoClient[Any], database: str) -> dict[str, bool]:
    """What a change stream can read; nothing if we may not ask."""
    try:
        cursor = await client[database].list_collections()
        return {
            entry["name"]: bool(entry["options"].get(_SETTING, {}).get("enabled", False))
            async for entry in cursor
            if entry["type"] == "collection" and not entry["name"].startswith("system.")
        }
    except PyMongoError as error:
        if failure_of(error).reaction.value == "resume":
            raise
        return {}
