"""What becomes of dead letters in MongoDB: sent, failed again, discarded, kept, superseded, removed.

What touches many rows goes through them in batches, in the order of their ids: no write holds up others for
long, and one that was interrupted has changed some and can be asked for again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pymongo import DeleteMany, UpdateOne
from pymongo.asynchronous.database import AsyncDatabase

from eventbus.model import DeadLetter, Event, Failure
from eventbus.state.letters import MAX_ERRORS, key_id, letter_id, retried, stored_errors
from eventbus.state.mongodb_connection import MongoDocument
from eventbus.state.mongodb_letters import MongoLetters, chunks_of
from eventbus.state.payload import decode_content
from eventbus.state.store import HeldKey, LetterHour, LetterStatus, LetterTotals

__all__ = ["MongoFates"]

_BATCH: Final = 1000
_REMOVED: Final = 2000
"""The most that one call removes."""
_PARKED: Final = LetterStatus.PARKED.value
_SIZE: Final = {"payload.digest": 1}
"""Of a payload in the row itself nothing is read."""
_HOUR_MS: Final = 3_600_000
_OLD_KIND: Final = Failure.REJECTED.value
"""That of rows which an earlier version wrote without one."""
_CHANGED: Final = {"$currentDate": {"updated_at": True}}


class MongoFates:
    """The rows of one database, as they change; the caller maps errors and sets the concerns.

    Args:
        database: Where they are.
    """

    def __init__(self, database: AsyncDatabase[MongoDocument]) -> None:
        self._client = database.client
        self._letters = MongoLetters(database)
        self._rows = self._letters.rows

    async def park_again(self, letters: Sequence[DeadLetter], operation: str) -> None:
        """Add failed attempts, once for each operation: asking again after a lost answer adds nothing."""
        if letters:
            await self._rows.bulk_write([_retried(letter, operation) for letter in letters], ordered=False)

    async def conclude(self, ids: Sequence[str], operation: str) -> None:
        """Mark them as replayed."""
        replayed = LetterStatus.REPLAYED.value
        await self._change(
            {"_id": {"$in": list(ids)}, "status": {"$ne": replayed}},
            {"status": replayed, "operation_id": operation},
        )

    async def forwarded(self, ids: Sequence[str]) -> None:
        """Mark them as copied to the dead-letter sink."""
        await self._change({"_id": {"$in": list(ids)}}, {"forwarded": True})

    async def change_batch(
        self, where: MongoDocument, fields: Mapping[str, Any], after: str
    ) -> tuple[int, str | None]:
        """Set fields of the next of those that a filter selects.

        Args:
            where: The filter.
            fields: What to set.
            after: Only rows beyond this id.

        Returns:
            How many were changed, and the last id; None at the end.
        """
        beyond = {"$and": [where, {"_id": {"$gt": after}}]}
        found = await self._rows.find(
            beyond, {"_id": 1}, sort=[("_id", 1)], hint="_id_", limit=_BATCH
        ).to_list()
        ids = [row["_id"] for row in found]
        if not ids:
            return 0, None
        return await self._change({"$and": [where, {"_id": {"$in": ids}}]}, fields), ids[-1]

    async def count(self, where: MongoDocument) -> LetterTotals:
        """Count on the server."""
        of_a_key: MongoDocument = {
            "letters": {"$sum": 1},
            "size": {"$sum": "$size"},
            "superseded": _number_with("$is_superseded"),
            "held": _number_with("$is_held"),
            "legal_hold": _number_with("$legal_hold"),
        }
        of_all = {name: {"$sum": f"${name}"} for name in of_a_key}
        stages: list[MongoDocument] = [
            {"$match": where},
            {"$group": {"_id": {"$ifNull": ["$key_id", "$key_hash"]}, **of_a_key}},
            {"$group": {"_id": None, "keys": {"$sum": 1}, **of_all}},
            {"$unset": "_id"},
        ]
        found = await (await self._rows.aggregate(stages, allowDiskUse=True)).to_list()
        return LetterTotals(**found[0]) if found else LetterTotals()

    async def hours(self, since: datetime) -> list[LetterHour]:
        """Count by hour on the server; the index by creation finds the rows."""
        since_start: MongoDocument = {"$subtract": ["$created_at", since]}
        of_an_hour: MongoDocument = {
            "subscription": "$subscription",
            "route": "$route",
            "kind": {"$ifNull": ["$kind", _OLD_KIND]},
            "hour": {"$toInt": {"$floor": {"$divide": [since_start, _HOUR_MS]}}},
        }
        counted: MongoDocument = {"letters": {"$sum": 1}, "latest": {"$max": "$created_at"}}
        stages: list[MongoDocument] = [
            {"$match": {"created_at": {"$gte": since}}},
            {"$group": {"_id": of_an_hour, **counted}},
            {"$sort": {f"_id.{name}": 1 for name in of_an_hour}},
        ]
        found = await (await self._rows.aggregate(stages, allowDiskUse=True)).to_list()
        return [LetterHour(**row["_id"], letters=row["letters"], latest=row["latest"]) for row in found]

    async def held_keys(self, subscription: str, route: str) -> list[HeldKey]:
        """Count by key from an index alone; then read each key in a row that has it."""
        where = {**_parked_of(subscription, route), "key_id": {"$gt": b""}}
        of_a_key = {
            "_id": "$key_id",
            "letters": {"$sum": 1},
            "held": _number_with("$is_held"),
            "first": {"$first": "$event_id"},
            "token": {"$first": "$token"},
        }
        order = {"key_id": 1, "token": 1, "event_id": 1}
        stages: list[MongoDocument] = [{"$match": where}, {"$sort": order}, {"$group": of_a_key}]
        groups = await (await self._rows.aggregate(stages, hint="by_status_and_key")).to_list()
        found: list[HeldKey] = []
        for start in range(0, len(groups), _BATCH):
            found += await self._with_keys(subscription, route, groups[start : start + _BATCH])
        return found

    async def dead_key_hashes(self, subscription: str, route: str) -> set[int]:
        """Read from an index alone."""
        where = {**_parked_of(subscription, route), "is_superseded": False}
        stages: list[MongoDocument] = [{"$match": where}, {"$group": {"_id": "$key_hash"}}]
        async with await self._rows.aggregate(stages, hint="by_status_and_key_hash") as groups:
            return {int(group["_id"]) async for group in groups}

    async def supersede(self, subscription: str, route: str, event: Event) -> None:
        """Mark what is older than the event."""
        where = {
            **_parked_of(subscription, route),
            "key_id": key_id(event.key),
            "token": {"$lt": event.token},
            "is_superseded": False,
        }
        await self._change(where, {"is_superseded": True, "superseded_by": event.id})

    async def purge(self) -> int:
        """Remove what has expired by the server's clock."""
        hello = await self._client.admin.command("hello")
        now: datetime = hello["localTime"]
        return await self._remove({"legal_hold": False, "expires_at": {"$lte": now}}, _REMOVED, "expires_at")

    async def drop_oldest(self, count: int) -> int:
        """Remove the oldest that need not be kept; how many it removed, which is never very many."""
        return await self._remove({"legal_hold": {"$ne": True}}, min(count, _REMOVED), "created_at")

    async def _remove(self, where: MongoDocument, count: int, order: str) -> int:
        """Remove rows with their chunks, in one transaction: else a crash would leave chunks for ever."""
        async with (
            self._client.start_session(causal_consistency=False) as session,
            await session.start_transaction(self._rows.read_concern, self._rows.write_concern),
        ):
            found = self._rows.find(where, _SIZE, sort=[(order, 1)], limit=count, session=session)
            rows = await found.to_list()
            if not rows:
                return 0
            large = [DeleteMany({"_id": chunks_of(row["_id"])}) for row in rows if row.get("payload")]
            if large:
                await self._letters.chunks.bulk_write(large, session=session)
            ids = [row["_id"] for row in rows]
            return (await self._rows.delete_many({"_id": {"$in": ids}}, session=session)).deleted_count

    async def _change(self, where: MongoDocument, fields: Mapping[str, Any]) -> int:
        return (await self._rows.update_many(where, {"$set": fields, **_CHANGED})).modified_count

    async def _with_keys(
        self, subscription: str, route: str, groups: Sequence[MongoDocument]
    ) -> list[HeldKey]:
        ids = [letter_id(subscription, route, group["first"]) for group in groups]
        rows = self._rows.find({"_id": {"$in": ids}}, {"key_id": 1, "key": 1})
        keys = {row["key_id"]: row["key"] async for row in rows}
        found = []
        for group in groups:
            key = keys.get(group["_id"])
            if key is None:
                key = await self._long_key({**_parked_of(subscription, route), "key_id": group["_id"]})
            if key is not None:
                dead = group["letters"] - group["held"]
                found.append(HeldKey(key, dead, group["held"], group["first"], group["token"]))
        return found

    async def _long_key(self, where: MongoDocument) -> bytes | None:
        """A key that is too long for a field of its row, or whose first row has just been removed."""
        row = await self._rows.find_one(where, {"payload": 1})
        return decode_content(await self._letters.payload(row)).key if row else None


def _parked_of(subscription: str, route: str) -> MongoDocument:
    return {"subscription": subscription, "route": route, "status": _PARKED}


def _retried(letter: DeadLetter, operation: str) -> UpdateOne:
    where = {
        "_id": letter_id(letter.subscription, letter.route, letter.event.id),
        "status": _PARKED,
        "operation_id": {"$ne": operation},
    }
    errors = {"$concatArrays": ["$errors", {"$literal": stored_errors(letter)}]}
    fields: MongoDocument = {
        "attempts": {"$add": ["$attempts", letter.attempts]},
        "errors": {"$slice": [errors, -MAX_ERRORS]},
        "updated_at": "$$NOW",
        "is_held": letter.held_behind is not None,
        **{name: {"$literal": value} for name, value in retried(letter, operation=operation).items()},
    }
    return UpdateOne(where, [{"$set": fields}])


def _number_with(flag: str) -> MongoDocument:
    return {"$sum": {"$cond": [flag, 1, 0]}}
