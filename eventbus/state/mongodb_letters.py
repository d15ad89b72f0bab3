"""Dead letters in MongoDB: a row each, and chunks for what does not fit into one.

A document holds 16 MB, an event with its message may be larger. So a payload above a megabyte lies in chunks,
written before the row that names them: a crash in between leaves orphans, never a row without its payload.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final

import pymongo
from bson.timestamp import Timestamp
from pymongo import ASCENDING, IndexModel, ReplaceOne, UpdateOne
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError

from eventbus.errors import EventbusError
from eventbus.state.letters import Row, pieces, restore
from eventbus.state.mongodb_connection import MongoDocument
from eventbus.state.mongodb_errors import only_duplicates
from eventbus.state.store import LetterStatus, StoredDeadLetter

__all__ = ["MongoLetters", "chunks_of", "prepare_letters"]

INLINE_BYTES: Final = 1 << 20
_PAGE: Final = 250
_BULK_SECS: Final = 10.0
"""For what moves many megabytes or builds an index; nothing waits for it that holds a lease."""
_INDEX_SECS: Final = 600.0
"""For an index over rows that are there already, after an update; a daemon that starts waits for it."""

_BY_CREATION: Final = ("created_at", "token", "_id")
_BY_TOKEN: Final = ("token", "_id")
_OF_ROUTE: Final = [("subscription", 1), ("route", 1)]
_INDEXES: Final = [
    IndexModel([(name, ASCENDING) for name in _BY_CREATION], name="by_creation"),
    IndexModel([(name, ASCENDING) for name in _BY_TOKEN], name="by_event"),
    IndexModel([*_OF_ROUTE, ("token", 1), ("event_id", 1)], name="by_token"),
    IndexModel(
        [*_OF_ROUTE, ("status", 1), ("key_id", 1), ("token", 1), ("event_id", 1), ("is_held", 1)],
        name="by_status_and_key",
    ),
    IndexModel(
        [*_OF_ROUTE, ("status", 1), ("is_superseded", 1), ("key_hash", 1)], name="by_status_and_key_hash"
    ),
    IndexModel([("legal_hold", 1), ("expires_at", 1)], name="by_expiry"),
]
_NEEDED: Final = dict.fromkeys(
    [
        *("subscription", "route", "token", "reason", "kind", "attempts", "errors", "held_behind", "config"),
        *("created_at", "expires_at", "legal_hold", "status", "superseded_by", "operation_id", "forwarded"),
        "payload",
    ],
    1,
)


async def prepare_letters(database: AsyncDatabase[MongoDocument]) -> None:
    """Make the indexes that are missing."""
    with pymongo.timeout(_INDEX_SECS):
        await database["dead_letters"].create_indexes(_INDEXES)


class MongoLetters:
    """The rows and chunks of one database; the caller maps errors and sets the concerns.

    Args:
        database: Where they are.
    """

    def __init__(self, database: AsyncDatabase[MongoDocument]) -> None:
        self.rows = database["dead_letters"]
        self.chunks = database["dead_letter_chunks"]

    async def park(self, rows: Sequence[Row]) -> None:
        """Store them; small ones in one write. Those that are there stay as they are."""
        writes = []
        for row in rows:
            if len(row.payload) > INLINE_BYTES:
                await self._park_large(row)
            else:
                writes.append(_insertion(row, row.payload))
        if writes:
            await self._insert(writes)

    async def count_parked(self, subscription: str, route: str, most: int) -> int:
        """Count the parked ones of a route and its replays, up to a number.

        A replay's are of a route named after it, with an @ and an id; and A comes after @.
        """
        of_replays = {"route": {"$gte": f"{route}@", "$lt": f"{route}A"}}
        where = {
            "subscription": subscription,
            "status": LetterStatus.PARKED.value,
            "$or": [{"route": route}, of_replays],
        }
        return await self.rows.count_documents(where, limit=most)

    async def parked_after(self, subscription: str, route: str, token: str) -> list[str]:
        """Ids of the route's events beyond a token, read from the index alone."""
        where = {"subscription": subscription, "route": route, "token": {"$gt": token}}
        return [row["event_id"] async for row in self.rows.find(where, {"_id": 0, "event_id": 1})]

    async def missing(self, rows: Sequence[Row]) -> list[Row]:
        """Those of these rows that are not stored yet."""
        ids = [row.id for row in rows]
        there = {row["_id"] async for row in self.rows.find({"_id": {"$in": ids}}, {"_id": 1})}
        return [row for row in rows if row.id not in there]

    async def stream(
        self, where: MongoDocument, *, by_token: bool, limit: int | None
    ) -> AsyncGenerator[StoredDeadLetter]:
        """Dead letters in order of creation or of their events. No cursor stays open between two pages."""
        order = _BY_TOKEN if by_token else _BY_CREATION
        last: MongoDocument | None = None
        remaining = limit
        while remaining is None or remaining > 0:
            size = _PAGE if remaining is None else min(_PAGE, remaining)
            page = await self._page(where, order, last, size)
            if not page:
                return
            for row in page:
                yield await self._restored(row)
            last = page[-1]
            remaining = None if remaining is None else remaining - len(page)

    async def payload(self, row: MongoDocument) -> bytes:
        """The payload of a row that was read with its field of that name."""
        payload = row["payload"]
        if isinstance(payload, bytes):
            return payload
        parts = []
        for number in range(payload["chunks"]):
            with pymongo.timeout(_BULK_SECS):
                chunk = await self.chunks.find_one({"_id": _chunk_id(row["_id"], payload["digest"], number)})
            if chunk is None:
                raise EventbusError(f"dead letter {row['_id']} has lost a part of its payload")
            parts.append(chunk["bytes"])
        return b"".join(parts)

    async def _page(
        self, where: MongoDocument, order: Sequence[str], last: MongoDocument | None, size: int
    ) -> list[MongoDocument]:
        """At most `size` rows beyond the last, and at most the 16 MB that the server puts into one reply.

        The server is told where in the index to begin. Said as a condition, "beyond" would be an ``$or``, and
        its planner likes to go through the index once for each part of it.
        """
        index = [(name, ASCENDING) for name in order]
        skipped = 0 if last is None else 1
        found = self.rows.find(where, _NEEDED, sort=index, limit=-(size + skipped), batch_size=size + skipped)
        found = found.hint(index)
        if last is not None:
            found = found.min([(name, last[name]) for name in order])
        rows = await found.to_list()
        return [row for row in rows if last is None or row["_id"] != last["_id"]]

    async def _park_large(self, row: Row) -> None:
        if await self.rows.find_one({"_id": row.id}, {"_id": 1}) is not None:
            return
        digest = hashlib.blake2b(row.payload, digest_size=16).hexdigest()
        count = 0
        for number, piece in enumerate(pieces(row.payload)):
            chunk = {"_id": _chunk_id(row.id, digest, number), "digest": digest, "bytes": piece}
            with pymongo.timeout(_BULK_SECS):
                await self.chunks.bulk_write([ReplaceOne({"_id": chunk["_id"]}, chunk, upsert=True)])
            count = number + 1
        await self._insert([_insertion(row, {"digest": digest, "chunks": count})])
        await self._sweep(row.id)

    async def _sweep(self, row_id: str) -> None:
        """Delete chunks that the row does not name: an attempt crashed after them, or came second."""
        row = await self.rows.find_one({"_id": row_id}, {"payload.digest": 1})
        if row is not None:
            named = row.get("payload", {}).get("digest")  # none where the row that came first was small
            await self.chunks.delete_many({"_id": chunks_of(row_id), "digest": {"$ne": named}})

    async def _insert(self, writes: list[UpdateOne]) -> None:
        try:
            await self.rows.bulk_write(writes, ordered=False)
        except BulkWriteError as error:
            if not only_duplicates(error):  # two daemons at once; the first has parked it
                raise

    async def _restored(self, row: MongoDocument) -> StoredDeadLetter:
        return restore({**row, "id": row["_id"]}, await self.payload(row))


