"""One cursor of a change stream at the server, driven by plain commands.

``watch()`` of the driver is not used: it hides the batches and their tokens, resumes once by itself, and
closes on any cancellation. Here every failure comes out as it is, and nothing is tried again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Final

import anyio
import pymongo
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import PyMongoError

from eventbus.sources.mongodb.client import asked
from eventbus.sources.mongodb.reply import Reply
from eventbus.sources.mongodb.stream import Stage, StreamSpec

__all__ = ["ServerCursor", "can_split", "splits_large"]

_CLEAN_UP_SECS: Final = 2.0
"""The most that giving up a cursor may take; what is left over, the server ends by itself after minutes."""

_RAW: Final[CodecOptions[RawBSONDocument]] = CodecOptions(document_class=RawBSONDocument)


class ServerCursor:
    """An open cursor, in a session of its own. Whoever opened it closes it.

    Args:
        client: What it was opened with.
        database: Where its commands go.
        session: The session that it belongs to.
        opened: The answer to the command that opened it.
    """

    def __init__(
        self, client: AsyncMongoClient[Any], database: str, session: AsyncClientSession, opened: Reply
    ) -> None:
        self.opened = opened
        self._client = client
        self._database = client[database]
        self._session = session
        self._id = opened.cursor_id

    @classmethod
    async def open(
        cls,
        client: AsyncMongoClient[Any],
        spec: StreamSpec,
        stages: tuple[Stage, ...],
        start: Mapping[str, Any],
    ) -> ServerCursor:
        """Open a change stream.

        Args:
            client: The client to read with; the member is asked that its read preference names.
            spec: The stream.
            stages: What follows ``$changeStream``.
            start: Where to start; empty for now.

        Raises:
            PyMongoError: The server refused, or did not answer.
        """
        return await cls.of(client, spec.database, spec.command(stages, start))

    @classmethod
    async def of(
        cls, client: AsyncMongoClient[Any], database: str, command: Mapping[str, Any]
    ) -> ServerCursor:
        """Send any command that opens a cursor.

        Raises:
            PyMongoError: The server refused, or did not answer.
        """
        session = client.start_session(causal_consistency=False)
        try:
            opened = await _send(client[database], command, session)
        except BaseException as error:
            with anyio.CancelScope(shield=True):
                if not isinstance(error, PyMongoError):  # given up while the server may have opened a cursor
                    await _kill_session(client, session)
                await session.end_session()
            raise
        return cls(client, database, session, opened)

    async def more(self, *, batch_size: int, wait_ms: int) -> Reply:
        """Wait for changes.

        Args:
            batch_size: The most changes to return.
            wait_ms: How long the server waits for a first change before it answers with none.

        Raises:
            PyMongoError: The server refused, or did not answer.
        """
        command = {
            "getMore": self._id,
            "collection": self.opened.collection,
            "batchSize": batch_size,
            "maxTimeMS": wait_ms,
        }
        reply = await _send(self._database, command, self._session)
        self._id = reply.cursor_id
        return reply

    async def kill(self) -> None:
        """Have the server give it up, as far as the server can be asked now."""
        if self._id and _answers(self._client):
            command = {"killCursors": self.opened.collection, "cursors": [self._id]}
            with contextlib.suppress(PyMongoError), anyio.move_on_after(_CLEAN_UP_SECS):
                await self._database.command(command, read_preference=self._database.read_preference)

    async def close(self) -> None:
        """Give it up here and at the server. Nothing may be waiting in `more` any more."""
        await self.kill()
        self._id = 0
        await self._session.end_session()


async def can_split(client: AsyncMongoClient[Any]) -> bool:
    """Whether the member that is read has ``$changeStreamSplitLargeEvent``.

    Raises:
        PyMongoError: The server did not answer.
    """
    return splits_large(tuple((await asked(client, "buildInfo"))["versionArray"][:3]))


def splits_large(version: tuple[int, ...]) -> bool:
    """Whether servers of a version have ``$changeStreamSplitLargeEvent``."""
    return (6, 0, 9) <= version < (6, 1, 0) or version >= (7, 0, 0)


async def _send(
    database: Any,  # AsyncDatabase[Any]: the overloads of its `command` lose the type of raw replies
    command: Mapping[str, Any],
    session: AsyncClientSession,
) -> Reply:
    with pymongo.timeout(0):  # a timeoutMS of the URI would replace the server's waiting time by its own
        reply = await database.command(
            dict(command), session=session, codec_options=_RAW, read_preference=database.read_preference
        )
    return Reply.of(bytes(reply.raw))


async def _kill_session(client: AsyncMongoClient[Any], session: AsyncClientSession) -> None:
    """Give up whatever a session has open, for a cursor whose number we shall never know."""
    if not _answers(client):
        return
    with contextlib.suppress(PyMongoError), anyio.move_on_after(_CLEAN_UP_SECS):
        kill = {"killSessions": [session.session_id]}
        await client.admin.command(kill, read_preference=client.read_preference)


def _answers(client: AsyncMongoClient[Any]) -> bool:
    """Whether asking is worth its while: with no member in sight it would only wait for one."""
    return client.topology_description.has_readable_server(client.read_preference)
