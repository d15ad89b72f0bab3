"""Reads one change stream for as long as it is wanted, whatever happens to the server in between.

What to do about each page and each failure is decided in `course`; here it is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import anyio
import structlog
from pymongo import AsyncMongoClient
from pymongo.errors import InvalidOperation, PyMongoError

from eventbus.core.backoff import Backoff
from eventbus.model import Batch, ClusterTime, Parked, Position, PositionKind
from eventbus.sources.mongodb.changes import ChangeDecoder
from eventbus.sources.mongodb.course import Course, Reading
from eventbus.sources.mongodb.cursor import ServerCursor, can_split
from eventbus.sources.mongodb.errors import Failure, Reaction, failure_of
from eventbus.sources.mongodb.lookups import looked_up
from eventbus.sources.mongodb.reply import Reply
from eventbus.sources.mongodb.stream import StreamSpec
from eventbus.sources.mongodb.tokens import position_of
from eventbus.telemetry import metrics, progress

__all__ = ["MongoReader"]

_SHORTEST_WAIT_MS: Final = 500
_LONGEST_WAIT_MS: Final = 10_000
_FIRST_RETRY_SECS: Final = 0.1
_LONGEST_RETRY_SECS: Final = 10.0
_SILENT_SECS: Final = 60.0
"""So long an answer may take before it is told: a server may look through hours of unwanted changes."""
_INVALIDATED: Final = "invalidate"

log = structlog.get_logger("eventbus.source")


class MongoReader:
    """A `Reader` of a change stream.

    Args:
        client: The client to read with.
        spec: The stream.
        subscription: Name of the subscription, for logs and metrics.
        start: Everything up to here was read before.
    """

    def __init__(
        self, client: AsyncMongoClient[Any], spec: StreamSpec, subscription: str, start: Position
    ) -> None:
        self._client = client
        self._spec = spec
        self._subscription = subscription
        self.wait_at_most_ms: int | None = None
        """How long a poll may wait for a first change; None for as long as it likes."""
        self.server_time: ClusterTime | None = None
        """How far the server's own clock of operations was at the last poll."""
        self.is_idle = False
        """Whether the last poll brought nothing, not even a part of a change."""
        self._course = Course(start)
        self._decoder = ChangeDecoder(delta=spec.delta)
        self._cursor: ServerCursor | None = None
        self._left: ServerCursor | None = None
        """The cursor before, which the server may hold still."""
        self._closed = False
        self._waiting: anyio.CancelScope | None = None
        self._asked_at: float | None = None
        """Since when the server owes an answer."""
        self._wait_ms = _SHORTEST_WAIT_MS
        self._trouble = _Trouble(subscription)

    @property
    def trouble(self) -> str | None:
        """Why it cannot read at the moment; see `eventbus.sdk.Reader`."""
        silent_secs = anyio.current_time() - self._asked_at if self._asked_at is not None else 0.0
        if silent_secs > _SILENT_SECS and self._trouble.said is None:
            return f"the server has not answered for {silent_secs:.0f} s: it looks for changes, or is frozen"
        return self._trouble.said

    async def next(self) -> Batch | None:
        """Wait for changes and return what came; see `eventbus.sdk.Reader`."""
        try:
            while not self._closed:
                with anyio.CancelScope() as self._waiting:
                    batch = await self._try_next()
                    if batch is not None:
                        return batch
        except BaseException:
            await self._release()
            raise
        finally:
            self._waiting = None
        await self._release()
        return None

    async def close(self) -> None:
        """Stop soon; see `eventbus.sdk.Reader`.

        The server does not answer a waiting ``getMore`` sooner because its cursor was killed (measured on
        6.0), so the wait for the answer is given up here too.
        """
        if self._closed:
            return
        self._closed = True
        with anyio.CancelScope(shield=True):
            if self._cursor is not None:
                await self._cursor.kill()
        if self._waiting is not None:
            self._waiting.cancel()
        else:
            await self._release()

    async def _try_next(self) -> Batch | None:
        """One poll; None if it brought nothing but a reason to try again."""
        try:
            with self._owed():
                cursor = self._cursor or await self._open()
                wait_ms = min(self._wait_ms, self.wait_at_most_ms or self._wait_ms, self._longest_wait_ms())
                reply = await cursor.more(batch_size=self._course.batch_size, wait_ms=wait_ms)
        except InvalidOperation:  # the client was closed under us: no failure of the server
            raise
        except PyMongoError as error:
            if not self._closed:
                await self._recover(failure_of(error))
            return None
        return self._take(reply)

    @contextmanager
    def _owed(self) -> Iterator[None]:
        """The server is being asked. However long that takes, no restart of ours would make it faster."""
        self._asked_at = anyio.current_time()
        progress.resting()
        try:
            yield
        finally:
            self._asked_at = None
            progress.expected(_LONGEST_RETRY_SECS)

    async def _open(self) -> ServerCursor:
        start = self._course.start()
        stages = self._spec.stages(
            beyond=start.beyond,
            splits=await can_split(self._client),
            identity_only=self._course.reading is Reading.IDENTITY,
        )
        self._cursor = await ServerCursor.open(self._client, self._spec, stages, start.option)
        self._course.check_clock(self._cursor.opened.operation_time)
        self._trouble.reopened()
        log.debug("stream_opened", subscription=self._subscription, start=next(iter(start.option)))
        if self._left is not None:
            await self._left.close()
            self._left = None
        return self._cursor

    def _take(self, reply: Reply) -> Batch:
        """Make a batch of a reply. Nothing awaits here, so that no cancellation can lose what was read."""
        self.server_time, self.is_idle = reply.operation_time, reply.is_empty
        reading = self._course.reading
        position = self._course.position
        end = position_of(reply.token, PositionKind.IDLE) if reply.token else position
        closed = not reply.cursor_id
        batch = self._course.advance(
            self._decoder.events(reply), end, in_fragments=self._decoder.in_fragments, closed=closed
        )
        self._trouble.overcome()
        if closed:
            self._trouble.invalidated()
        if closed or reading is Reading.IDENTITY:
            self._leave_cursor()
        for slot in batch.slots[:1]:
            if isinstance(slot, Parked):
                self._trouble.parked(slot)
        self._wait_ms = _SHORTEST_WAIT_MS if batch.slots else min(2 * self._wait_ms, _LONGEST_WAIT_MS)
        if self._spec.lookup_missing is not None:
            return looked_up(batch, self._spec.lookup_missing, self._subscription)
        return batch

    def _longest_wait_ms(self) -> int:
        """Less than after what the driver takes a silent server for a dead one."""
        socket_timeout = self._client.options.pool_options.socket_timeout
        return min(_LONGEST_WAIT_MS, int(socket_timeout * 500)) if socket_timeout else _LONGEST_WAIT_MS

    async def _recover(self, failure: Failure) -> None:
        self._leave_cursor()
        self._course.fail(failure)
        await anyio.sleep(self._trouble.met(failure))

    def _leave_cursor(self) -> None:
        """Go on with another cursor. This one is closed when there is one, for only then a server answers."""
        self._decoder.forget()
        self._left = self._cursor or self._left
        self._cursor = None

    async def _release(self) -> None:
        """Leave nothing behind, in bounded time, even when cancelled. A further `next` opens anew."""
        cursors = [cursor for cursor in (self._cursor, self._left) if cursor is not None]
        self._cursor = self._left = None
        with anyio.CancelScope(shield=True):
            for cursor in cursors:
                await cursor.close()


