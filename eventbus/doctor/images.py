"""Checks whether collections keep the images of their documents that subscriptions want."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Any, Final

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from eventbus.doctor.catalogue import found
from eventbus.doctor.findings import Finding, well
from eventbus.doctor.mongosh import command
from eventbus.sources.mongodb.errors import failure_of
from eventbus.sources.mongodb.options import Before, FullDocument, MongoOptions

__all__ = ["images"]

_SERVERS_OWN: Final = frozenset({"admin", "config", "local"})
_SETTING: Final = "changeStreamPreAndPostImages"
_Settings = Mapping[str, Any]


async def images(
    client: AsyncMongoClient[Any], subscription: str, options: MongoOptions, own_database: str | None
) -> AsyncGenerator[Finding, None]:
    """Look at the collections of one subscription, if it wants images.

    Args:
        client: The client to ask with.
        subscription: Its name.
        options: Its source.
        own_database: The database of our own state, which is never read.
    """
    is_required = options.before == Before.REQUIRED or options.full_document == FullDocument.REQUIRED
    if not is_required and not _takes_images(options):
        return
    try:
        there = await _collections(client, options, own_database)
    except PyMongoError as error:
        yield found("images.unknown", failure_of(error).reason, about=subscription)
        return
    lacking = False
    for finding in _lacking(subscription, options, there, is_required=is_required):
        lacking = True
        yield finding
    if not lacking:
        yield well("images", f"kept by each of {len(there)} collections", subscription)


def _lacking(
    subscription: str, options: MongoOptions, there: Mapping[tuple[str, str], _Settings], *, is_required: bool
) -> Iterator[Finding]:
    code = "images.missing" if is_required else "images.unavailable"
    on = {_SETTING: {"enabled": True}}
    for (database, collection), settings in sorted(there.items()):
        if not settings.get(_SETTING, {}).get("enabled", False):
            yield found(
                code,
                f"{database}.{collection} keeps no images",
                about=subscription,
                mend=command(database, {"collMod": collection, **on}),
            )
    if options.database is None:
        return
    for collection in options.collections or ():
        if (options.database, collection) not in there:
            yield found(
                "images.no_collection",
                f"there is no collection {options.database}.{collection} yet",
                about=subscription,
                mend=command(options.database, {"create": collection, **on}),
            )


def _takes_images(options: MongoOptions) -> bool:
    return options.before is Before.WHEN_AVAILABLE or options.full_document is FullDocument.WHEN_AVAILABLE


async def _collections(
    client: AsyncMongoClient[Any], options: MongoOptions, own_database: str | None
) -> dict[tuple[str, str], _Settings]:
    """Settings of the collections that are read, by database and name."""
    if options.database is not None:
        databases = [options.database]
    else:
        names = await client.list_database_names()
        databases = [name for name in names if name not in {*_SERVERS_OWN, own_database}]
    return {
        (database, entry["name"]): entry["options"]
        for database in databases
        async for entry in await client[database].list_collections()
        if entry["type"] == "collection"
        and not entry["name"].startswith("system.")
        and (options.collections is None or entry["name"] in options.collections)
    }
