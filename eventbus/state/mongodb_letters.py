"""Dead letters in MongoDB: a row each, and chunks for what does not fit into one.

A document holds 16 MB, an event with its message may be larger. So a payload above a megabyte lies in chunks,
written before the row that names them: a crash in between leaves orphans, never a row without its payload.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final, TypeAlias

import pymongo
from bson.timestamp import Timestamp
from pymongo import ASCENDING, IndexModel, ReplaceOne, UpdateOne
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError

from eventbus.errors import EventbusError
from eventbus.model import DeadLetter
from eventbus.state.letters import PARKED, Row, pieces, restore, row_of, stored_attempt
from eventbus.state.mongodb_errors import only_duplicates
from eventbus.state.store import StoredDeadLetter

__all__ = ["MongoLetters"]

_Document: TypeAlias = dict[str, Any]

INLINE_BYTES: Final = 1 << 20
_PAGE: Final = 250
_BULK_SECS: Final = 10.0
"""For what moves many megabytes or builds an index; nothing waits for it that holds a lease."""

_ORDER: Final = [("created_at", ASCENDING), ("token", ASCENDING), ("_id", ASCENDING)]
_INDEXES: Final = [
    IndexModel([("subscription", 1), ("route", 1), ("key_hash", 1)], name="by_key"),
    IndexModel([("subscription", 1), ("route", 1), ("token", 1), ("event_id", 1)], name="by_token"),
    IndexModel(_ORDER, name="by_creation"),
]
_STORED: Final = ("subscription", "route", "reason", "attempts", "errors", "created_at", "status")


class MongoLetters:
    """The dead letters of one database; the caller maps errors and sets the concerns.

    Args:
        database: Where they are.
    """

    def __init__(self, database: AsyncDatabase[_Document]) -> None:
        self._rows = database["dead_letters"]
        self._chunks = database["dead_letter_chunks"]

    async def prepare(self) -> None:
        """Make the indexes that are missing."""
        with pymongo.timeout(_BULK_SECS):
            await self._rows.create_indexes(_INDEXES)

    async def park(self, letters: Sequence[DeadLetter]) -> None:
        """Store them; small ones in one write."""
        writes = []
        for letter in letters:
            row = row_of(letter)
            if len(row.payload) > INLINE_BYTES:
                await self._park_large(row)
            else:
                writes.append(_insertion(row, row.payload))
        if writes:
            await self._insert(writes)

    async def parked_after(self, subscription: str, route: str, token: str) -> list[str]:
        """Ids of the route's events beyond a token, read from the index alone."""
        where = {"subscription": subscription, "route": route, "token": {"$gt": token}}
        return [row["event_id"] async for row in self._rows.find(where, {"_id": 0, "event_id": 1})]

    async def stream(
        self, *, subscription: str | None, route: str | None, limit: int | None
    ) -> AsyncGenerator[StoredDeadLetter]:
        """Dead letters in order of creation. No cursor stays open between two pages."""
        named = {"subscription": subscription, "route": route}
        where: _Document = {name: value for name, value in named.items() if value is not None}
        after: _Document = {}
        remaining = limit
        while remaining is None or remaining > 0:
            page = await self._page({**where, **after}, _PAGE if remaining is None else min(_PAGE, remaining))
            if not page:
                return
            for row in page:
                yield await self._restored(row)
            after = _beyond(page[-1])
            remaining = None if remaining is None else remaining - len(page)

    async def _page(self, where: _Document, size: int) -> list[_Document]:
        """At most `size` rows, and at most the 16 MB that the server puts into one reply."""
        fields = dict.fromkeys((*_STORED, "token", "payload"), 1)
        one_reply = self._rows.find(where, fields, sort=_ORDER, limit=-size, batch_size=size)
        return await one_reply.to_list()

    async def _park_large(self, row: Row) -> None:
        if await self._rows.find_one({"_id": row.id}, {"_id": 1}) is not None:
            return
        digest = hashlib.blake2b(row.payload, digest_size=16).hexdigest()
        count = 0
        for number, piece in enumerate(pieces(row.payload)):
            chunk = {"_id": _chunk_id(row.id, digest, number), "digest": digest, "bytes": piece}
            with pymongo.timeout(_BULK_SECS):
                await self._chunks.bulk_write([ReplaceOne({"_id": chunk["_id"]}, chunk, upsert=True)])
            count = number + 1
        await self._insert([_insertion(row, {"digest": digest, "chunks": count})])
        await self._sweep(row.id)

    async def _sweep(self, row_id: str) -> None:
        """Delete chunks that the row does not name: an attempt crashed after them, or came second."""
        row = await self._rows.find_one({"_id": row_id}, {"payload.digest": 1})
        if row is not None:
            named = row.get("payload", {}).get("digest")  # none where the row that came first was small
            span = {"$gt": f"{row_id}:", "$lt": f"{row_id};"}
            await self._chunks.delete_many({"_id": span, "digest": {"$ne": named}})

    async def _insert(self, writes: list[UpdateOne]) -> None:
        try:
            await self._rows.bulk_write(writes, ordered=False)
        except BulkWriteError as error:
            if not only_duplicates(error):  # two daemons at once; the first has parked it
                raise

    async def _restored(self, row: _Document) -> StoredDeadLetter:
        fields = {name: row[name] for name in _STORED}
        return restore(**fields, payload=await self._payload(row))

    async def _payload(self, row: _Document) -> bytes:
        payload = row["payload"]
        if isinstance(payload, bytes):
            return payload
        parts = []
        for number in range(payload["chunks"]):
            with pymongo.timeout(_BULK_SECS):
                chunk = await self._chunks.find_one({"_id": _chunk_id(row["_id"], payload["digest"], number)})
            if chunk is None:
                raise EventbusError(f"dead letter {row['_id']} has lost a part of its payload")
            parts.append(chunk["bytes"])
        return b"".join(parts)


def _insertion(row: Row, payload: bytes | _Document) -> UpdateOne:
    """Insert the row with the server's time, or change nothing where it is."""
    time = row.cluster_time
    fields = {
        "subscription": row.subscription,
        "route": row.route,
        "event_id": row.event_id,
        "operation": row.operation,
        "database": row.database,
        "collection": row.collection,
        "document_key": row.document_key,
        "key_hash": row.key_hash,
        "token": row.token,
        "cluster_time": Timestamp(*time) if time else None,
        "size": row.size,
        "reason": row.reason,
        "attempts": row.attempts,
        "errors": [stored_attempt(error) for error in row.errors],
        "status": PARKED,
        "payload": payload,
    }
    made = {"$mergeObjects": ["$$ROOT", {"$literal": fields}, {"created_at": "$$NOW"}]}
    is_there = {"$ne": [{"$type": "$created_at"}, "missing"]}
    return UpdateOne({"_id": row.id}, [{"$replaceWith": {"$cond": [is_there, "$$ROOT", made]}}], upsert=True)


def _beyond(row: _Document) -> _Document:
    """What comes after a row in `_ORDER`; the first condition is what lets the server use the index."""
    time, token, row_id = row["created_at"], row["token"], row["_id"]
    return {
        "created_at": {"$gte": time},
        "$or": [
            {"created_at": {"$gt": time}},
            {"token": {"$gt": token}},
            {"token": token, "_id": {"$gt": row_id}},
        ],
    }


def _chunk_id(row_id: str, digest: str, number: int) -> str:
    return f"{row_id}:{digest}:{number:06}"
