"""Requests to one origin over connections that are kept: it neither retries nor follows anything."""

from __future__ import annotations

import asyncio

from eventbus.http.connection import Connection, Patience, Reply
from eventbus.http.dialling import Dialler

__all__ = ["Client"]


class Client:
    """Sends requests, each on a connection that is free, or on a new one.

    Args:
        dialler: Makes connections.
        patience: How long things may take.
        keep_alive_secs: How long a connection may be idle before it is closed; 0 to use each once.
    """

    def __init__(self, dialler: Dialler, patience: Patience, keep_alive_secs: float) -> None:
        self._dialler = dialler
        self._patience = patience
        self._keep_alive_secs = keep_alive_secs
        self._idle: list[Connection] = []
        self._loop = asyncio.get_running_loop()
        self._sweep: asyncio.TimerHandle | None = None

    async def request(self, head: bytes, body: bytes = b"") -> Reply:
        """Send one request.

        Args:
            head: Request line and headers, with the empty line behind them.
            body: The content.

        Raises:
            NoReply: There is no reply.
        """
        deadline = self._loop.time() + self._patience.total
        connection = self._free() or await self._dialler.dial(deadline)
        reply = await connection.exchange(head, body, self._patience, deadline)
        self._keep(connection)
        return reply

    async def try_connecting(self) -> None:
        """Connect, to see whether that can be done.

        Raises:
            NoReply: There is no connection.
        """
        (await self._dialler.dial(self._loop.time() + self._patience.total)).abort()

    def close(self) -> None:
        """Close all connections; no request is under way any more."""
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in self._idle:
            connection.abort()
        self._idle.clear()

    def _free(self) -> Connection | None:
        """The connection that was used last, so that those that are not needed grow old."""
        oldest = self._loop.time() - self._keep_alive_secs
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable and connection.idle_since > oldest:
                return connection
            connection.abort()
        return None

    def _keep(self, connection: Connection) -> None:
        if not connection.is_usable:
            return
        if not self._keep_alive_secs:
            connection.abort()
            return
        connection.idle_since = self._loop.time()
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = self._loop.call_later(self._keep_alive_secs, self._close_old)

    def _close_old(self) -> None:
        oldest = self._loop.time() - self._keep_alive_secs
        for connection in self._idle:
            if connection.idle_since <= oldest:
                connection.abort()
        self._idle = [connection for connection in self._idle if connection.is_usable]
        again = bool(self._idle)
        self._sweep = self._loop.call_later(self._keep_alive_secs, self._close_old) if again else None
