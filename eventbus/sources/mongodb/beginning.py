"""Decides what a new snapshot reads, and sees that it can be read, before anything is promised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import bson
import structlog
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from eventbus.errors import ConfigurationError, Unreachable
from eventbus.model import Snapshot
from eventbus.sources.mongodb.documents import Chunk, documents_command
from eventbus.sources.mongodb.errors import Reaction, failure_of
from eventbus.sources.mongodb.extended_json import bson_values
from eventbus.sources.mongodb.inventory import Found, Inventory
from eventbus.sources.mongodb.scope import Scope
from eventbus.sources.mongodb.stream import StreamSpec
from eventbus.suggestions import did_you_mean

__all__ = ["begun"]

_ANY_KEY: Final = bson.encode({"_id": None})

log = structlog.get_logger("eventbus.source")


async def begun(
    client: AsyncMongoClient[Any],
    spec: StreamSpec,
    inventory: Inventory,
    snapshot_id: str,
    collections: Sequence[str],
    match: Mapping[str, Any] | None,
) -> Snapshot:
    """A snapshot that has read nothing yet.

    Args:
        client: The client to read with.
        spec: The stream beside which it reads.
        inventory: The collections that there are.
        snapshot_id: Names it.
        collections: Which to read; none for all.
        match: A filter of MQL for their documents, with values in Extended JSON; None for none.

    Raises:
        Unreachable: The server does not answer now.
        ConfigurationError: There is nothing of that kind to be read.
    """
    try:
        filter_ = bson_values(match) if match else None
    except ValueError as error:
        raise ConfigurationError(f"the filter of the snapshot: {error}") from None
    try:
        await _see_no_shards(client)
        chosen = _chosen(await inventory.found(), spec, collections)
        if filter_ is not None:
            await _try_filter(client, spec, filter_, chosen)
        total = await inventory.count(chosen)
    except PyMongoError as error:
        failure = failure_of(error)
        if failure.reaction is Reaction.FATAL_CONFIGURATION:
            raise ConfigurationError(f"snapshot: {failure.reason}") from None
        raise Unreachable(f"MongoDB: {failure.reason}") from None
    scope = Scope(tuple(chosen) if collections else (), filter_)
    return Snapshot(snapshot_id, scope.to_bytes(), total=total)


async def _see_no_shards(client: AsyncMongoClient[Any]) -> None:
    """A change of a sharded collection has more in its key than the document's ``_id``."""
    if (await client.admin.command("hello")).get("msg") == "isdbgrid":
        raise ConfigurationError("snapshot: a sharded cluster cannot be read by snapshots yet")


def _chosen(found: Sequence[Found], spec: StreamSpec, collections: Sequence[str]) -> list[str]:
    """The namespaces to read.

    Raises:
        ConfigurationError: One that is named cannot be read, or the only one there is.
    """
    if collections:
        return [_named(name, found, spec) for name in collections]
    left_out = [one for one in found if one.what]
    if left_out and len(left_out) == len(found):
        raise ConfigurationError(*(_refusal(one) for one in left_out))
    for one in left_out:
        log.warning("snapshot_left_out", namespace=one.namespace, what=one.what)
    return sorted(one.namespace for one in found if not one.what)


def _named(name: str, found: Sequence[Found], spec: StreamSpec) -> str:
    """The namespace of a collection as people name it: with its database where the source has several."""
    namespace = name if spec.is_of_cluster else f"{spec.database}.{name}"
    names = {one.namespace: one for one in found}
    one = names.get(namespace)
    if one is None:
        guess = did_you_mean(namespace, list(names))
        raise ConfigurationError(f"snapshot: the source reads no collection {namespace}{guess}")
    if one.what:
        raise ConfigurationError(_refusal(one))
    return namespace


def _refusal(one: Found) -> str:
    return f"snapshot: {one.namespace} is {one.what}, which no snapshot can read"


async def _try_filter(
    client: AsyncMongoClient[Any], spec: StreamSpec, match: Mapping[str, Any], chosen: Sequence[str]
) -> None:
    """Have the server plan the query, which reads nothing.

    Raises:
        PyMongoError: It does not answer.
        ConfigurationError: It refuses the filter.
    """
    for namespace in chosen[:1]:
        command = documents_command(spec, match, Chunk(namespace, None, _ANY_KEY, 1))
        try:
            await client[namespace.partition(".")[0]].command(
                {"explain": command, "verbosity": "queryPlanner"}
            )
        except PyMongoError as error:
            failure = failure_of(error)
            if failure.code is None or (failure.known and failure.reaction is Reaction.RESUME):
                raise
            raise ConfigurationError(
                f"the filter of the snapshot: the server says: {failure.said} ({failure.code})"
            ) from None
