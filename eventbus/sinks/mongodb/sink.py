"""Writes a batch as one unordered bulk for each collection.

The route never puts two events of a key into one call, so that the order of writes does not matter, and the
failure of one stops no other. Whatever the driver sends again by itself the server recognises as the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Final, TypeAlias

import anyio
import pymongo
from pydantic import BaseModel
from pymongo import AsyncMongoClient, ReadPreference
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError, PyMongoError
from pymongo.errors import ConfigurationError as DriverConfigurationError
from pymongo.write_concern import WriteConcern

from eventbus.encoding.template import Template
from eventbus.sdk import (
    DELIVERED,
    Carries,
    ConfigurationError,
    Encoded,
    Encoder,
    EncodingError,
    Event,
    Failure,
    Message,
    Outcome,
    ProbeStep,
    Rejected,
    SinkTraits,
    Unreachable,
)
from eventbus.sinks.mongodb.address import addresses_of, tls_of
from eventbus.sinks.mongodb.aggregation import Aggregation
from eventbus.sinks.mongodb.contributions import Contributions
from eventbus.sinks.mongodb.options import MongoSinkOptions
from eventbus.sinks.mongodb.outcomes import outcome_of, outcomes_of, reason_of
from eventbus.sinks.mongodb.transactions import MongoTransactions
from eventbus.sinks.mongodb.writes import MARKED_UNTIL, Inserts, Mirror, Write
from eventbus.sinks.reaching import probed

__all__ = ["MongoSink"]

_LARGEST: Final = 16 << 20
_CLOSE_SECS: Final = 1.0
_POOL_SIZE: Final = 16
_KEEP_SECS: Final = 7 * 86400.0
"""So long an aggregate knows what it has counted: a daemon may be away for days before it reads it again."""
_DURABLY: Final = WriteConcern("majority", j=True)
_INDEX: Final = "eventbus_markers"
_Document: TypeAlias = dict[str, Any]
_ONE_AFTER_THE_OTHER: Final = SinkTraits(lanes=1, max_batch=500, max_batch_bytes=4 << 20, keeps_order=True)
"""Two transactions at the same time would wait for each other's groups."""


