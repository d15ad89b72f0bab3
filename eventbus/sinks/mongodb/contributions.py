"""Groups that are right whatever comes again: with each goes what it is made of, in one transaction.

Of every document, or event, it is kept what it contributes and the token of the change that said so. A change
takes the old contribution out and puts the new one in; a change whose token is before the kept one changes
nothing. So a batch that comes again, a replay, a snapshot and an owner who was shut out all find what is
there already.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

import anyio
from bson import SON
from pymongo import DeleteMany, ReadPreference, ReplaceOne, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from eventbus.sdk import DELIVERED, Fault, Message, Outcome, Rejected, Retry
from eventbus.sinks.mongodb.aggregation import INTERNAL, Aggregation, Change, GroupChange
from eventbus.sinks.mongodb.outcomes import outcome_of, outcome_of_write

__all__ = ["Contributions"]

_Document: TypeAlias = dict[str, Any]
_DURABLY: Final = WriteConcern("majority", j=True)
_UNKNOWN: Final = "UnknownTransactionCommitResult"
_DUPLICATE_KEY: Final = 11000
_FASTER: Final = Retry(Fault.UNAVAILABLE, "another writer was faster")
_SESSION: Final = "eventbus.session"
"""The document that names the session of whoever writes."""
_BY_GROUP: Final = "eventbus_group"
_BY_TIME: Final = "eventbus_until"
_ANEW: Final[Mapping[str, str]] = {"min": "$min", "max": "$max", "add_to_set": "$addToSet"}


class Contributions:
    """Writes the groups of one sink.

    Args:
        aggregation: What is counted.
        collection: The collection of a target, while the sink is open.
        keep_secs: How long it is kept of what counts no more, or for good, that it came.
    """

    def __init__(
        self,
        aggregation: Aggregation,
        collection: Callable[[str], AsyncCollection[_Document]],
        keep_secs: float,
    ) -> None:
        self._aggregation = aggregation
        self._collection = collection
        self._keep_secs = keep_secs
        self._ready: set[str] = set()
        self._session: AsyncClientSession | None = None
        self._turn = anyio.Lock()

    async def close(self) -> None:
        """Give the session up; nothing is under way any more."""
        session, self._session = self._session, None
        self._ready.clear()
        if session is not None:
            await session.end_session()

    async def send(self, target: str, messages: Sequence[Message]) -> Sequence[Outcome]:
        """One transaction for them all; if one of them is refused, they are parted to find out which."""
        try:
            await self._commit(target, messages)
        except PyMongoError as error:
            outcome = _outcome(error)
            if not isinstance(outcome, Rejected) or len(messages) == 1:
                return [outcome] * len(messages)
        else:
            return [DELIVERED] * len(messages)
        middle = len(messages) // 2
        first = await self.send(target, messages[:middle])
        return [*first, *await self.send(target, messages[middle:])]

    async def _commit(self, target: str, messages: Sequence[Message]) -> None:
        groups = self._collection(target)
        contributions = groups.database[self._aggregation.contributions or f"{groups.name}_contributions"]
        async with self._turn:
            if self._session is None:
                self._session = groups.database.client.start_session()
            session = self._session
            await self._prepare(target, contributions, session)
            try:
                await session.start_transaction(ReadConcern("snapshot"), _DURABLY, ReadPreference.PRIMARY)
                await self._write(session, groups, contributions, messages)
                await _committed(session)
            finally:
                if session.in_transaction:
                    with contextlib.suppress(PyMongoError):
                        await session.abort_transaction()

    async def _write(
        self,
        session: AsyncClientSession,
        groups: AsyncCollection[_Document],
        contributions: AsyncCollection[_Document],
        messages: Sequence[Message],
    ) -> None:
        identities = list({self._aggregation.identity(message.event) for message in messages})
        cursor = contributions.find({"_id": {"$in": identities}}, session=session)
        change = Change(self._aggregation, {entry["_id"]: entry async for entry in cursor})
        for message in messages:
            change.take(message.event, message.body)
        if not change.kept:
            return
        await contributions.bulk_write(
            [
                ReplaceOne({"_id": identity}, self._dated(entry), upsert=True)
                for identity, entry in change.kept.items()
            ],
            ordered=False,
            session=session,
        )
        updates: list[UpdateOne | DeleteMany] = []
        for group in change.groups:
            found = await self._anew(session, contributions, group) if group.lost else {}
            updates.append(UpdateOne({"_id": {"$eq": group.group}}, group.update(found), upsert=True))
        ids = [group.group for group in change.groups]
        updates.append(DeleteMany({"_id": {"$in": ids}, f"{INTERNAL}.count": {"$lte": 0}}))
        await groups.bulk_write(updates, session=session)

    def _dated(self, entry: Mapping[str, Any]) -> _Document:
        """What counts for ever as an event, or no more as a document, is forgotten one day."""
        if "group" in entry and self._aggregation.of_documents:
            return dict(entry)
        return {**entry, "until": datetime.now(UTC) + timedelta(seconds=self._keep_secs)}

    async def _anew(
        self, session: AsyncClientSession, contributions: AsyncCollection[_Document], change: GroupChange
    ) -> Mapping[str, Any]:
        """The values that cannot be had by subtracting, from what is kept of the whole group."""
        kinds = {name: change.kinds[name] for name in change.lost}
        fields = {name: {_ANEW[kind]: f"$values.{name}"} for name, kind in kinds.items()}
        stages: list[_Document] = [
            {"$match": {"group": {"$eq": change.group}}},
            {"$group": {"_id": None, **fields}},
        ]
        cursor = await contributions.aggregate(stages, session=session, hint=_BY_GROUP)
        found = await cursor.to_list()
        return {
            name: found[0][name] if found else ([] if kind == "add_to_set" else None)
            for name, kind in kinds.items()
        }

    async def _prepare(
        self, target: str, contributions: AsyncCollection[_Document], session: AsyncClientSession
    ) -> None:
        """Indexes; and an end to what a process that was killed left open, or it would last for a minute."""
        if target in self._ready:
            return
        left = await contributions.find_one_and_update(
            {"_id": _SESSION}, {"$set": {"session": session.session_id}}, upsert=True
        )
        if left is not None and left["session"] != session.session_id:
            await contributions.database.command({"killSessions": [left["session"]]})
        await contributions.create_index(SON(group=1), name=_BY_GROUP)
        await contributions.create_index(SON(until=1), name=_BY_TIME, expireAfterSeconds=0, sparse=True)
        self._ready.add(target)


async def _committed(session: AsyncClientSession) -> None:
    """Commit, and ask again where the answer was lost."""
    while True:
        try:
            await session.commit_transaction()
        except PyMongoError as error:
            if not error.has_error_label(_UNKNOWN) or error.timeout:
                raise
        else:
            return


def _outcome(error: PyMongoError) -> Outcome:
    if not isinstance(error, BulkWriteError):
        return outcome_of(error)
    failed = error.details["writeErrors"]
    if not failed:
        return Retry(Fault.UNAVAILABLE, "MongoDB: no majority has acknowledged the write")
    return _FASTER if failed[0]["code"] == _DUPLICATE_KEY else outcome_of_write(failed[0]["code"])
