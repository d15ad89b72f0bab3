"""State in MongoDB: what several daemons share, and what they compete for.

Collections of one database: ``subscriptions`` (a lease and the positions of its routes in one document, so
that one conditional write moves all of them or none), ``dead_letters`` and ``dead_letter_chunks``. Leases run
by the server's clock. Nothing is read here that was not committed with majority.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from typing import Any, Final, TypeAlias

import anyio
import pymongo
from pymongo import AsyncMongoClient, ReadPreference, ReturnDocument, UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from eventbus.errors import ConfigurationError
from eventbus.model import DeadLetter, Position
from eventbus.state.mongodb_errors import INVALID_URI, errors_mapped
from eventbus.state.mongodb_leases import held_by, position_of, released, renewed, taken
from eventbus.state.mongodb_letters import MongoLetters
from eventbus.state.store import Lease, Save, StoredDeadLetter
from eventbus.state.values import OPTIONS

__all__ = ["MongoStore"]

_Document: TypeAlias = dict[str, Any]

_OPERATION_SECS: Final = 4.0
"""The whole of one operation, its retries included: less than a third of the shortest sensible lease."""
_GREETING_SECS: Final = 2.5
_CLOSE_SECS: Final = 1.0
_POOL_SIZE: Final = 8


class MongoStore:
    """State in a MongoDB replica set.

    Args:
        uri: Where it is. The store has a client of its own, whatever else is read from there.
        database: Name of the database, which is used for nothing else.
        instance: A stable name of this daemon, unique among those that share the database.
    """

    def __init__(self, uri: str, *, database: str, instance: str) -> None:
        self._uri = uri
        self._name = database
        self._instance = instance
        self._client: AsyncMongoClient[_Document] | None = None
        self._incarnations = map(f"{uuid.uuid4().hex[:12]}-{{}}".format, itertools.count(1))

    async def open(self) -> None:
        """Connect and make collections and indexes that are missing.

        Raises:
            Unreachable: No primary answers now; try again.
            ConfigurationError: The URI, the user or its rights are wrong, or it is a standalone server.
        """
        if self._client is not None:
            return
        with errors_mapped():
            client = _client(self._uri)
        try:
            with _operation():
                await _greet(client)
                await MongoLetters(self._of(client)).prepare()
        except BaseException:
            await _close(client)
            raise
        self._client = client

    async def close(self) -> None:
        """Release the connections."""
        client, self._client = self._client, None
        if client is not None:
            await _close(client)

    async def acquire(self, subscription: str, *, lease_secs: float, reclaim: bool) -> Lease | None:
        """See `eventbus.state.store.Store.acquire`."""
        incarnation = next(self._incarnations)
        with _operation():
            try:
                document = await self._subscriptions.find_one_and_update(
                    {"_id": subscription},
                    taken(self._instance, incarnation, lease_secs=lease_secs, reclaim=reclaim),
                    upsert=True,
                    projection={"incarnation": 1, "epoch": 1},
                    return_document=ReturnDocument.AFTER,
                )
            except DuplicateKeyError:  # somebody else made the document, and so has the lease
                return None
        if document is None or document["incarnation"] != incarnation:
            return None
        return Lease(subscription, int(document["epoch"]))

    async def positions(self, subscription: str) -> Mapping[str, Position]:
        """See `eventbus.state.store.Store.positions`."""
        with _operation():
            document = await self._subscriptions.find_one({"_id": subscription}, {"routes": 1})
        routes = (document or {}).get("routes") or {}
        found = {name: position_of(entry) for name, entry in routes.items()}
        return {name: position for name, position in found.items() if position is not None}

    async def save(self, saves: Sequence[Save], *, lease_secs: float) -> Sequence[bool]:
        """See `eventbus.state.store.Store.save`."""
        if not saves:
            return []
        writes = [
            UpdateOne(held_by(self._instance, save.lease), renewed(save, lease_secs=lease_secs))
            for save in saves
        ]
        with _operation():
            written = await self._subscriptions.bulk_write(writes, ordered=False)
            if written.matched_count == len(saves):
                return [True] * len(saves)
            held = await self._held([save.lease for save in saves])
        return [save.lease in held for save in saves]

    async def release(self, lease: Lease) -> None:
        """See `eventbus.state.store.Store.release`."""
        with _operation():
            await self._subscriptions.update_one(held_by(self._instance, lease), released())

    async def park(self, letters: Sequence[DeadLetter]) -> None:
        """See `eventbus.state.store.Store.park`."""
        with _operation():
            await self._letters.park(letters)

    async def parked_after(self, subscription: str, route: str, token: str) -> Sequence[str]:
        """See `eventbus.state.store.Store.parked_after`."""
        with _operation():
            return await self._letters.parked_after(subscription, route, token)

    async def dead_letters(
        self, *, subscription: str | None = None, route: str | None = None, limit: int | None = None
    ) -> AsyncIterator[StoredDeadLetter]:
        """See `eventbus.state.store.Store.dead_letters`."""
        found = self._letters.stream(subscription=subscription, route=route, limit=limit)
        async with aclosing(found) as letters:
            while True:
                with _operation():
                    letter = await anext(letters, None)
                if letter is None:
                    return
                yield letter

    async def _held(self, leases: Sequence[Lease]) -> set[Lease]:
        """Those that this instance still holds. A lost one never comes back, since the epoch only grows."""
        found = self._subscriptions.find(
            {"_id": {"$in": [lease.subscription for lease in leases]}, "owner": self._instance}, {"epoch": 1}
        )
        return {Lease(document["_id"], int(document["epoch"])) async for document in found}

    @property
    def _subscriptions(self) -> AsyncCollection[_Document]:
        return self._of(self._opened)["subscriptions"]

    @property
    def _letters(self) -> MongoLetters:
        return MongoLetters(self._of(self._opened))

    @property
    def _opened(self) -> AsyncMongoClient[_Document]:
        assert self._client is not None, "the store is not open"
        return self._client

    def _of(self, client: AsyncMongoClient[_Document]) -> AsyncDatabase[_Document]:
        """The database, with the concerns that hold whatever the URI says."""
        return client.get_database(
            self._name,
            codec_options=OPTIONS,
            read_preference=ReadPreference.PRIMARY,
            write_concern=WriteConcern("majority", j=True),
            read_concern=ReadConcern("majority"),
        )


def _client(uri: str) -> AsyncMongoClient[_Document]:
    """A client whose every operation is bounded; no I/O yet."""
    try:
        return AsyncMongoClient(
            uri,
            appName="eventbus-state",
            maxPoolSize=_POOL_SIZE,
            retryReads=True,
            retryWrites=True,
            timeoutMS=round(_OPERATION_SECS * 1000),
            connectTimeoutMS=round(_GREETING_SECS * 1000),
        )
    except (ValueError, TypeError):  # the driver's word on a bad port, for one; it may quote a password
        raise ConfigurationError(INVALID_URI) from None


async def _greet(client: AsyncMongoClient[_Document]) -> None:
    with pymongo.timeout(_GREETING_SECS):
        hello = await client.admin.command("hello")
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        raise ConfigurationError(
            "state.type mongodb needs a replica set, and this MongoDB is a standalone server: "
            "start it with --replSet and run rs.initiate()"
        )


@contextmanager
def _operation() -> Iterator[None]:
    """Around every call of the driver: map its errors, and let it end by itself, which it soon does.

    Cancelling it would be worse than waiting for it. On Python 3.11 `asyncio.wait_for` leaves its task behind
    when it is cancelled twice, which anyio does; the driver waits for a server or a connection like that, and
    the task that is left behind then holds the lock of the whole client for ever.
    """
    with anyio.CancelScope(shield=True), errors_mapped():
        yield


async def _close(client: AsyncMongoClient[_Document]) -> None:
    """Shielded and bounded: a cancelled task closes its connections too, a dead server holds up nobody."""
    with anyio.move_on_after(2 * _CLOSE_SECS, shield=True), pymongo.timeout(_CLOSE_SECS):
        await client.close()
