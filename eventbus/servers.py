"""The servers of a configuration: clients, sources and the state store, opened and asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import ConfigurationError as DriverConfigurationError
from pymongo.errors import InvalidURI

from eventbus.config import Config, MongoDBAccess, MongoDBState, SQLiteState
from eventbus.errors import ConfigurationError, Unreachable
from eventbus.sdk import Source, SourceContext
from eventbus.sources.mongodb.client import stream_client
from eventbus.state.access import Access
from eventbus.state.mongodb import MongoStore
from eventbus.state.mongodb_connection import POOL_SIZE
from eventbus.state.store import LetterLimit, Store, WhenFull
from eventbus.telemetry.redaction import redact

__all__ = [
    "check_all",
    "check_sources",
    "make_store",
    "most_connections",
    "open_client",
    "open_source",
    "open_store",
    "open_stream_client",
    "source_of",
    "sources_of",
    "stream_connections",
]

_SPARE_CONNECTIONS = 10
"""Connections beside the one that each waiting stream holds: for opening, closing and checking."""


async def check_sources(config: Config) -> None:
    """Ask each subscription's source whether it accepts what is configured.

    Raises:
        ConfigurationError: All that was refused.
        Unreachable: A source does not answer.
    """
    async with open_stream_client(config) as client:
        await check_all(sources_of(config, client))


@asynccontextmanager
async def open_source(config: Config, subscription: str) -> AsyncIterator[Source]:
    """The source of a subscription, for a question or two."""
    async with open_stream_client(config) as client:
        yield source_of(config, subscription, client)


@asynccontextmanager
async def open_store(config: Config, *, access: Access = Access.DAEMON) -> AsyncIterator[Store]:
    """The state store of a configuration, open.

    Args:
        config: Where it is.
        access: What for; to MongoDB it is all the same.
    """
    store = make_store(config, access=access)
    try:
        await store.open()
        yield store
    finally:
        await store.close()


def make_store(config: Config, *, access: Access = Access.DAEMON) -> Store:
    """The state store of a configuration, not yet open."""
    state, dead_letters = config.state, config.dead_letters
    limit = LetterLimit(dead_letters.max_letters, WhenFull(dead_letters.when_full))
    if isinstance(state, SQLiteState):
        from eventbus.state.sqlite import SqliteStore  # noqa: PLC0415 - few keep their state in a file

        return SqliteStore(state.path, instance=config.daemon.instance, access=access, limit=limit)
    return MongoStore(
        state.access.uri.get_secret_value(),
        database=state.database,
        instance=config.daemon.instance,
        limit=limit,
        settings=state.access.settings,
    )


@asynccontextmanager
async def open_stream_client(config: Config) -> AsyncIterator[AsyncMongoClient[Any]]:
    """The client that reads; state has one of its own, so that waiting streams never starve a checkpoint."""
    async with open_client(
        config.mongodb, "stream", stream_connections(config), config.read_preference
    ) as client:
        yield client


@asynccontextmanager
async def open_client(
    access: MongoDBAccess, purpose: str, pool_size: int, read_preference: str | None = None
) -> AsyncIterator[AsyncMongoClient[Any]]:
    """A client of a deployment.

    Args:
        access: How to reach it.
        purpose: What it is for, see `eventbus.sources.mongodb.client.stream_client`.
        pool_size: The most connections to one member.
        read_preference: Which members are read; None for what the address says.

    Raises:
        ConfigurationError: The address or a certificate cannot be used.
    """
    try:
        client = stream_client(
            access.uri.get_secret_value(),
            access.settings,
            purpose=purpose,
            pool_size=pool_size,
            read_preference=read_preference,
        )
    except (InvalidURI, DriverConfigurationError, ValueError) as error:
        raise ConfigurationError(f"mongodb.uri: {redact(str(error))}") from None
    except OSError as error:  # of a certificate: such errors name files, never what is in them
        raise ConfigurationError(f"mongodb.tls: the certificates cannot be used: {error}") from None
    async with client:
        yield client


def most_connections(config: Config) -> int:
    """How many connections the daemon opens at most to the deployment that is read."""
    beating = 1 if config.heartbeat is not None else 0
    here = isinstance(config.state, MongoDBState) and config.state.access.uri == config.mongodb.uri
    asking = 1 if config.server.tokens else 0
    stores = 1 + asking  # the admin API has a client of its own
    return stream_connections(config) + beating + asking + (stores * POOL_SIZE if here else 0)


def stream_connections(config: Config) -> int:
    """How many connections readers need.

    A stream holds a connection while it waits; one that is being closed may still have one.
    """
    readers = sum(2 * (1 + declared.catch_up.max_readers) for declared in config.subscriptions.values())
    return readers + _SPARE_CONNECTIONS


def sources_of(config: Config, client: AsyncMongoClient[Any]) -> dict[str, Source]:
    """The sources of all subscriptions, by name."""
    return {name: source_of(config, name, client) for name in config.subscriptions}


def source_of(config: Config, name: str, client: AsyncMongoClient[Any] | None) -> Source:
    """The source of a subscription. Without a client it can be explained and nothing else."""
    declared = config.subscriptions[name].source
    own_database = config.state.database if isinstance(config.state, MongoDBState) else None
    heartbeat = config.heartbeat
    own_collection = (heartbeat.database, heartbeat.collection) if heartbeat is not None else None
    context = SourceContext(name, client, own_database, own_collection)
    return declared.make(context)


async def check_all(sources: Mapping[str, Source]) -> None:
    """Ask sources, by name of their subscription, whether they accept what is configured.

    Raises:
        ConfigurationError: All that was refused.
        Unreachable: A source does not answer, and none has refused.
    """
    problems: dict[str, None] = {}  # several may meet the same, such as a password that is wrong
    for name, source in sources.items():
        try:
            await source.check()
        except ConfigurationError as error:
            problems.update(dict.fromkeys(_placed(name, problem) for problem in error.problems))
        except Unreachable:  # the driver takes a server that has refused its password for one that is away
            if not problems:
                raise
    if problems:
        raise ConfigurationError(*problems)


def _placed(subscription: str, problem: str) -> str:
    """The problem with its whole path, where it is one of this subscription alone."""
    return f"subscriptions.{subscription}.{problem}" if problem.startswith("source") else problem
