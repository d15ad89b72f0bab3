"""Gaps in MongoDB: one document each, whose end never goes back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pymongo import DESCENDING, IndexModel, ReturnDocument
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from eventbus.state.gap_documents import gap_document, gap_of
from eventbus.state.gaps import Gap
from eventbus.state.mongodb_connection import MongoConnection, MongoDocument, bounded

__all__ = ["MongoGapStore", "prepare_gaps"]

_NEWEST_FIRST: Final = [("created_at", DESCENDING), ("_id", DESCENDING)]
_INDEXES: Final = [
    IndexModel([("subscription", 1), ("route", 1), *_NEWEST_FIRST], name="by_route"),
    IndexModel(_NEWEST_FIRST, name="by_creation"),
]


async def prepare_gaps(database: AsyncDatabase[MongoDocument]) -> None:
    """Make the indexes that are missing."""
    await database["gaps"].create_indexes(_INDEXES)


class MongoGapStore(MongoConnection):
    """The part of a store in MongoDB that keeps gaps."""

    async def record_gap(self, gap: Gap) -> Gap | None:
        """See `eventbus.state.store.GapStore.record_gap`."""
        with bounded():
            try:
                before = await self._record(gap)
            except DuplicateKeyError:  # somebody else made the document at this moment
                before = await self._record(gap)
        return _gap(before) if before else None

    async def gaps(
        self,
        *,
        subscription: str | None = None,
        route: str | None = None,
        start: str | None = None,
        limit: int = 100,
    ) -> Sequence[Gap]:
        """See `eventbus.state.store.GapStore.gaps`."""
        named = {"subscription": subscription, "route": route, "start.token": start}
        where = {name: value for name, value in named.items() if value is not None}
        with bounded():
            return [_gap(row) async for row in self._gaps.find(where, sort=_NEWEST_FIRST, limit=limit)]

    async def _record(self, gap: Gap) -> MongoDocument | None:
        created_at = {"$ifNull": ["$created_at", "$$NOW"]}
        fields = {"$literal": gap_document(gap)}
        made = {"$mergeObjects": ["$$ROOT", fields, {"created_at": created_at}]}
        is_further = {"$gt": ["$end.token", {"$literal": gap.end.token}]}  # false where there is no end yet
        return await self._gaps.find_one_and_update(
            {"_id": gap.id},
            [{"$replaceWith": {"$cond": [is_further, "$$ROOT", made]}}],
            upsert=True,
            return_document=ReturnDocument.BEFORE,
        )

    @property
    def _gaps(self) -> AsyncCollection[MongoDocument]:
        return self._database["gaps"]


def _gap(row: MongoDocument) -> Gap:
    return gap_of(row, row["created_at"])
