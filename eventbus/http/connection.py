"""One connection to a web server: a request goes out, a reply comes in, and so on while both sides like it.

It knows HTTP and time, and nothing of events. The bytes are parsed by llhttp, through httptools.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from eventbus.http.faults import NoReply, lost, not_http, silent

__all__ = ["Connection", "Patience", "Reply"]

_CONTENT_KEPT_BYTES: Final = 16 << 10
_CONTENT_PATIENCE_SECS: Final = 1.0
_LONGEST_HEAD_BYTES: Final = 64 << 10
_PIECE_BYTES: Final = 256 << 10
"""A large body goes out in pieces, so that the loop goes on in between."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the phases of one attempt may take, in seconds.

    Args:
        total: All of it, from resolving the name to the end of the reply.
        connect: To resolve the name and connect.
        tls: To agree on a TLS session.
        send: To send the request.
        first_byte: From there to the head of the reply.
    """

    total: float
    connect: float
    tls: float
    send: float
    first_byte: float


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered.

    Args:
        status: The status code.
        headers: By name in lower case; of several with one name the last.
        content: The beginning of the content, or all of it.
        is_whole: Whether it is all of it.
    """

    status: int
    headers: Mapping[bytes, bytes]
    content: bytes
    is_whole: bool = True


class Connection(asyncio.Protocol):
    """A connection that is open, or was lost. One attempt at a time uses it.

    Args:
        content_bytes: Contents are waited for to their end, unless one is larger than this; None where the
            status decides, and only the beginning is of interest.
    """

    def __init__(self, content_bytes: int | None = None) -> None:
        self._waits_for_content = content_bytes is not None
        self._kept_bytes = _CONTENT_KEPT_BYTES if content_bytes is None else content_bytes
        self.idle_since = 0.0
        """The moment, on the loop's clock, when its last attempt ended."""
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._error: BaseException | None = None
        self._is_lost = False
        self._is_at_end = False
        self._is_blocked = False
        self._in_exchange = False
        self._parser = HttpResponseParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._content = bytearray()
        self._head_bytes = 0
        self._status = 0
        self._has_head = self._is_complete = self._keeps_alive = False

    @property
    def is_usable(self) -> bool:
        """Whether another request may be sent on it."""
        return not self._is_lost

    async def exchange(self, head: bytes, body: bytes, patience: Patience, deadline: float) -> Reply:
        """Send a request and return its reply.

        Unless contents are waited for, the status decides, and content that is slow, broken or long changes
        nothing but the connection's fate: only one whose reply was read to its end can be used again.

        Args:
            head: Request line and headers, with the empty line behind them.
            body: The content.
            patience: How long things may take.
            deadline: The moment, on the loop's clock, when the attempt as a whole is over.

        Raises:
            NoReply: There is none; the connection is given up.
        """
        self._in_exchange = True
        self._begin_reply()
        try:
            is_sent = await self._send(head, body, patience, deadline)
            if not self._has_head:
                await self._until(self._is_answered, "answer", patience.first_byte, patience, deadline)
            if not self._is_complete:
                await self._read_on(patience, deadline)
        except BaseException:
            self.abort()
            raise
        self._in_exchange = False
        if not (is_sent and self._keeps_alive):
            self.abort()
        is_whole = self._has_content() and len(self._content) <= self._kept_bytes
        return Reply(self._status, self._headers, bytes(self._content[: self._kept_bytes]), is_whole)

    def abort(self) -> None:
        """Give it up at once."""
        self._is_lost = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=1, low=0)  # so that blocked means not sent

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if not self._in_exchange:  # nobody asked
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self._has_head = True  # 101: an answer like any other, since nobody asked for it
        except HttpParserError:
            if self._is_complete:  # what came behind the reply is nobody's
                self.abort()
            else:
                self._fail(not_http())
        if not self._has_head:
            self._head_bytes += len(data)
            if self._head_bytes > _LONGEST_HEAD_BYTES:
                self._fail(not_http())
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._is_lost = True
        self._is_at_end = exc is None and self._error is None
        self._error = self._error or lost(exc)
        self._wake()

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._is_blocked = True

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self._is_blocked = False
        self._wake()

    def on_message_begin(self) -> None:
        """See `httptools.HttpResponseParser`."""
        if self._is_complete:
            raise ValueError("a second reply")

    def on_header(self, name: bytes, value: bytes) -> None:
        """See `httptools.HttpResponseParser`."""
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """See `httptools.HttpResponseParser`."""
        self._status = self._parser.get_status_code()
        self._has_head = self._status >= 200

    def on_body(self, body: bytes) -> None:
        """See `httptools.HttpResponseParser`."""
        if len(self._content) <= self._kept_bytes:
            self._content += body

    def on_message_complete(self) -> None:
        """See `httptools.HttpResponseParser`."""
        if not self._has_head:
            self._headers = {}
            return
        self._is_complete = True
        self._keeps_alive = self._parser.should_keep_alive()

    def _begin_reply(self) -> None:
        self._parser = HttpResponseParser(self)
        self._headers = {}
        self._content = bytearray()
        self._head_bytes = 0
        self._has_head = self._is_complete = self._keeps_alive = False

    async def _send(self, head: bytes, body: bytes, patience: Patience, deadline: float) -> bool:
        """Send a request, unless the reply comes before the end of it; whether all was sent."""
        if self._is_lost or self._transport is None:
            raise lost(None)
        if len(body) <= _PIECE_BYTES:
            self._transport.write(head + body)  # one write, and mostly one packet
        else:
            self._transport.write(head)
            for piece in range(0, len(body), _PIECE_BYTES):
                await self._until(self._may_go_on, "progress in sending", patience.send, patience, deadline)
                if self._has_head:
                    return False
                self._transport.write(memoryview(body)[piece : piece + _PIECE_BYTES])
                await asyncio.sleep(0)
        if self._is_blocked:
            await self._until(self._may_go_on, "progress in sending", patience.send, patience, deadline)
        return not self._is_blocked

    def _may_go_on(self) -> bool:
        return self._has_head or not (self._is_blocked or self._is_lost)

    def _is_answered(self) -> bool:
        return self._has_head

    async def _read_on(self, patience: Patience, deadline: float) -> None:
        """Wait for the rest of the content, unless it is long, or takes long and is of no interest."""
        if not self._waits_for_content:
            deadline = min(self._loop.time() + _CONTENT_PATIENCE_SECS, deadline)
        await self._wait(lambda: self._has_content() or self._is_lost, deadline)
        if self._waits_for_content and not self._has_content():
            raise (self._error or lost(None)) if self._is_lost else silent("answer", patience.total)

    def _has_content(self) -> bool:
        """Whether it is all there, or too long. Without a length it ends with the connection."""
        if self._is_complete or len(self._content) > self._kept_bytes:
            return True
        has_length = b"content-length" in self._headers or b"transfer-encoding" in self._headers
        return self._is_at_end and not has_length

    async def _until(
        self, is_reached: Callable[[], bool], what: str, secs: float, patience: Patience, deadline: float
    ) -> None:
        limit = min(self._loop.time() + secs, deadline)
        await self._wait(lambda: is_reached() or self._is_lost, limit)
        if is_reached():
            return
        if self._is_lost:
            raise self._error or lost(None)
        raise silent(what, secs) if limit < deadline else silent("answer", patience.total)

    async def _wait(self, is_over: Callable[[], bool], limit: float) -> None:
        """Wait until something is reached, or a moment on the loop's clock."""
        timer = self._loop.call_at(limit, self._wake)
        try:
            while not is_over() and self._loop.time() < limit:
                self._waiter = self._loop.create_future()
                await self._waiter
        finally:
            self._waiter = None
            timer.cancel()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: NoReply) -> None:
        self._error = error
        self.abort()
