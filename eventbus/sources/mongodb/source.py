"""The source ``mongodb``: what of a subscription needs no cursor yet, and the readers that do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from eventbus.errors import ConfigurationError, Unreachable
from eventbus.model import ClusterTime, Position, PositionKind, Snapshot
from eventbus.sdk import SourceContext, SourcePolicy
from eventbus.sources.mongodb.beginning import begun
from eventbus.sources.mongodb.cursor import ServerCursor, can_split
from eventbus.sources.mongodb.errors import Reaction, failure_of
from eventbus.sources.mongodb.explanation import explanation
from eventbus.sources.mongodb.inventory import Inventory
from eventbus.sources.mongodb.options import MongoOptions, SnapshotOptions
from eventbus.sources.mongodb.probe import probe
from eventbus.sources.mongodb.reader import MongoReader
from eventbus.sources.mongodb.resumption import Resumption, resumption
from eventbus.sources.mongodb.snapshot_reader import SnapshotReader
from eventbus.sources.mongodb.stream import StreamSpec, stream_spec
from eventbus.sources.mongodb.tokens import cluster_time_of, high_water_mark, position_of

__all__ = ["MongoSource"]


class MongoSource:
    """Changes of collections, of a database or of a whole cluster, from MongoDB's change streams.

    Args:
        options: What the user wrote under ``source``.
        context: What the daemon provides.
    """

    Options: ClassVar[type[BaseModel]] = MongoOptions

    def __init__(self, options: MongoOptions, context: SourceContext) -> None:
        self.policy = SourcePolicy(options.snapshot.mode, options.on_position_lost, options.gap_events)
        self._options = options
        self._subscription = context.subscription
        self._own_database = context.own_database
        self._client: AsyncMongoClient[Any] = context.client
        self._spec: StreamSpec = stream_spec(
            options, context.subscription, context.own_database, context.own_collection
        )
        self._inventory = Inventory(context.client, options, context.own_database, context.own_collection)

    @staticmethod
    def sets(options: MongoOptions) -> Iterable[str]:
        """The names that its events have besides those that every event has; see `eventbus.sdk.Source`."""
        return options.classify or ()

    def explain(self) -> Mapping[str, Any]:
        """What of it runs in the server; see `eventbus.sdk.ExplainedSource`."""
        return explanation(self._options, self._spec)

    async def check(self) -> None:
        """Try everything that can be tried without reading; see `eventbus.sdk.Source`."""
        place = f"subscriptions.{self._subscription}.source"
        if self._options.database == self._own_database is not None and self._options.collections is None:
            raise ConfigurationError(
                f"{place}.database: {self._own_database} holds eventbus's own state, whose changes are never "
                "read: name the collections, or keep the state in a database of its own"
            )
        await probe(self._client, self._spec, place)

    async def now(self) -> Position:
        """The position of the present moment; see `eventbus.sdk.Source`."""
        try:
            stages = self._spec.stages(splits=await can_split(self._client))
            cursor = await ServerCursor.open(self._client, self._spec, stages, {})
        except PyMongoError as error:
            failure = failure_of(error)
            if failure.reaction is Reaction.FATAL_CONFIGURATION:
                raise ConfigurationError(
                    f"subscriptions.{self._subscription}.source: {failure.reason}"
                ) from None
            raise Unreachable(f"MongoDB: {failure.reason}") from None
        await cursor.close()
        opened = cursor.opened
        if opened.token is not None:
            return position_of(opened.token, PositionKind.IDLE)
        assert opened.operation_time is not None  # every member of a replica set says it
        return high_water_mark(opened.operation_time)

    async def oldest(self) -> Position:
        """The position before the oldest entry of the oplog; see `eventbus.sdk.Source`."""
        try:
            oplog = self._client["local"]["oplog.rs"]
            first = await oplog.find_one({}, {"ts": 1}, sort=[("$natural", 1)])
        except PyMongoError as error:
            failure = failure_of(error)
            if failure.reaction is Reaction.FATAL_CONFIGURATION:
                raise ConfigurationError(
                    f"mongodb.uri: the oldest change that is left cannot be asked for: {failure.reason} (the "
                    "user needs the privilege find on local.oplog.rs, and the server must be no mongos)"
                ) from None
            raise Unreachable(f"MongoDB: {failure.reason}") from None
        assert first is not None  # an oplog is never empty
        return high_water_mark(ClusterTime(first["ts"].time, first["ts"].inc + 1))

    def at(self, time: ClusterTime) -> Position:
        """The position just before everything that was committed at `time`."""
        return high_water_mark(time)

    def position(self, token: str) -> Position:
        """The position that a token's ``_data`` stands for; see `eventbus.sdk.Source`."""
        data = token.upper()  # the server compares tokens as text in capitals
        try:
            return Position(data, PositionKind.EVENT, cluster_time_of(data))
        except ValueError:
            raise ConfigurationError(
                f"{token!r} is no resume token of MongoDB: those are hexadecimal digits that begin with 82"
            ) from None

    async def resumption(self, position: Position) -> Resumption:
        """How a reader would go on from a stored position: the server is asked, and nothing is read.

        Raises:
            PositionLost: It cannot.
            ConfigurationError: The server refuses the subscription.
            Unreachable: The server does not answer now.
        """
        return await resumption(self._client, self._spec, position)

    def reader(self, start: Position) -> MongoReader | SnapshotReader:
        """A reader of everything after `start`; see `eventbus.sdk.Source`."""
        if start.snapshot is None:
            return MongoReader(self._client, self._spec, self._subscription, start)
        return SnapshotReader(
            self._client, self._spec, self._subscription, start, self._inventory, self._options.snapshot
        )

    async def begin_snapshot(
        self, snapshot_id: str, *, collections: Sequence[str] = (), match: Mapping[str, Any] | None = None
    ) -> Snapshot:
        """A snapshot that has read nothing yet; see `eventbus.sdk.SnapshotSource`.

        Args:
            snapshot_id: Names it.
            collections: Which collections to read; with their databases if the source is a whole cluster.
            match: A filter of MQL for their documents, with values in Extended JSON.

        Raises:
            Unreachable: The server does not answer now.
            ConfigurationError: There is nothing of that kind to be read.
        """
        return await begun(self._client, self._spec, self._inventory, snapshot_id, collections, match)


def _policy(options: SnapshotOptions) -> SourcePolicy:
    return SourcePolicy(snapshot=options.mode)
