"""Makes the shop's changes happen in a real MongoDB, and writes every one of them down.

Each write is conditional on the document's rev before it, so it can be tried again after any error without
happening twice, and an error whose outcome is unknown is resolved by looking. What the ledger calls committed
was acknowledged by a majority; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import anyio
import pymongo
from pymongo import AsyncMongoClient, ReadPreference, WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConnectionFailure, DuplicateKeyError, PyMongoError, WriteConcernError
from pymongo.read_concern import ReadConcern

from eventbus.demo.ledger import LAST_REV, Change, Ledger, canonical_id
from eventbus.demo.shop import COLLECTIONS, Shop, Step, Write

__all__ = ["Workload"]

_Database: TypeAlias = AsyncDatabase[dict[str, Any]]

_UNKNOWN_RESULT: Final = "UnknownTransactionCommitResult"
_PASSING_LABELS: Final = ("RetryableWriteError", "TransientTransactionError", _UNKNOWN_RESULT)
_RETRY_SECS: Final = 0.1
_ANSWER_SECS: Final = 5.0
_ABORT_SECS: Final = 2.0
_CATCHING_UP_SECS: Final = 0.5
"""How much of a delay is made up for by going faster than the rate."""


class Workload:
    """Several shops at work at once.

    Args:
        client: Of the MongoDB to write to.
        database: The database to write to; the ids of one seed must not be in it yet.
        ledger: Where every change is written down.
        rate: Changes a second of all shops together; None for as fast as it goes. It may be set anew at
            any time.
        shops: How many write at once.
        seed: What happens is the same for the same seed.
        hot_share: Share of the steps that go to one product of each shop.
        patience_secs: How long a write is tried again while the server is away.
    """

    def __init__(
        self,
        client: AsyncMongoClient[dict[str, Any]],
        database: str,
        ledger: Ledger,
        *,
        rate: float | None = None,
        shops: int = 4,
        seed: int = 0,
        hot_share: float = 0.2,
        patience_secs: float = 60.0,
    ) -> None:
        self.rate = rate
        self._client = client
        self._database: _Database = client.get_database(
            database,
            write_concern=WriteConcern(w="majority", j=True),
            read_concern=ReadConcern("majority"),
            read_preference=ReadPreference.PRIMARY,
        )
        self._ledger = ledger
        self._shops = [Shop(seed, number, hot_share=hot_share) for number in range(shops)]
        self._patience_secs = patience_secs
        self._answer_secs = min(_ANSWER_SECS, patience_secs)
        self._wanted: int | None = None
        self._made = 0
        self._due = 0.0
        self._stopping = anyio.Event()

    async def prepare(self, *, images: bool = True) -> None:
        """Make the collections.

        Args:
            images: Whether MongoDB keeps each document from before and after a change.
        """
        for name in COLLECTIONS:
            await self._database.create_collection(name, changeStreamPreAndPostImages={"enabled": images})

    async def run(self, *, changes: int | None = None, seconds: float | None = None) -> None:
        """Work until enough is done, the time is over or `stop` is called; then finish what is begun.

        Args:
            changes: End when this call has made so many changes; transactions may bring a few more.
            seconds: End after so long.

        Raises:
            ExceptionGroup: Of PyMongoError: a write was refused, or the server stayed away for longer than
                the patience.
        """
        self._wanted, self._made = changes, 0
        self._stopping = anyio.Event()
        self._due = anyio.current_time()
        async with anyio.create_task_group() as clock:
            clock.start_soon(self._stop_after, seconds)
            async with anyio.create_task_group() as writers:
                for shop in self._shops:
                    writers.start_soon(self._keep_writing, shop)
            clock.cancel_scope.cancel()

    def stop(self) -> None:
        """Begin nothing more; `run` returns once the writes under way are done."""
        self._stopping.set()

    async def _stop_after(self, seconds: float | None) -> None:
        if seconds is not None:
            await anyio.sleep(seconds)
            self.stop()

    async def _keep_writing(self, shop: Shop) -> None:
        while not self._is_enough():
            with anyio.CancelScope(deadline=self._take_turn(anyio.current_time())):
                await self._stopping.wait()
            if self._is_enough():
                return
            step = shop.next_step()
            self._charge(len(step))
            await self._commit(step)

    def _is_enough(self) -> bool:
        return self._stopping.is_set() or (self._wanted is not None and self._made >= self._wanted)

    def _take_turn(self, now: float) -> float:
        """When the next step of all shops is due; it reserves the time of one write."""
        due = max(self._due, now - _CATCHING_UP_SECS)
        self._due = due + 1 / self.rate if self.rate else now
        return due

    def _charge(self, writes: int) -> None:
        """Count a step, and put off later ones by what it has beyond the one write that was reserved."""
        self._made += writes
        if self.rate:
            self._due += (writes - 1) / self.rate

    async def _commit(self, step: Step) -> None:
        """Make a step happen exactly once, and write it down."""
        changes = [self._change(write) for write in step]
        self._ledger.begin(changes)
        deadline = anyio.current_time() + self._patience_secs
        error = await self._attempt(step)
        while error is not None and not await self._is_applied(step):
            if anyio.current_time() > deadline:
                raise ConnectionFailure(f"MongoDB took no write for {self._patience_secs:g} s: {error}")
            await anyio.sleep(_RETRY_SECS)
            error = await self._attempt(step, again=True)
        self._ledger.commit(changes)

    async def _attempt(self, step: Step, *, again: bool = False) -> Exception | None:
        """Try once, and be cancelled only afterwards: a transaction left open holds its locks for a minute.

        Returns:
            None if it is committed; an error if nobody knows.
        """
        try:
            with anyio.CancelScope(shield=True):
                await (self._write(step[0]) if len(step) == 1 else self._transact(step))
        except (PyMongoError, _OutOfTurn) as error:
            if not _leaves_doubt(error, again=again):
                raise
            return error
        return None

    async def _transact(self, step: Step) -> None:
        async with self._client.start_session() as session:
            await session.start_transaction()
            try:
                for write in step:
                    await self._write(write, session)
                await _commit_transaction(session)
            finally:
                if session.in_transaction:
                    with pymongo.timeout(_ABORT_SECS):
                        await session.abort_transaction()

    async def _write(self, write: Write, session: AsyncClientSession | None = None) -> None:
        collection = self._database[write.collection]
        before = {"_id": write.document_id, "rev": write.rev - 1}
        found = 1
        with pymongo.timeout(self._answer_secs):
            match write.operation:
                case "insert":
                    await collection.insert_one(dict(write.document), session=session)
                case "update":
                    found = (
                        await collection.update_one(before, _update(write), session=session)
                    ).matched_count
                case "replace":
                    found = (
                        await collection.replace_one(before, write.document, session=session)
                    ).matched_count
                case _:
                    found = (await collection.delete_one(before, session=session)).deleted_count
        if found != 1:
            raise _OutOfTurn(f"{write.collection} {write.document_id} is not at rev {write.rev - 1}")

    async def _is_applied(self, step: Step) -> bool:
        """Look whether a step is committed. Its last write tells, for a step happens as a whole."""
        last = step[-1]
        collection = self._database[last.collection]
        try:
            with anyio.CancelScope(shield=True), pymongo.timeout(self._answer_secs):
                document = await collection.find_one({"_id": last.document_id}, {"rev": 1})
        except PyMongoError as error:
            if not _leaves_doubt(error, again=True):
                raise
            return False
        if last.operation == "delete":
            return document is None
        return document is not None and document["rev"] == last.rev

    def _change(self, write: Write) -> Change:
        rev = LAST_REV if write.operation == "delete" else write.rev
        identity = canonical_id(write.document_id)
        return Change(self._database.name, write.collection, identity, write.operation, rev)


async def _commit_transaction(session: AsyncClientSession) -> None:
    """Commit; an unknown result is asked for again, since an open transaction would be in its own way."""
    deadline = anyio.current_time() + _ANSWER_SECS
    while True:
        try:
            with pymongo.timeout(_ANSWER_SECS):
                return await session.commit_transaction()
        except PyMongoError as error:
            if not error.has_error_label(_UNKNOWN_RESULT) or anyio.current_time() > deadline:
                raise
        await anyio.sleep(_RETRY_SECS)


class _OutOfTurn(Exception):
    """The document is not as its shop left it: after an error, because the write has happened already."""


def _leaves_doubt(error: Exception, *, again: bool) -> bool:
    """Whether, after this error, the write may or may not have happened."""
    if isinstance(error, _OutOfTurn | DuplicateKeyError):
        return again
    if isinstance(error, ConnectionFailure | WriteConcernError):
        return True
    if not isinstance(error, PyMongoError):
        return False
    return error.timeout or any(map(error.has_error_label, _PASSING_LABELS))


def _update(write: Write) -> dict[str, Any]:
    update: dict[str, Any] = {"$set": dict(write.changed)}
    if write.removed:
        update["$unset"] = _unset(write.removed)
    return update


def _unset(paths: Sequence[str]) -> dict[str, str]:
    return dict.fromkeys(paths, "")
