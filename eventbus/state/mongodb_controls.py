"""Pauses and operations in MongoDB. Who may write to the database may ask; only a lease's holder moves."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from pymongo import DESCENDING, IndexModel
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from eventbus.errors import ConfigurationError
from eventbus.state.mongodb_connection import MongoConnection, MongoDocument, bounded
from eventbus.state.mongodb_leases import forgotten, held_by, paused, resumed
from eventbus.state.operation_documents import LIVE, moved_fields, operation_document, operation_of
from eventbus.state.operations import Control, Operation, OperationStatus
from eventbus.state.store import Lease

__all__ = ["MongoControlStore", "prepare_operations"]

_OLDEST_FIRST: Final = [("created_at", 1), ("_id", 1)]
_NEWEST_FIRST: Final = [("created_at", DESCENDING), ("_id", DESCENDING)]
_INDEXES: Final = [
    IndexModel([("subscription", 1), *_OLDEST_FIRST], name="by_subscription"),
    IndexModel([("status", 1), ("subscription", 1)], name="by_status"),
    IndexModel(_OLDEST_FIRST, name="by_creation"),
]
_TRIES: Final = 3


async def prepare_operations(database: AsyncDatabase[MongoDocument]) -> None:
    """Make the indexes that are missing."""
    await database["operations"].create_indexes(_INDEXES)


class MongoControlStore(MongoConnection):
    """The part of a store in MongoDB that keeps what operators want."""

    async def controls(self, subscriptions: Collection[str]) -> Mapping[str, Control]:
        """See `eventbus.state.store.ControlStore.controls`."""
        names = list(subscriptions)
        with bounded():
            rows = await (await self._database["subscriptions"].aggregate(_wanted(names))).to_list()
        pauses = {row["_id"]: row["paused"] for row in rows if "paused" in row}
        asked = [_operation(row["operation"]) for row in rows if "operation" in row]
        return {
            name: Control(pauses.get(name, {}), tuple(one for one in asked if one.subscription == name))
            for name in names
        }

    async def set_paused(self, subscription: str, route: str, reason: str | None) -> None:
        """See `eventbus.state.store.ControlStore.set_paused`."""
        update = resumed(route) if reason is None else paused(route, reason)
        with bounded():
            for attempt in range(1, _TRIES + 1):
                try:
                    await self._database["subscriptions"].update_one(
                        {"_id": subscription}, update, upsert=reason is not None
                    )
                except DuplicateKeyError:  # somebody else made the document at this moment
                    if attempt == _TRIES:
                        raise
                else:
                    return

    async def add_operation(self, operation: Operation) -> None:
        """See `eventbus.state.store.ControlStore.add_operation`."""
        fields = {"$literal": {**operation_document(operation), "epoch": 0}}
        made = {"$mergeObjects": ["$$ROOT", fields, {"created_at": "$$NOW", "updated_at": "$$NOW"}]}
        is_there = {"$ne": [{"$type": "$created_at"}, "missing"]}
        update = [{"$replaceWith": {"$cond": [is_there, "$$ROOT", made]}}]
        with bounded():
            written = await self._operations.update_one({"_id": operation.id}, update, upsert=True)
        if written.matched_count:
            raise ConfigurationError(f"there is an operation {operation.id} already")

    async def find_operations(
        self, *, subscription: str | None = None, operation_id: str | None = None, limit: int = 100
    ) -> Sequence[Operation]:
        """See `eventbus.state.store.ControlStore.find_operations`."""
        named = {"subscription": subscription, "_id": operation_id}
        where = {name: value for name, value in named.items() if value is not None}
        found = self._operations.find(where, sort=_NEWEST_FIRST, limit=limit)
        with bounded():
            return [_operation(row) async for row in found]

    async def move_operation(self, operation: Operation, lease: Lease) -> bool:
        """See `eventbus.state.store.ControlStore.move_operation`."""
        where = {"_id": operation.id, "status": {"$in": LIVE}, "epoch": {"$lte": lease.epoch}}
        return await self._changed(where, {**moved_fields(operation), "epoch": lease.epoch})

    async def cancel_operation(self, operation_id: str) -> bool:
        """See `eventbus.state.store.ControlStore.cancel_operation`."""
        where = {"_id": operation_id, "status": {"$in": LIVE}}
        return await self._changed(where, {"status": OperationStatus.CANCELLED.value})

    async def forget_position(self, lease: Lease, route: str) -> None:
        """See `eventbus.state.store.ControlStore.forget_position`."""
        where = held_by(self._instance, lease)
        with bounded():
            await self._database["subscriptions"].update_one(where, forgotten(route))

    async def _changed(self, where: MongoDocument, fields: Mapping[str, Any]) -> bool:
        with bounded():
            changed = await self._operations.update_one(
                where, {"$set": fields, "$currentDate": {"updated_at": True}}
            )
        return changed.matched_count == 1

    @property
    def _operations(self) -> AsyncCollection[MongoDocument]:
        return self._database["operations"]


def _wanted(subscriptions: list[str]) -> list[MongoDocument]:
    """Pauses of subscriptions, and their operations: one question for both, since it is asked each second."""
    live = {"status": {"$in": LIVE}, "subscription": {"$in": subscriptions}}
    operations = [{"$match": live}, {"$project": {"_id": 0, "operation": "$$ROOT"}}]
    return [
        {"$match": {"_id": {"$in": subscriptions}, "paused": {"$nin": [None, {}]}}},
        {"$project": {"paused": 1}},
        {"$unionWith": {"coll": "operations", "pipeline": operations}},
        {"$sort": {f"operation.{name}": direction for name, direction in _OLDEST_FIRST}},
    ]


def _operation(row: MongoDocument) -> Operation:
    return operation_of(row["_id"], row, row["created_at"], row["updated_at"])
