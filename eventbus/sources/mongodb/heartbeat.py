"""Updates a document now and then, so that a deployment in which nothing happens has changes to report."""

from __future__ import annotations

from typing import Any, Final

import anyio
import pymongo
import structlog
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from eventbus.sources.mongodb.errors import failure_of
from eventbus.telemetry import metrics

__all__ = ["keep_beating"]

_LONGEST_SECS: Final = 2.0
"""The most that one update may take: nothing waits for it but the end of the process."""

log = structlog.get_logger("eventbus.source")


async def keep_beating(
    client: AsyncMongoClient[Any], *, instance: str, database: str, collection: str, every_secs: float
) -> None:
    """Update the daemon's own document until cancelled.

    It never fails: while the deployment is away, or refuses, that is said once.

    Args:
        client: A client of the deployment that is read.
        instance: Name of the daemon, which is the document's ``_id``.
        database: Of the collection.
        collection: Where the document is.
        every_secs: How long to rest after each update.
    """
    refusal: str | None = None
    while True:
        before, refusal = refusal, await _refusal(client, instance, database, collection)
        metrics.heartbeat_written(ok=refusal is None)
        if refusal is not None and before is None:
            log.warning("heartbeat_failed", reason=refusal)
        if refusal is None and before is not None:
            log.info("heartbeat_resumed")
        await anyio.sleep(every_secs)


async def _refusal(
    client: AsyncMongoClient[Any], instance: str, database: str, collection: str
) -> str | None:
    """Why the document could not be updated; None if it was."""
    beat = {"$currentDate": {"at": True}}
    try:
        with anyio.CancelScope(shield=True), pymongo.timeout(_LONGEST_SECS):
            await client[database][collection].update_one({"_id": instance}, beat, upsert=True)
    except PyMongoError as error:
        return failure_of(error).reason
    return None