class MongoSink:
    """Writes documents to one deployment.

    Args:
        name: Name of the sink in the configuration.
        options: What users wrote.
    """

    Options: ClassVar[type[BaseModel]] = MongoSinkOptions
    carries: ClassVar[Carries] = Carries(any_bytes=False)  # events are read as JSON
    traits = SinkTraits(lanes=4, max_batch=500, max_batch_bytes=4 << 20, max_slice=1000)

    def __init__(self, name: str, options: MongoSinkOptions) -> None:
        self.name = name
        self._uri = options.uri.get_secret_value()
        self._timeout_secs = options.timeout
        self._database = Template(options.database or "{database}")
        self._collection = Template(options.collection or "{collection}")
        self._aggregation = Aggregation(options.aggregate) if options.aggregate is not None else None
        self._contributions: Contributions | None = None
        if self._aggregation is not None:
            own = "marker_ttl" in options.model_fields_set
            keep_secs = options.marker_ttl if own else _KEEP_SECS
            self._contributions = Contributions(self._aggregation, self._collection_of, keep_secs)
            self.traits = _ONE_AFTER_THE_OTHER
        self._leaves_markers = options.guard and options.deletes == "mirror"
        self._content = _content(options)
        self._place_of_positions = options.positions.replace(".", "/", 1)
        self._client: AsyncMongoClient[_Document] | None = None
        self._ready: set[str] = set()

    async def open(self) -> None:
        """Connect, and wait for a primary.

        Raises:
            Unreachable: There is none now, or it refuses us, which may be mended there.
            ConfigurationError: The driver does not understand the URI.
        """
        if self._client is None:
            self._client = self._connected()
        with anyio.CancelScope(shield=True):  # see `send`
            try:
                await self._client.admin.command("ping")
            except DriverConfigurationError as error:
                raise ConfigurationError(f"mongodb sink {self.name}: uri: {reason_of(error)}") from None
            except PyMongoError as error:
                raise Unreachable(f"mongodb sink {self.name}: {reason_of(error)}") from error

    def probe(self) -> AsyncGenerator[ProbeStep, None]:
        """See `eventbus.sdk.ProbedSink`."""
        try:
            tls = tls_of(self._uri)
        except OSError as error:
            raise ConfigurationError(f"mongodb sink {self.name}: uri: certificates: {error}") from None
        addresses = addresses_of(self._uri)
        return probed(self, addresses, tls=tls, timeout_secs=self._timeout_secs, last="authenticate")

    async def close(self) -> None:
        """Release the connections; a dead server holds up nobody."""
        client, self._client = self._client, None
        if client is not None:
            with anyio.move_on_after(2 * _CLOSE_SECS, shield=True), pymongo.timeout(_CLOSE_SECS):
                if self._contributions is not None:
                    await self._contributions.close()
                await client.close()

    def encode(self, event: Event, encoder: Encoder) -> Encoded:
        """See `eventbus.sdk.Sink`. A message of an event that is passed over has no target."""
        content = self._aggregation or self._content
        if not content.concerns(event):
            return Message(event, b"")
        try:
            body = self._aggregation.body(event) if self._aggregation else self._content.body(event, encoder)
        except EncodingError as error:
            return Rejected(str(error), Failure.ENCODING)
        if len(body) > _LARGEST:
            return Rejected(f"{len(body)} bytes, more than a document may have", Failure.TOO_LARGE)
        return Message(event, body, target=f"{self._database.render(event)}/{self._collection.render(event)}")

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `eventbus.sdk.Sink`.

        Cancelling the driver would be worse than waiting for it, which is bounded: on Python 3.11 a task that
        waits for a server or a connection can be left behind with the lock of the whole client.
        """
        outcomes: list[Outcome] = [DELIVERED] * len(messages)
        if self._contributions is not None:
            return await self._aggregated(self._contributions, messages)
        with anyio.CancelScope(shield=True), pymongo.timeout(self._timeout_secs):
            for target, writes in self._by_target(messages).items():
                answers = await self._write(target, list(writes.values()))
                for index, outcome in zip(writes, answers, strict=True):
                    outcomes[index] = outcome
        return outcomes

    async def _aggregated(
        self, contributions: Contributions, messages: Sequence[Message]
    ) -> Sequence[Outcome]:
        """Each target by itself, its messages in their order."""
        outcomes: list[Outcome] = [DELIVERED] * len(messages)
        targets = dict.fromkeys(message.target for message in messages if message.target)
        with anyio.CancelScope(shield=True), pymongo.timeout(self._timeout_secs):
            for target in targets:
                own = [index for index, message in enumerate(messages) if message.target == target]
                answers = await contributions.send(target, [messages[index] for index in own])
                for index, outcome in zip(own, answers, strict=True):
                    outcomes[index] = outcome
        return outcomes

    def transactions(self, route: str) -> MongoTransactions:
        """See `eventbus.sdk.TransactionalSink`."""
        if self._contributions is not None:
            raise ConfigurationError("mode aggregate counts everything once by itself: leave delivery out")
        return MongoTransactions(
            partial(self._collection_of, self._place_of_positions),
            route,
            self._by_target,
            self._prepared,
            self._timeout_secs,
        )

    def _collection_of(self, target: str) -> AsyncCollection[_Document]:
        assert self._client is not None, "the sink is not open"
        database, _, name = target.partition("/")
        return self._client.get_database(
            database, write_concern=_DURABLY, read_preference=ReadPreference.PRIMARY
        )[name]

    def _by_target(self, messages: Sequence[Message]) -> Mapping[str, Mapping[int, Write]]:
        """What is to be written to each collection, by the index of its message."""
        found: defaultdict[str, dict[int, Write]] = defaultdict(dict)
        for index, message in enumerate(messages):
            if message.target:
                found[message.target][index] = self._content.write(message)
        return found

    async def _write(self, target: str, writes: Sequence[Write]) -> Sequence[Outcome]:
        try:
            collection = await self._prepared(target)
            await collection.bulk_write(writes, ordered=False)
        except BulkWriteError as error:
            own = self._content
            return outcomes_of(error, len(writes), names=own.names, is_repeatable=own.is_repeatable)
        except PyMongoError as error:
            return [outcome_of(error)] * len(writes)
        return [DELIVERED] * len(writes)

    async def _prepared(self, target: str) -> AsyncCollection[_Document]:
        """The collection, having seen to it that markers go when their time has come."""
        collection = self._collection_of(target)
        if self._leaves_markers and target not in self._ready:
            await collection.create_index(MARKED_UNTIL, name=_INDEX, expireAfterSeconds=0, sparse=True)
            self._ready.add(target)
        return collection

    def _connected(self) -> AsyncMongoClient[_Document]:
        try:
            return AsyncMongoClient(
                self._uri,
                appName=f"eventbus-sink-{self.name}",
                maxPoolSize=_POOL_SIZE,
                retryWrites=True,
                timeoutMS=round(self._timeout_secs * 1000),
                connectTimeoutMS=round(self._timeout_secs * 1000),
            )
        except (ValueError, TypeError, OSError, PyMongoError):  # the driver's words may quote a password
            raise ConfigurationError(
                f"mongodb sink {self.name}: uri: the driver does not understand it"
            ) from None


def _content(options: MongoSinkOptions) -> Inserts | Mirror:
    if options.mode == "insert":
        return Inserts()
    return Mirror(
        options.fields,
        deletes=options.deletes == "mirror",
        marker_secs=options.marker_ttl if options.guard else None,
    )