class _Trouble:
    """What went wrong since the last good poll: how long to wait, and one line for each change of state."""

    def __init__(self, subscription: str) -> None:
        self._subscription = subscription
        self._log = log.bind(subscription=subscription)
        self._backoff = Backoff(_FIRST_RETRY_SECS, _LONGEST_RETRY_SECS)
        self._reason: str | None = None
        self._last: Failure | None = None
        self._attempts = 0
        self._since = 0.0

    @property
    def said(self) -> str | None:
        """What the last failure was; None since a poll succeeded."""
        if self._last is None or self._last.reaction is Reaction.OVERSIZE:
            return None
        return f"cannot read: {self._last.reason}"

    def met(self, failure: Failure) -> float:
        """Note a failure, and say how many seconds to wait before trying again."""
        new = self._last is None or self._last.code != failure.code
        if self._last is None:
            self._since = anyio.current_time()
        self._last = failure
        self._reason = failure.reaction.value
        self._attempts += 1
        if new and failure.reaction is Reaction.RESUME:
            known = {} if failure.known else {"unknown_error": failure.said}
            self._log.warning("stream_interrupted", code=failure.code, reason=failure.reason, **known)
        if self._attempts == 1 and failure.reaction is not Reaction.RESUME:
            return 0.0
        return self._backoff.next()

    def invalidated(self) -> None:
        """The server closed the stream, because what it reads was dropped or renamed."""
        self._reason = _INVALIDATED
        self._log.info("stream_invalidated")

    def parked(self, slot: Parked) -> None:
        """A change was parked by its identity."""
        event = slot.event
        self._log.warning(
            "change_parked",
            database=event.database,
            collection=event.collection,
            operation=event.operation,
            event_id=event.id,
            reason=slot.reason,
        )

    def reopened(self) -> None:
        """A stream is open again; the first opening has no reason and does not count."""
        if self._reason is not None:
            metrics.reader_reopened(self._subscription, self._reason)
            self._reason = None

    def overcome(self) -> None:
        """A poll succeeded."""
        failure, attempts = self._last, self._attempts
        self._last = None
        self._attempts = 0
        self._backoff.reset()
        if failure is not None and failure.reaction is not Reaction.OVERSIZE:
            metrics.reader_recovered(self._subscription, anyio.current_time() - self._since)
            self._log.info(
                "stream_resumed",
                reaction=failure.reaction.value,
                code=failure.code,
                reason=failure.reason,
                attempts=attempts,
            )
