"""Collections beside the stream: what stages look up, one query for a whole batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bson import SON, Timestamp
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from eventbus.errors import Unreachable
from eventbus.model import ClusterTime
from eventbus.sources.mongodb.errors import failure_of

__all__ = ["MongoCollections"]

_MAX_TIME_MS: Final = 10_000
_BATCH: Final = 10_000
_NO_SUCH_TIME: Final = frozenset({239, 246})
"""SnapshotTooOld and SnapshotUnavailable: https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml"""


class MongoCollections:
    """See `eventbus.sdk.Collections`.

    Args:
        client: That of the deployment whose changes are read.
    """

    def __init__(self, client: AsyncMongoClient[Any]) -> None:
        self._client = client

    async def find(
        self,
        database: str,
        collection: str,
        field: str,
        values: Sequence[Any],
        *,
        fields: Sequence[str] = (),
        at: ClusterTime | None = None,
    ) -> Sequence[Mapping[str, Any]] | None:
        """See `eventbus.sdk.Collections`."""
        command: SON[str, Any] = SON(find=collection, filter={field: {"$in": list(values)}}, batchSize=_BATCH)
        command["maxTimeMS"] = _MAX_TIME_MS
        if fields:
            command["projection"] = dict.fromkeys(_outermost([*fields, field]), 1)
        if at is not None:
            command["readConcern"] = {"level": "snapshot", "atClusterTime": Timestamp(*at)}
        try:
            return await self._all(database, command)
        except PyMongoError as error:
            if at is not None and getattr(error, "code", None) in _NO_SUCH_TIME:
                return None
            raise _away(database, collection, error) from error

    async def has(self, database: str, collection: str) -> bool:
        """See `eventbus.sdk.Collections`."""
        try:
            return bool(await self._client[database].list_collection_names(filter={"name": collection}))
        except PyMongoError as error:
            raise _away(database, collection, error) from error

    async def _all(self, database: str, command: SON[str, Any]) -> list[dict[str, Any]]:
        preference = self._client.read_preference
        async with self._client.start_session(causal_consistency=False) as session:
            cursor = await self._client[database].cursor_command(
                command, session=session, read_preference=preference
            )
            async with cursor:
                return [document async for document in cursor]


def _outermost(paths: Sequence[str]) -> list[str]:
    """Those that are in no other, since the server takes no path together with one inside of it."""
    return [path for path in dict.fromkeys(paths) if not any(path.startswith(f"{other}.") for other in paths)]


def _away(database: str, collection: str, error: PyMongoError) -> Unreachable:
    """What the driver raised: also what the server refuses now may be allowed later."""
    return Unreachable(f"{database}.{collection} cannot be read: {failure_of(error).reason}")
