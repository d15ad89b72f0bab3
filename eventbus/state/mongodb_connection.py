"""The connection of a store in MongoDB: a client of its own, whose every operation is bounded and mapped."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import anyio
import pymongo
from pymongo import AsyncMongoClient, ReadPreference
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from eventbus.errors import ConfigurationError
from eventbus.state.mongodb_errors import INVALID_URI, errors_mapped
from eventbus.state.values import OPTIONS
from eventbus.telemetry.mongodb import ConnectionEvents

__all__ = ["POOL_SIZE", "MongoConnection", "MongoDocument", "bounded", "patiently"]

MongoDocument: TypeAlias = dict[str, Any]

_OPERATION_SECS: Final = 4.0
"""The whole of one operation, its retries included: less than a third of the shortest sensible lease."""
_LONG_SECS: Final = 10.0
_GREETING_SECS: Final = 2.5
_CLOSE_SECS: Final = 1.0
POOL_SIZE: Final = 8
"""The most connections to one member."""

Prepare: TypeAlias = Callable[[AsyncDatabase[MongoDocument]], Awaitable[None]]


class MongoConnection:
    """A database of a MongoDB replica set, as a store uses it.

    Args:
        uri: Where it is. The store has a client of its own, whatever else is read from there.
        database: Name of the database, which is used for nothing else.
        instance: A stable name of this daemon, unique among those that share the database.
        settings: Further arguments of the driver's client.
    """

    def __init__(
        self, uri: str, *, database: str, instance: str, settings: Mapping[str, Any] | None = None
    ) -> None:
        self._uri = uri
        self._settings = settings or {}
        self._name = database
        self._instance = instance
        self._client: AsyncMongoClient[MongoDocument] | None = None

    async def connect(self, prepare: Sequence[Prepare]) -> None:
        """Connect, and prepare what is missing.

        Raises:
            Unreachable: No primary answers now; try again.
            ConfigurationError: The URI, the user or its rights are wrong, or it is a standalone server.
        """
        if self._client is not None:
            return
        with errors_mapped():
            client = _client(self._uri, self._settings)
        try:
            with bounded():
                await _greet(client)
                for step in prepare:
                    await step(self._of(client))
        except BaseException:
            await _close(client)
            raise
        self._client = client

    async def close(self) -> None:
        """Release the connections."""
        client, self._client = self._client, None
        if client is not None:
            await _close(client)

    @property
    def _database(self) -> AsyncDatabase[MongoDocument]:
        assert self._client is not None, "the store is not open"
        return self._of(self._client)

    def _of(self, client: AsyncMongoClient[MongoDocument]) -> AsyncDatabase[MongoDocument]:
        """The database, with the concerns that hold whatever the URI says."""
        return client.get_database(
            self._name,
            codec_options=OPTIONS,
            read_preference=ReadPreference.PRIMARY,
            write_concern=WriteConcern("majority", j=True),
            read_concern=ReadConcern("majority"),
        )


@contextmanager
def bounded() -> Iterator[None]:
    """Around every call of the driver: map its errors, and let it end by itself, which it soon does.

    Cancelling it would be worse than waiting for it. On Python 3.11 `asyncio.wait_for` leaves its task behind
    when it is cancelled twice, which anyio does; the driver waits for a server or a connection like that, and
    the task that is left behind then holds the lock of the whole client for ever.
    """
    with anyio.CancelScope(shield=True), errors_mapped():
        yield


@contextmanager
def patiently() -> Iterator[None]:
    """Around what looks through many rows: it may take longer, since no lease waits for it."""
    with bounded(), pymongo.timeout(_LONG_SECS):
        yield


def _client(uri: str, settings: Mapping[str, Any]) -> AsyncMongoClient[MongoDocument]:
    """A client whose every operation is bounded; no I/O yet."""
    try:
        return AsyncMongoClient(
            uri,
            **settings,
            appName="eventbus-state",
            event_listeners=[ConnectionEvents("state")],
            maxPoolSize=POOL_SIZE,
            retryReads=True,
            retryWrites=True,
            timeoutMS=round(_OPERATION_SECS * 1000),
            connectTimeoutMS=round(_GREETING_SECS * 1000),
        )
    except (ValueError, TypeError):  # the driver's word on a bad port, for one; it may quote a password
        raise ConfigurationError(INVALID_URI) from None
    except OSError as error:  # a certificate; such errors name files, never what is in them
        raise ConfigurationError(f"state: the certificates cannot be used: {error}") from None


async def _greet(client: AsyncMongoClient[MongoDocument]) -> None:
    with pymongo.timeout(_GREETING_SECS):
        hello = await client.admin.command("hello")
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        raise ConfigurationError(
            "state.type mongodb needs a replica set, and this MongoDB is a standalone server: "
            "start it with --replSet and run rs.initiate()"
        )


async def _close(client: AsyncMongoClient[MongoDocument]) -> None:
    """Shielded and bounded: a cancelled task closes its connections too, a dead server holds up nobody."""
    with anyio.move_on_after(2 * _CLOSE_SECS, shield=True), pymongo.timeout(_CLOSE_SECS):
        await client.close()
