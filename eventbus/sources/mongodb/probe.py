"""Tries a change stream before anything runs, and says which part of the configuration the server refuses."""

from __future__ import annotations

from typing import Any, Final

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError, ServerSelectionTimeoutError

from eventbus.errors import ConfigurationError, Unreachable
from eventbus.model import PositionKind
from eventbus.sources.mongodb.client import asked
from eventbus.sources.mongodb.cursor import ServerCursor, can_split
from eventbus.sources.mongodb.errors import Failure, Reaction, failure_of
from eventbus.sources.mongodb.stream import Stage, StreamSpec
from eventbus.sources.mongodb.tokens import position_of

__all__ = ["probe"]

_STANDALONE: Final = (
    "is a standalone server; change streams need a replica set: start it with --replSet and run rs.initiate()"
)
_ACCESS: Final = frozenset({13, 18, 8000})


async def probe(client: AsyncMongoClient[Any], spec: StreamSpec, place: str) -> None:
    """Open the stream and give it up again.

    Args:
        client: The client to read with.
        spec: The stream.
        place: The path of the source in the configuration, for messages.

    Raises:
        Unreachable: The server does not answer now.
        ConfigurationError: It answers, and refuses.
    """
    try:
        hello = await asked(client, "hello")
        if "setName" not in hello and hello.get("msg") != "isdbgrid":
            raise ConfigurationError(f"mongodb.uri: {_address(client)} {_STANDALONE}")
        splits = await can_split(client)
        refusal = await _refusal(client, spec, spec.stages(splits=splits))
        if refusal is not None:
            raise ConfigurationError(*await _problems(client, spec, place, refusal))
    except PyMongoError as error:
        raise _unanswered(client, error) from None


async def _problems(
    client: AsyncMongoClient[Any], spec: StreamSpec, place: str, refusal: Failure
) -> list[str]:
    """Which parts are refused by themselves."""
    if refusal.code in _ACCESS:
        return [f"mongodb.uri: {_access(refusal)}"]
    if await _refusal(client, spec, spec.own_stages) is not None:
        return [f"{place}: {_told(refusal)}"]
    problems = []
    for key, stages in spec.written.items():
        failure = await _refusal(client, spec, (*spec.own_stages, *stages)) if stages else None
        if failure is not None:
            problems.append(f"{place}.{key}: {_told(failure)}")
    return problems or [f"{place}.pipeline: {_told(refusal)}"]


async def _refusal(
    client: AsyncMongoClient[Any], spec: StreamSpec, stages: tuple[Stage, ...]
) -> Failure | None:
    """Why the server will not open a stream with these stages; None if it does.

    Raises:
        PyMongoError: It did not answer, or cannot do so now.
    """
    try:
        cursor = await ServerCursor.open(client, spec, stages, {})
    except PyMongoError as error:
        failure = failure_of(error)
        if failure.code is None or (failure.known and failure.reaction is Reaction.RESUME):
            raise
        return failure
    await cursor.close()
    if cursor.opened.token is not None:
        _see_token(cursor.opened.token)
    return None


def _see_token(token: bytes) -> None:
    try:
        position_of(token, PositionKind.IDLE)
    except (KeyError, ValueError):
        raise ConfigurationError("mongodb.uri: the server's resume tokens are not those of MongoDB") from None


def _unanswered(client: AsyncMongoClient[Any], error: PyMongoError) -> ConfigurationError | Unreachable:
    failure = failure_of(error)
    topology = client.topology_description
    if isinstance(error, ServerSelectionTimeoutError) and not topology.server_descriptions():
        # The driver forgets every server that answers and is no member of the set that the URI names.
        return ConfigurationError(
            f"mongodb.uri: no server there is a member of the replica set {topology.replica_set_name}: each "
            f"of them is a member of another set, or {_STANDALONE}"
        )
    if failure.code in _ACCESS:
        return ConfigurationError(f"mongodb.uri: {_access(failure)}")
    if failure.reaction is Reaction.FATAL_CONFIGURATION:
        return ConfigurationError(f"mongodb.uri: {failure.reason}")
    return Unreachable(f"MongoDB does not answer: {failure.reason}")


def _access(failure: Failure) -> str:
    if failure.code == 13:
        return f"{failure.said} (the user needs the privileges find and changeStream on what is read)"
    return f"{failure.said} (wrong user name, password or authSource)"


def _told(failure: Failure) -> str:
    return f"the server says: {failure.said} ({failure.code})"


def _address(client: AsyncMongoClient[Any]) -> str:
    servers = client.topology_description.server_descriptions()
    return ", ".join(f"{host}:{port}" for host, port in servers)
