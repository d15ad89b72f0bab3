"""Whether a stream can go on from a stored position, found out by asking the server; nothing is handed on.

How a reader would go on after each answer is decided in `course`, here as there.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from eventbus.errors import Unreachable
from eventbus.model import Position, PositionKind
from eventbus.sources.mongodb.course import Course, Start
from eventbus.sources.mongodb.cursor import ServerCursor, can_split
from eventbus.sources.mongodb.errors import Failure, Reaction, failure_of
from eventbus.sources.mongodb.stream import Stage, StreamSpec
from eventbus.sources.mongodb.tokens import cluster_time_of, position_of, server_token, timestamp_of

__all__ = ["Resumption", "resumption"]

_TRIES: Final = 5
_LOOKS: Final = 50
_WAIT_MS: Final = 100


class Resumption(StrEnum):
    """How a reader goes on from a position."""

    RESUMED = "resumed"
    """By its token."""
    REOPENED = "reopened"
    """At the cluster time inside it: the stream, as it is now, does not have the change that it stands at."""


async def resumption(client: AsyncMongoClient[Any], spec: StreamSpec, position: Position) -> Resumption:
    """How a reader of a stream would go on from a position.

    Args:
        client: The client to read with.
        spec: The stream.
        position: The position.

    Raises:
        PositionLost: It cannot.
        ConfigurationError: The server refuses the stream.
        Unreachable: The server does not answer now.
    """
    course = Course(position)
    try:
        splits = await can_split(client)
        start = course.start()
        for _ in range(_TRIES):
            failure = await _failure(client, spec, start, course, splits=splits)
            if failure is None:
                break
            if failure.reaction is Reaction.RESUME:
                raise Unreachable(f"MongoDB: {failure.reason}")
            course.fail(failure)
            start = course.start()
        if start.beyond is not None:
            return Resumption.REOPENED
        if position.kind is PositionKind.EVENT and not await _has(client, spec, position, splits=splits):
            return Resumption.REOPENED
    except PyMongoError as error:
        raise Unreachable(f"MongoDB: {failure_of(error).reason}") from None
    return Resumption.RESUMED


async def _failure(
    client: AsyncMongoClient[Any], spec: StreamSpec, start: Start, course: Course, *, splits: bool
) -> Failure | None:
    """Why the stream cannot be opened there; None if it can."""
    try:
        cursor = await ServerCursor.open(
            client, spec, spec.stages(beyond=start.beyond, splits=splits), start.option
        )
        try:
            course.check_clock(cursor.opened.operation_time)
            await cursor.more(batch_size=1, wait_ms=_WAIT_MS)
        finally:
            await cursor.close()
    except PyMongoError as error:
        return failure_of(error)
    return None


async def _has(client: AsyncMongoClient[Any], spec: StreamSpec, position: Position, *, splits: bool) -> bool:
    """Whether the change at the position is among those of the stream.

    As long as no later one comes, the server says nothing about a token that is not among them.
    """
    token = server_token(position.token)
    at_it: Stage = {"$match": {"_id._data": token}}
    stages = (at_it, *spec.stages(splits=splits, identity_only=True))
    start = {"startAtOperationTime": timestamp_of(cluster_time_of(token))}
    cursor = await ServerCursor.open(client, spec, stages, start)
    try:
        for _ in range(_LOOKS):
            reply = await cursor.more(batch_size=1, wait_ms=_WAIT_MS)
            if not reply.is_empty:
                return True
            if reply.token is None or not reply.cursor_id:
                return False
            if position_of(reply.token, PositionKind.IDLE).token > token:
                return False
    finally:
        await cursor.close()
    return True  # nothing says that it is not
