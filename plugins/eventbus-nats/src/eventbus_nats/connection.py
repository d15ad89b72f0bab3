"""One connection at a time, made anew when it is lost.

The client library could reconnect by itself. It would then keep what was not yet written, and send it after a
route had given up on it: so a connection that is lost is never used again here, and nothing is kept.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import anyio
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import StorageType, StreamConfig
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

from eventbus.sdk import ConfigurationError, Unreachable
from eventbus_nats.options import NatsOptions, StreamOptions

__all__ = ["ERRORS", "Connection", "Connector", "reason_of"]

ERRORS: Final = (NatsError, OSError, TimeoutError)
"""All that the client raises of its own."""

_CLOSING_SECS: Final = 2.0


class Connection:
    """A connection and what has become of it.

    Args:
        settings: Arguments of the client's `connect`.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.lost = anyio.Event()
        self.trouble = ""
        """The last thing that the server complained of, or that failed on the way to it."""
        self.is_unsure = False
        """Whether the stream may be gone that was there: it is looked for again before the next message."""
        self._client = Client()
        self._settings = settings

    async def connect(self) -> None:
        """Reach one of the servers, and no second time."""
        await self._client.connect(error_cb=self._note, disconnected_cb=self._lose, **self._settings)

    @property
    def is_lost(self) -> bool:
        """Whether it is of no use: the client does not tell of an end that comes while it connects."""
        return self.lost.is_set() or not self._client.is_connected

    @property
    def max_payload(self) -> int:
        """The most bytes of headers and content that the server takes."""
        return self._client.max_payload

    def stream(self, timeout_secs: float) -> JetStreamContext:
        """What publishes into streams."""
        return self._client.jetstream(timeout=timeout_secs)

    async def close(self) -> None:
        """Give it up. Bounded in time; to be called once nobody waits for it."""
        with anyio.move_on_after(_CLOSING_SECS, shield=True):
            await self._client.close()

    async def _note(self, error: Exception) -> None:
        self.trouble = reason_of(error)

    async def _lose(self) -> None:
        self.lost.set()


class Connector:
    """Gives the connection that there is, or makes one."""

    def __init__(self, options: NatsOptions) -> None:
        self._options = options
        self._turn = anyio.Lock()
        self._connection: Connection | None = None

    async def connection(self) -> Connection:
        """A connection that was there a moment ago.

        Raises:
            Unreachable: There is none now.
            ConfigurationError: Trying again is of no use.
        """
        async with self._turn:
            if self._connection is not None and self._connection.is_lost:
                await self.close()
            if self._connection is None:
                self._connection = await self._made()
            elif self._connection.is_unsure:
                await self._look_again(self._connection)
            return self._connection

    async def close(self) -> None:
        """Give up the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _look_again(self, connection: Connection) -> None:
        """Find the stream that may be gone, or make it."""
        try:
            with anyio.fail_after(self._options.timeout):
                await self._look_up(connection)
        except ERRORS as error:
            raise Unreachable(reason_of(error)) from error
        connection.is_unsure = False

    async def _look_up(self, connection: Connection) -> None:
        if self._options.stream is not None:
            await _look_up(connection.stream(self._options.timeout), self._options.stream)

    async def _made(self) -> Connection:
        connection = Connection(_settings(self._options))
        try:
            with anyio.fail_after(self._options.timeout):
                await connection.connect()
                await self._look_up(connection)
        except ERRORS as error:
            await connection.close()
            raise Unreachable(connection.trouble or reason_of(error)) from error
        except BaseException:
            await connection.close()
            raise
        return connection


async def _look_up(streams: JetStreamContext, stream: StreamOptions) -> None:
    """Find the stream, or make it if users said what it takes."""
    try:
        await streams.stream_info(stream.name)
    except NotFoundError:
        if not stream.subjects:
            raise Unreachable(
                f"there is no stream {stream.name}: make it, or write stream.subjects to have it made"
            ) from None
        await streams.add_stream(
            StreamConfig(
                name=stream.name,
                subjects=list(stream.subjects),
                num_replicas=stream.replicas,
                storage=StorageType(stream.storage),
                max_age=stream.max_age or 0,
                duplicate_window=stream.duplicate_window,
            )
        )


def _settings(options: NatsOptions) -> Mapping[str, Any]:
    """Arguments of the client.

    Raises:
        ConfigurationError: A certificate, or the file of credentials, cannot be read.
    """
    identity = {
        "user": options.username,
        "password": options.password.get_secret_value() if options.password is not None else None,
        "token": options.token.get_secret_value() if options.token is not None else None,
    }
    settings: dict[str, Any] = {
        "servers": list(options.servers),
        "name": "eventbus",
        "connect_timeout": options.timeout,
        "allow_reconnect": False,
        "max_reconnect_attempts": 1,  # how often each server is tried, plus one
        "reconnect_time_wait": 0.05,
        "pending_size": 64 << 20,
        **{name: value for name, value in identity.items() if value is not None},
    }
    if options.credentials_file is not None:
        settings["user_credentials"] = _readable(options.credentials_file)
    if any(server.startswith("tls://") for server in options.servers):
        settings["tls"] = _tls(options)
    return settings


def _readable(file: Path) -> str:
    if find_spec("nkeys") is None:
        raise ConfigurationError("credentials_file: install eventbus-nats[nkeys] to use one")
    try:
        file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"credentials_file: {error}") from None
    return str(file)


def _tls(options: NatsOptions) -> ssl.SSLContext:
    files = options.tls
    try:
        context = ssl.create_default_context(cafile=files.ca_file if files is not None else None)
        if files is not None and files.certificate_file is not None:
            context.load_cert_chain(files.certificate_file, files.key_file, lambda: "")  # asks nobody
    except OSError as error:
        raise ConfigurationError(f"tls: {error}") from None
    return context


def reason_of(error: BaseException) -> str:
    """One line for people."""
    text = " ".join(str(error).split())
    return (text or type(error).__name__)[:300]
