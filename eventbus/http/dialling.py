"""From a host's name to a connection: resolve, judge the addresses, connect, agree on TLS.

Each phase has its own limit of time, and nothing here can hold up anybody else: names are resolved by threads
of this sink's own, a bounded number of them, since the system cannot be interrupted while it asks a name
server.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import anyio
import anyio.to_thread
from aiohappyeyeballs import start_connection
from aiohappyeyeballs.types import AddrInfoType
from yarl import URL

from eventbus.http.connection import Connection, Patience
from eventbus.http.faults import NoReply, connecting_failed, silent
from eventbus.http.networks import Networks
from eventbus.sdk import Failure, Fault, Retry

__all__ = ["Dialler", "Origin", "host_of", "origin_of"]

_HAPPY_EYEBALLS_SECS: Final = 0.25
_MOST_LOOKUPS: Final = 4


@dataclass(frozen=True, slots=True)
class Origin:
    """Whom to talk to.

    Args:
        host: Name or address, as it goes to the resolver and into the TLS handshake.
        port: The port.
        is_secure: Whether to speak TLS.
    """

    host: str
    port: int
    is_secure: bool

    def __str__(self) -> str:
        """Host and port, for people."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def origin_of(url: URL) -> Origin:
    """Whom a URL leads to."""
    return Origin(url.raw_host or "", url.port or 0, url.scheme == "https")


def host_of(url: URL) -> str:
    """The value of the header ``Host`` for a URL."""
    host = f"[{url.raw_host}]" if ":" in (url.raw_host or "") else url.raw_host or ""
    return host if url.is_default_port() else f"{host}:{url.port}"


class Dialler:
    """Makes connections to one origin.

    Args:
        origin: Whom to connect to.
        networks: Which addresses may be connected to.
        patience: How long things may take.
        tls: How certificates are checked and shown; for a secure origin.
        content_bytes: See `Connection`.
    """

    def __init__(
        self,
        origin: Origin,
        networks: Networks,
        patience: Patience,
        tls: ssl.SSLContext | None,
        content_bytes: int | None = None,
    ) -> None:
        self._origin = origin
        self._networks = networks
        self._patience = patience
        self._tls = tls if origin.is_secure else None
        self._content_bytes = content_bytes
        self._lookups = anyio.CapacityLimiter(_MOST_LOOKUPS)
        self._threads = threading.BoundedSemaphore(_MOST_LOOKUPS)

    async def dial(self, deadline: float) -> Connection:
        """Connect.

        Args:
            deadline: The moment, on the loop's clock, when the attempt as a whole is over.

        Raises:
            NoReply: There is no connection.
        """
        patience = self._patience
        connected_by = asyncio.get_running_loop().time() + patience.connect
        async with self._in_time("address", patience.connect, connected_by, deadline):
            found = await self._resolve()
        allowed = [info for info in found if self._networks.allow(info[4][0])]
        if not allowed:
            raise _not_allowed(found)
        async with self._in_time("connection", patience.connect, connected_by, deadline):
            connected = await start_connection(
                allowed, happy_eyeballs_delay=_HAPPY_EYEBALLS_SECS, interleave=1
            )
        tls_by = asyncio.get_running_loop().time() + patience.tls
        async with self._in_time("TLS session", patience.tls, tls_by, deadline):
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(self._content_bytes),
                sock=connected,
                ssl=self._tls,
                server_hostname=self._origin.host.rstrip(".") if self._tls else None,
            )
        return connection

    async def _resolve(self) -> list[AddrInfoType]:
        """All addresses of the host, those that may not be used among them."""
        return await anyio.to_thread.run_sync(self._look_up, limiter=self._lookups, abandon_on_cancel=True)

    def _look_up(self) -> list[AddrInfoType]:
        """Ask the system. A lookup that its attempt has given up goes on, and still counts."""
        if not self._threads.acquire(blocking=False):
            raise socket.gaierror(socket.EAI_AGAIN, "earlier questions for it are not answered yet")
        try:
            return list(socket.getaddrinfo(self._origin.host, self._origin.port, type=socket.SOCK_STREAM))
        finally:
            self._threads.release()

    @asynccontextmanager
    async def _in_time(self, what: str, secs: float, limit: float, deadline: float) -> AsyncIterator[None]:
        """Turn whatever keeps the body from its end into a NoReply."""
        try:
            async with asyncio.timeout_at(min(limit, deadline)) as scope:
                yield
        except TimeoutError as error:
            if not scope.expired():  # the system's own: it has given up
                raise connecting_failed(error) from error
            raise silent(what, secs if limit < deadline else self._patience.total) from None
        except (OSError, RuntimeError) as error:
            raise connecting_failed(error) from error


def _not_allowed(found: list[AddrInfoType]) -> NoReply:
    addresses = ", ".join(sorted({info[4][0] for info in found}))
    reason = f"not connected: {addresses} is in no network that may be talked to (networks)"
    return NoReply(Retry(Fault.UNAVAILABLE, reason, kind=Failure.NETWORK))
