"""The queries by which a snapshot reads documents: in the order of their keys, as of a cluster time.

A collection is read by ranges of ``_id``, in the server's own order over all its types. A comparison of the
query language matches values of its own type only, so it is ``$expr`` that compares; ``$literal`` keeps a key
that begins with a dollar from being a path. The index of ``_id`` bounds and sorts both queries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Any, Final

from bson.raw_bson import RawBSONDocument
from pymongo import AsyncMongoClient

from eventbus.model import ClusterTime
from eventbus.sources.mongodb.cursor import ServerCursor
from eventbus.sources.mongodb.elements import int32, spans
from eventbus.sources.mongodb.reply import Reply
from eventbus.sources.mongodb.stream import StreamSpec
from eventbus.sources.mongodb.tokens import timestamp_of

__all__ = ["Chunk", "DocumentQueries", "chunks_of", "documents_command", "keys_of"]

_BY_KEY: Final = {"_id": 1}
_MAX_TIME_MS: Final = 60_000
_size: Final = Struct("<i").pack


@dataclass(frozen=True, slots=True)
class Chunk:
    """A range of keys of one collection.

    Args:
        namespace: ``database.collection``.
        after: The key before the range, as a raw document with ``_id``; None to begin with the first one.
        last: The last key in it.
        count: How many documents it has.
    """

    namespace: str
    after: bytes | None
    last: bytes
    count: int


class DocumentQueries:
    """Reads documents of one source as of a cluster time.

    Args:
        client: The client to read with.
        spec: The stream beside which they are read: its filter and stages hold for them too.
        match: A filter of the snapshot's own; None for none.
    """

    def __init__(
        self, client: AsyncMongoClient[Any], spec: StreamSpec, match: Mapping[str, Any] | None
    ) -> None:
        self._client = client
        self._spec = spec
        self._match = match

    async def present(self) -> ClusterTime:
        """The cluster's own time: no change that anybody was given so far is of a later one.

        Raises:
            PyMongoError: The server did not answer.
        """
        said = await self._client.admin.command("hello")
        time = said["$clusterTime"]["clusterTime"]
        return ClusterTime(time.time, time.inc)

    async def keys(self, namespace: str, after: bytes | None, count: int, as_of: ClusterTime) -> Reply:
        """The next keys of a collection.

        Raises:
            PyMongoError: The server refused, or did not answer.
        """
        database, _, collection = namespace.partition(".")
        command = {
            "find": collection,
            "filter": _beyond(after),
            "projection": _BY_KEY,
            "sort": _BY_KEY,
            "hint": _BY_KEY,
            "limit": count,
            "batchSize": count,
            "comment": self._spec.comment,
        }
        return await self._first_reply(database, command, as_of)

    async def documents(self, chunk: Chunk, as_of: ClusterTime) -> Reply:
        """The documents of a range, as many as fit into one reply, in the form of changes.

        Raises:
            PyMongoError: The server refused, or did not answer.
        """
        command = documents_command(self._spec, self._match, chunk)
        return await self._first_reply(chunk.namespace.partition(".")[0], command, as_of)

    async def _first_reply(self, database: str, command: Mapping[str, Any], as_of: ClusterTime) -> Reply:
        concern = {"level": "snapshot", "atClusterTime": timestamp_of(as_of)}
        bounded = {**command, "maxTimeMS": _MAX_TIME_MS, "readConcern": concern}
        cursor = await ServerCursor.of(self._client, database, bounded)
        await cursor.close()
        return cursor.opened


def documents_command(spec: StreamSpec, match: Mapping[str, Any] | None, chunk: Chunk) -> dict[str, Any]:
    """The query for the documents of a range, less the time as of which to read them."""
    database, _, collection = chunk.namespace.partition(".")
    bounds = [_compared("$gt", chunk.after)] if chunk.after else []
    as_a_change = {
        "operationType": "read",
        "ns": {"db": {"$literal": database}, "coll": {"$literal": collection}},
        "documentKey": {"_id": "$_id"},
        "fullDocument": "$$ROOT",
    }
    return {
        "aggregate": collection,
        "pipeline": [
            {"$match": {"$expr": {"$and": [*bounds, _compared("$lte", chunk.last)]}}},
            {"$sort": _BY_KEY},
            *([{"$match": match}] if match else []),
            {"$replaceWith": as_a_change},
            *spec.written_stages,
        ],
        "hint": _BY_KEY,
        "cursor": {"batchSize": chunk.count + 1},
        "comment": spec.comment,
    }


def keys_of(reply: Reply) -> list[bytes]:
    """The raw documents of a reply."""
    buffer = reply.buffer
    return [buffer[start : start + int32(buffer, start)[0]] for start in reply.starts()]


def chunks_of(namespace: str, after: bytes | None, keys: list[bytes], size: int) -> list[Chunk]:
    """Ranges of at most `size` keys, one behind the other."""
    chunks = []
    for first in range(0, len(keys), size):
        part = keys[first : first + size]
        chunks.append(Chunk(namespace, after, part[-1], len(part)))
        after = part[-1]
    return chunks


def _beyond(after: bytes | None) -> dict[str, Any]:
    return {"$expr": _compared("$gt", after)} if after else {}


def _compared(operator: str, key: bytes) -> dict[str, Any]:
    return {operator: ["$_id", _literal(key)]}


def _literal(key: bytes) -> RawBSONDocument:
    """``{$literal: <_id>}``, without decoding the key, which might not come back as it was."""
    ((kind, begin, end),) = spans(key).values()
    content = b"%c$literal\0%b\0" % (kind, key[begin:end])
    return RawBSONDocument(_size(len(content) + 4) + content)