def chunks_of(row_id: str) -> MongoDocument:
    """A condition on ``_id`` that all chunks of a row meet."""
    return {"$gt": f"{row_id}:", "$lt": f"{row_id};"}


def _insertion(row: Row, payload: bytes | MongoDocument) -> UpdateOne:
    """Insert the row with the server's time, or change nothing where it is."""
    time, expires = row.cluster_time, row.expire_after_ms
    fields: dict[str, Any] = {
        "subscription": row.subscription,
        "route": row.route,
        "event_id": row.event_id,
        "operation": row.operation,
        "database": row.database,
        "collection": row.collection,
        "document_key": row.document_key,
        "key_hash": row.key_hash,
        "key_id": row.key_id,
        "key": row.key,
        "token": row.token,
        "cluster_time": Timestamp(*time) if time else None,
        "size": row.size,
        "reason": row.reason,
        "kind": row.kind,
        "held_behind": row.held_behind,
        "is_held": row.held_behind is not None,
        "config": row.config,
        "attempts": row.attempts,
        "errors": list(row.errors),
        "status": LetterStatus.PARKED.value,
        "legal_hold": False,
        "is_superseded": False,
        "superseded_by": None,
        "operation_id": None,
        "forwarded": False,
        "discarded_by": None,
        "payload": payload,
    }
    times = {
        "created_at": "$$NOW",
        "updated_at": "$$NOW",
        "expires_at": None if expires is None else {"$add": ["$$NOW", expires]},
    }
    made = {"$mergeObjects": ["$$ROOT", {"$literal": fields}, times]}
    is_there = {"$ne": [{"$type": "$created_at"}, "missing"]}
    return UpdateOne({"_id": row.id}, [{"$replaceWith": {"$cond": [is_there, "$$ROOT", made]}}], upsert=True)


def _chunk_id(row_id: str, digest: str, number: int) -> str:
    return f"{row_id}:{digest}:{number:06}"
