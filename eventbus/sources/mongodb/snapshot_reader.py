"""Reads a change stream, and beside it the documents that are there already.

Where documents go among the changes is decided in `splice`, which are next in `reads`, how many at once in
`pace`; here it is done. A failure to read documents never holds up the changes: there will be another place.

It gives no document at a place among the changes that is past already when it is opened. Up to there an
earlier reader may have given every change, before a crash that took the position back: a document from in
between is an older state than the sink has, and one that knows those changes by their ids would keep it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any, Final

import anyio
import structlog
from pymongo import AsyncMongoClient
from pymongo.errors import InvalidOperation, PyMongoError

from eventbus.core.backoff import Backoff
from eventbus.model import Batch, ClusterTime, Position, Snapshot
from eventbus.sources.mongodb.documents import Chunk, DocumentQueries, chunks_of, keys_of
from eventbus.sources.mongodb.errors import failure_of
from eventbus.sources.mongodb.inventory import Inventory
from eventbus.sources.mongodb.options import SnapshotOptions
from eventbus.sources.mongodb.pace import Pace
from eventbus.sources.mongodb.reader import MongoReader
from eventbus.sources.mongodb.reads import Reads
from eventbus.sources.mongodb.renames import Rename, renames
from eventbus.sources.mongodb.reply import Reply
from eventbus.sources.mongodb.scope import Scope
from eventbus.sources.mongodb.splice import Splice, splice_of, spliced, unspliced
from eventbus.sources.mongodb.stream import StreamSpec
from eventbus.telemetry import metrics

__all__ = ["SnapshotReader"]

_IDLE_POLL_MS: Final = 20
"""A place for documents comes with the end of a poll; while nothing changes, polls end soon."""
_MOST_COLLECTIONS: Final = 50
"""So many empty collections are passed at one place of the stream, so that changes need not wait for more."""
_LISTED_ANEW_SECS: Final = 10.0
_FIRST_RETRY_SECS: Final = 0.1
_LONGEST_RETRY_SECS: Final = 10.0
_PATIENCE_SECS: Final = 5.0
"""Some failures pass with the next place of the stream, such as a collection made a moment ago."""
_NOT_NOW: Final = {
    72: "the server's clock is behind the stream (InvalidOptions, 72)",
    239: "the stream is further behind than the server keeps what documents were (SnapshotTooOld, 239)",
    246: "the server does not know what the collection was (SnapshotUnavailable, 246)",
}

log = structlog.get_logger("eventbus.source")


class SnapshotReader:
    """A `Reader` of a change stream and of documents.

    Args:
        client: The client to read with.
        spec: The stream.
        subscription: Name of the subscription, for logs and metrics.
        start: Everything up to here was read before; it says how far the snapshot has come.
        inventory: The collections that there are.
        options: How to read documents.
    """

    def __init__(
        self,
        client: AsyncMongoClient[Any],
        spec: StreamSpec,
        subscription: str,
        start: Position,
        inventory: Inventory,
        options: SnapshotOptions,
    ) -> None:
        assert start.snapshot is not None
        self._snapshot: Snapshot = start.snapshot
        self._scope = Scope.of(start.snapshot.scope)
        self._subscription = subscription
        self._stream = MongoReader(client, spec, subscription, start)
        self._queries = DocumentQueries(client, spec, self._scope.match)
        self._inventory = inventory
        self._namespaces: Sequence[str] = ()
        self._listed_at = -inf
        self._pace = Pace(options)
        self._trouble = _Trouble(subscription)
        self._present: ClusterTime | None = None
        """What time it was before the first document was read."""
        self._position = start
        self._batch: Batch | None = None
        """What the stream returned and `next` has not, for it was cancelled in between."""
        self._closed = False
        self._reading: anyio.CancelScope | None = None

    @property
    def trouble(self) -> str | None:
        """Why it cannot read at the moment; see `eventbus.sdk.Reader`."""
        return self._stream.trouble or self._trouble.said

    async def next(self) -> Batch | None:
        """Wait for changes and documents, and return what came; see `eventbus.sdk.Reader`."""
        if self._batch is None:
            self._stream.wait_at_most_ms = self._wait_ms(anyio.current_time())
            self._batch = await self._stream.next()
        if self._closed or self._batch is None:
            return None
        renamed = [] if self._snapshot.is_finished else renames(self._batch)
        if renamed:
            self._listed_at = -inf
        batch = await self._with_documents(self._batch)
        if batch is None:
            return None
        assert batch.end.snapshot is not None
        self._batch, self._position, self._snapshot = None, batch.end, batch.end.snapshot
        self._tell_missed(renamed)
        return batch

    async def close(self) -> None:
        """Stop soon; see `eventbus.sdk.Reader`."""
        self._closed = True
        if self._reading is not None:
            self._reading.cancel()
        await self._stream.close()

    def _tell_missed(self, renamed: Sequence[Rename]) -> None:
        """Say which documents it will not come by: they were ahead, and have a name that lies behind now."""
        for rename in renamed:
            if rename.to <= self._snapshot.collection <= rename.namespace:
                log.warning(
                    "snapshot_missed_renamed",
                    subscription=self._subscription,
                    namespace=rename.namespace,
                    to=rename.to,
                )

    def _wait_ms(self, now: float) -> int | None:
        """How long the stream may wait for changes: no longer than documents must wait."""
        if self._snapshot.is_finished:
            return None
        wait_secs = max(self._pace.wait_secs(now), self._trouble.wait_secs(now))
        return max(_IDLE_POLL_MS, int(wait_secs * 1000))

    async def _with_documents(self, batch: Batch) -> Batch | None:
        """The batch with what can be read beside it; None if the reader was closed meanwhile."""
        splice = splice_of(self._position, batch, is_idle=self._stream.is_idle)
        reads = None
        if splice is not None and self._may_read(splice):
            with anyio.CancelScope() as self._reading:
                reads = await self._try_read(splice)
            was_closed, self._reading = self._reading.cancel_called, None
            if was_closed:
                return None
        if splice is None or reads is None or reads.snapshot == self._snapshot:
            return unspliced(batch, self._position, self._snapshot)
        metrics.snapshot_read(self._subscription, reads.snapshot.read - self._snapshot.read, reads.chunks)
        return spliced(batch, splice, self._snapshot, reads.events, reads.snapshot)

    def _may_read(self, splice: Splice) -> bool:
        now = anyio.current_time()
        return not (
            self._snapshot.is_finished
            or self._pace.wait_secs(now)
            or self._trouble.wait_secs(now)
            or self._pace.is_behind(splice.as_of, self._stream.server_time)
        )

    async def _try_read(self, splice: Splice) -> Reads | None:
        reads = Reads(splice.place, self._snapshot)
        try:
            if await self._is_past(splice.as_of):
                return None
            await self._read(reads, splice.as_of)
        except InvalidOperation:  # the client was closed under us: no failure of the server
            raise
        except PyMongoError as error:
            self._trouble.met(error, anyio.current_time())
            self._listed_at = -inf
            return None
        self._trouble.overcome()
        return reads

    async def _is_past(self, as_of: ClusterTime) -> bool:
        """Whether changes beyond a time may have been given by an earlier reader."""
        if self._present is None:
            self._present = await self._queries.present()
        return as_of < self._present

    async def _read(self, reads: Reads, as_of: ClusterTime) -> None:
        """Read the next documents, and go on to the next collection where one has no more."""
        more = reads.begin(await self._listed())
        for _ in range(_MOST_COLLECTIONS):
            if not more or not await self._read_collection(reads, as_of):
                return
            more = reads.end_collection(await self._listed())
            self._pace.begin_collection()
            if self._pace.wait_secs(anyio.current_time()):
                return

    async def _read_collection(self, reads: Reads, as_of: ClusterTime) -> bool:
        """Read the next documents of a collection. Returns whether it has no more."""
        now, wanted = reads.snapshot, self._pace.round
        found = await self._queries.keys(now.collection, now.after, wanted, as_of)
        keys = keys_of(found)
        chunks = chunks_of(now.collection, now.after, keys, self._pace.chunk)
        replies = await self._read_chunks(chunks, as_of)
        is_whole = all(reads.add(*pair) for pair in zip(chunks, replies, strict=True))
        self._pace.read(reads.snapshot.read - now.read, reads.size, anyio.current_time())
        return is_whole and len(keys) < wanted and not found.cursor_id

    async def _read_chunks(self, chunks: Sequence[Chunk], as_of: ClusterTime) -> list[Reply]:
        """All of them at the same time."""
        found: list[Reply | PyMongoError | None] = [None] * len(chunks)

        async def read(number: int, chunk: Chunk) -> None:
            try:
                found[number] = await self._queries.documents(chunk, as_of)
            except PyMongoError as error:
                found[number] = error

        async with anyio.create_task_group() as tasks:
            for number, chunk in enumerate(chunks):
                tasks.start_soon(read, number, chunk)
        return [_reply(one) for one in found]

    async def _listed(self) -> Sequence[str]:
        """The collections to read; they come and go."""
        now = anyio.current_time()
        if now - self._listed_at >= _LISTED_ANEW_SECS:
            found = await self._inventory.found()
            self._namespaces = self._scope.of_these([one.namespace for one in found if not one.what])
            self._listed_at = now
        return self._namespaces


def _reply(found: Reply | PyMongoError | None) -> Reply:
    if isinstance(found, PyMongoError):
        raise found
    assert found is not None
    return found


class _Trouble:
    """Why documents cannot be read: when to try again, and one line for each change of state."""

    def __init__(self, subscription: str) -> None:
        self.said: str | None = None
        """For people; None while it is nothing, or may pass by itself."""
        self._log = log.bind(subscription=subscription)
        self._backoff = Backoff(_FIRST_RETRY_SECS, _LONGEST_RETRY_SECS)
        self._since: float | None = None
        self._retry_at = -inf

    def wait_secs(self, now: float) -> float:
        """How long not to try again."""
        return max(0.0, self._retry_at - now)

    def met(self, error: PyMongoError, now: float) -> None:
        """Reading documents failed."""
        self._since = now if self._since is None else self._since
        self._retry_at = now + self._backoff.next()
        failure = failure_of(error)
        reason = _NOT_NOW.get(failure.code or 0, failure.reason)
        if now - self._since >= _PATIENCE_SECS:
            if self.said is None:
                self._log.warning("snapshot_interrupted", code=failure.code, reason=reason)
            self.said = f"cannot read documents: {reason}"

    def overcome(self) -> None:
        """Documents were read."""
        if self.said is not None:
            self._log.info("snapshot_resumed")
        self.said = self._since = None
        self._backoff.reset()
