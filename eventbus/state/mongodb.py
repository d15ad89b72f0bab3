"""State in MongoDB: what several daemons share, and what they compete for.

Collections of one database: ``subscriptions`` (a lease, the positions of its routes and their pauses in one
document, so that one conditional write moves all positions or none), ``dead_letters`` and
``dead_letter_chunks``, ``operations``, ``gaps``. Leases run by the server's clock. Nothing is read here that
was not committed with majority.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pymongo import ReturnDocument, UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import DuplicateKeyError

from eventbus.model import Position
from eventbus.state.mongodb_connection import MongoDocument, bounded
from eventbus.state.mongodb_controls import MongoControlStore, prepare_operations
from eventbus.state.mongodb_gaps import MongoGapStore, prepare_gaps
from eventbus.state.mongodb_leases import held_by, holders_of, released, renewed, taken
from eventbus.state.mongodb_letter_store import MongoLetterStore
from eventbus.state.mongodb_letters import prepare_letters
from eventbus.state.position_documents import position_of
from eventbus.state.store import Holder, Lease, LetterLimit, Save

__all__ = ["MongoStore"]


class MongoStore(MongoLetterStore, MongoControlStore, MongoGapStore):
    """State in a MongoDB replica set.

    Args:
        uri: Where it is. The store has a client of its own, whatever else is read from there.
        database: Name of the database, which is used for nothing else.
        instance: A stable name of this daemon, unique among those that share the database.
        limit: How many dead letters it keeps.
        settings: Further arguments of the driver's client.
    """

    def __init__(
        self,
        uri: str,
        *,
        database: str,
        instance: str,
        limit: LetterLimit | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(uri, database=database, instance=instance, settings=settings)
        self._limit = limit or LetterLimit()
        self._incarnations = map(f"{uuid.uuid4().hex[:12]}-{{}}".format, itertools.count(1))

    async def open(self) -> None:
        """Connect and make collections and indexes that are missing.

        Raises:
            Unreachable: No primary answers now; try again.
            ConfigurationError: The URI, the user or its rights are wrong, or it is a standalone server.
        """
        await self.connect([prepare_letters, prepare_operations, prepare_gaps])

    async def acquire(self, subscription: str, *, lease_secs: float, reclaim: bool) -> Lease | None:
        """See `eventbus.state.store.Store.acquire`."""
        incarnation = next(self._incarnations)
        with bounded():
            try:
                document = await self._subscriptions.find_one_and_update(
                    {"_id": subscription},
                    taken(self._instance, incarnation, lease_secs=lease_secs, reclaim=reclaim),
                    upsert=True,
                    projection={"incarnation": 1, "epoch": 1},
                    return_document=ReturnDocument.AFTER,
                )
            except DuplicateKeyError:  # somebody else made the document, and most likely has the lease
                return None
        if document is None or document.get("incarnation") != incarnation:
            return None
        return Lease(subscription, int(document["epoch"]))

    async def positions(self, subscription: str) -> Mapping[str, Position]:
        """See `eventbus.state.store.Store.positions`."""
        with bounded():
            document = await self._subscriptions.find_one({"_id": subscription}, {"routes": 1})
        routes = (document or {}).get("routes") or {}
        found = {name: position_of(entry) for name, entry in routes.items()}
        return {name: position for name, position in found.items() if position is not None}

    async def subscriptions(self) -> Sequence[str]:
        """See `eventbus.state.store.Store.subscriptions`."""
        with bounded():
            cursor = self._subscriptions.find({"routes": {"$nin": [None, {}]}}, {"_id": 1}, sort=[("_id", 1)])
            return [found["_id"] async for found in cursor]

    async def holders(self, subscriptions: Collection[str]) -> Mapping[str, Holder]:
        """See `eventbus.state.store.Store.holders`."""
        with bounded():
            cursor = await self._subscriptions.aggregate(holders_of(subscriptions))
            return {found["_id"]: Holder(found["owner"], found["left"] / 1000) async for found in cursor}

    async def save(self, saves: Sequence[Save], *, lease_secs: float) -> Sequence[bool]:
        """See `eventbus.state.store.Store.save`."""
        if not saves:
            return []
        writes = [
            UpdateOne(held_by(self._instance, save.lease), renewed(save, lease_secs=lease_secs))
            for save in saves
        ]
        with bounded():
            written = await self._subscriptions.bulk_write(writes, ordered=False)
            if written.matched_count == len(saves):
                return [True] * len(saves)
            held = await self._held([save.lease for save in saves])
        return [save.lease in held for save in saves]

    async def release(self, lease: Lease) -> None:
        """See `eventbus.state.store.Store.release`."""
        with bounded():
            await self._subscriptions.update_one(held_by(self._instance, lease), released())

    async def _held(self, leases: Sequence[Lease]) -> set[Lease]:
        """Those that this instance still holds. A lost one never comes back, since the epoch only grows."""
        found = self._subscriptions.find(
            {"_id": {"$in": [lease.subscription for lease in leases]}, "owner": self._instance}, {"epoch": 1}
        )
        return {Lease(document["_id"], int(document["epoch"])) async for document in found}

    @property
    def _subscriptions(self) -> AsyncCollection[MongoDocument]:
        return self._database["subscriptions"]
