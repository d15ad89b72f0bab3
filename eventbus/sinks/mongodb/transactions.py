"""Slices of a route that take effect together with its position, for ``delivery: exactly_once``.

A slice is one transaction, whose first write is the position, on the condition that the epoch is still ours
and the position the last one. So an owner that was shut out writes nothing; and one that shuts others out
waits, by the server's own locks, for what they have under way. A slice whose fate is unknown is known by its
position when it comes again; and a server that was restored is noticed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import anyio
import pymongo
from bson import Binary
from pymongo import AsyncMongoClient, InsertOne, ReadPreference, ReplaceOne, ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from eventbus.sdk import (
    DELIVERED,
    Commit,
    ConfigurationError,
    Delivered,
    Fault,
    LeaseLost,
    Message,
    Refused,
    Rejected,
    Retry,
    Unreachable,
)
from eventbus.sinks.mongodb.outcomes import outcome_of, outcome_of_write, reason_of
from eventbus.sinks.mongodb.writes import Write

__all__ = ["MongoTransactions"]

_Document: TypeAlias = dict[str, Any]
_Part: TypeAlias = tuple[AsyncCollection[_Document], Mapping[int, Write]]
"""A collection, and what is written there by the index of its message."""
_DURABLY: Final = WriteConcern("majority", j=True)
_UNKNOWN: Final = "UnknownTransactionCommitResult"


class MongoTransactions:
    """Those of one route.

    Args:
        positions: The collection of positions, while the sink is open.
        route: Names the route there.
        writes: What is to be written for messages: by target, and then by the index of the message.
        prepared: The collection of a target, with what it needs outside of any transaction.
        timeout_secs: How long a call may take.
    """

    def __init__(
        self,
        positions: Callable[[], AsyncCollection[_Document]],
        route: str,
        writes: Callable[[Sequence[Message]], Mapping[str, Mapping[int, Write]]],
        prepared: Callable[[str], Awaitable[AsyncCollection[_Document]]],
        timeout_secs: float,
    ) -> None:
        self._positions = positions
        self._route = route
        self._writes = writes
        self._prepared = prepared
        self._timeout_secs = timeout_secs
        self._epoch = 0
        self._position: bytes | None = None
        self._session: AsyncClientSession | None = None

    async def claim(self, epoch: int) -> bytes | None:
        """See `eventbus.sdk.Transactions`."""
        with anyio.CancelScope(shield=True), pymongo.timeout(self._timeout_secs):
            try:
                await self._check_deployment()
                session = self._own_session()
                await self._end_open_transaction(epoch, session.session_id)
                document = await self._positions().find_one_and_update(
                    {"_id": self._route, "epoch": {"$lte": epoch}},
                    {"$set": {"epoch": epoch, "session": session.session_id}},
                    upsert=True,
                    return_document=ReturnDocument.AFTER,
                )
            except DuplicateKeyError:
                raise self._lost() from None
            except PyMongoError as error:
                raise Unreachable(reason_of(error)) from error
        self._epoch = epoch
        self._position = _position(document)
        return self._position

    async def commit(self, messages: Sequence[Message], position: bytes) -> Commit:
        """See `eventbus.sdk.Transactions`."""
        with anyio.CancelScope(shield=True), pymongo.timeout(self._timeout_secs):
            try:
                parts = [
                    (await self._prepared(target), _repeatable(messages, writes))
                    for target, writes in self._writes(messages).items()
                ]
                committed = await self._try(self._own_session(), parts, position)
                if isinstance(committed, Delivered):
                    self._position = position
            except PyMongoError as error:
                outcome = outcome_of(error)
                committed = (
                    outcome if isinstance(outcome, Retry) else Retry(Fault.UNAVAILABLE, reason_of(error))
                )
        return committed

    async def close(self) -> None:
        """See `eventbus.sdk.Transactions`; all else belongs to the sink."""
        session, self._session = self._session, None
        if session is not None:
            with anyio.CancelScope(shield=True), pymongo.timeout(self._timeout_secs):
                await session.end_session()

    def _own_session(self) -> AsyncClientSession:
        """One for all transactions, so that whoever comes next can end what it leaves open."""
        if self._session is None:
            self._session = self._client().start_session()
        return self._session

    async def _end_open_transaction(self, epoch: int, own: Mapping[str, Any]) -> None:
        """That of an owner who was killed inside of it: it would hold the position for a minute."""
        document = await self._positions().find_one({"_id": self._route, "epoch": {"$lte": epoch}})
        left = (document or {}).get("session")
        if left is not None and left != own:
            await self._positions().database.command({"killSessions": [left]})

    async def _try(self, session: AsyncClientSession, parts: Sequence[_Part], position: bytes) -> Commit:
        try:
            return await self._tried(session, parts, position)
        finally:
            if session.in_transaction:
                with contextlib.suppress(PyMongoError):
                    await session.abort_transaction()

    async def _tried(self, session: AsyncClientSession, parts: Sequence[_Part], position: bytes) -> Commit:
        await session.start_transaction(ReadConcern("snapshot"), _DURABLY, ReadPreference.PRIMARY)
        moved = await self._positions().update_one(
            {"_id": self._route, "epoch": self._epoch, "position": self._last()},
            {"$set": {"position": Binary(position)}},
            session=session,
        )
        if not moved.matched_count:
            await session.abort_transaction()
            return await self._why_not(position)
        refused = await self._write_all(session, parts)
        if refused is not None:
            await session.abort_transaction()
            return refused
        while True:
            try:
                await session.commit_transaction()
            except PyMongoError as error:
                if not error.has_error_label(_UNKNOWN) or error.timeout:
                    raise
            else:
                return DELIVERED

    async def _why_not(self, position: bytes) -> Commit:
        """The position is there already, or is not ours any more."""
        committed = self._positions().with_options(read_concern=ReadConcern("majority"))
        document = await committed.find_one({"_id": self._route})
        if document is None or document["epoch"] != self._epoch:
            raise self._lost()
        if _position(document) == position:
            return DELIVERED
        if _position(document) == self._position:
            return Retry(Fault.UNAVAILABLE, "MongoDB: the position changed meanwhile")
        where = self._positions().full_name
        raise LeaseLost(f"{self._route} in {where} is not as it was left: MongoDB was restored")

    def _last(self) -> Binary | None:
        """The position that the next one follows."""
        return Binary(self._position) if self._position is not None else None

    async def _write_all(self, session: AsyncClientSession, parts: Sequence[_Part]) -> Refused | None:
        """Write them in order; what is refused, if anything is."""
        for collection, writes in parts:
            indices = list(writes)
            try:
                await collection.bulk_write(list(writes.values()), session=session)
            except BulkWriteError as error:
                failed = error.details["writeErrors"]
                if not failed:
                    raise
                outcome = outcome_of_write(failed[0]["code"])
                if isinstance(outcome, Retry) and outcome.fault is not Fault.FAILED:
                    raise OperationFailure(outcome.reason, failed[0]["code"]) from None
                return Refused({indices[failed[0]["index"]]: outcome})
            except PyMongoError as error:
                outcome_of_all = outcome_of(error)
                if isinstance(outcome_of_all, Rejected) and len(indices) == 1:
                    return Refused({indices[0]: outcome_of_all})
                raise
        return None

    async def _check_deployment(self) -> None:
        hello = await self._client().admin.command("hello")
        if "setName" not in hello and hello.get("msg") != "isdbgrid":
            raise ConfigurationError("exactly_once needs transactions, which a standalone MongoDB has not")

    def _client(self) -> AsyncMongoClient[_Document]:
        return self._positions().database.client

    def _lost(self) -> LeaseLost:
        return LeaseLost(f"{self._route} was claimed by another owner, in {self._positions().full_name}")


def _position(document: Mapping[str, Any] | None) -> bytes | None:
    position = (document or {}).get("position")
    return bytes(position) if position is not None else None


def _repeatable(messages: Sequence[Message], writes: Mapping[int, Write]) -> Mapping[int, Write]:
    """In a transaction a document that is there already would be an error, and everything in vain."""
    return {
        index: ReplaceOne({"_id": messages[index].event.id}, write._doc, upsert=True)  # noqa: SLF001 - it has no accessor
        if isinstance(write, InsertOne)
        else write
        for index, write in writes.items()
    }
