"""Readers as tests use them: made from options, closed at the end, asked for so many events."""

from __future__ import annotations

from contextlib import AsyncExitStack
from itertools import pairwise
from types import TracebackType
from typing import Any, Self, TypeAlias

import anyio
import bson
from pymongo import AsyncMongoClient

from eventbus.model import Batch, Event, Position, Section, Slot
from eventbus.sdk import SourceContext
from eventbus.sources.mongodb import MongoOptions, MongoSource
from eventbus.sources.mongodb.reader import MongoReader

APP_NAME = "eventbus-sources-test"
HANG_SECS = 60.0
"""Nothing is timed by it: a test that gets here has failed already."""

Client: TypeAlias = AsyncMongoClient[dict[str, Any]]
Document: TypeAlias = dict[str, Any]


def impatient_client(uri: str) -> Client:
    """A client that notices soon when the server is gone."""
    return AsyncMongoClient(
        uri,
        appname=APP_NAME,
        serverSelectionTimeoutMS=2000,
        heartbeatFrequencyMS=500,
        connectTimeoutMS=1000,
    )


class Watch:
    """Makes readers, and closes them at the end."""

    def __init__(self, client: Client, database: str) -> None:
        self.client = client
        self.name = database
        self.database = client[database]
        self.closing = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.closing.aclose()

    def source(
        self,
        *,
        client: Client | None = None,
        own_database: str | None = None,
        own_collection: tuple[str, str] | None = None,
        **options: Any,
    ) -> MongoSource:
        """A source; without any option, of the whole database."""
        context = SourceContext("test", client or self.client, own_database, own_collection)
        return MongoSource(MongoOptions(**({"database": self.name} | options)), context)

    async def reader(self, start: Position | None = None, **options: Any) -> Reading:
        """A reader from a position, by default from now."""
        source = self.source(**options)
        start = start or await source.now()
        reader = source.reader(start)
        assert isinstance(reader, MongoReader)
        reading = Reading(reader, start)
        self.closing.push_async_callback(reading.reader.close)
        return reading


class Reading:
    """A reader, and what it has returned so far."""

    def __init__(self, reader: MongoReader, start: Position) -> None:
        self.reader = reader
        self.position = start
        self.slots: list[Slot] = []

    async def batch(self) -> Batch:
        """The next batch; sees that positions never go back and that all of it lies behind the last one."""
        with anyio.fail_after(HANG_SECS):
            return await self._batch()

    async def take(self, count: int) -> list[Slot]:
        """The next `count` changes, which must be the end of a batch."""
        slots: list[Slot] = []
        with anyio.fail_after(HANG_SECS):
            while len(slots) < count:
                slots += (await self._batch()).slots
        assert len(slots) == count
        return slots

    async def until(self, token: str) -> None:
        """Read until the position has reached a token."""
        with anyio.fail_after(HANG_SECS):
            while self.position.token < token:
                await self._batch()

    async def _batch(self) -> Batch:
        batch = await self.reader.next()
        assert batch is not None
        tokens = [self.position.token, *batch.tokens]
        assert all(a < b for a, b in pairwise(tokens)), "out of order, or twice"
        assert batch.end.token >= tokens[-1], "the position went back"
        self.position = batch.end
        self.slots += batch.slots
        return batch

    async def events(self, count: int) -> list[Event]:
        """The next `count` events, none of them parked."""
        slots = await self.take(count)
        assert all(isinstance(slot, Event) for slot in slots)
        return [slot.event for slot in slots]


def document(section: Section) -> Document:
    """A section as a document."""
    assert isinstance(section, bytes)
    return bson.decode(section)


def ids(events: list[Event]) -> list[Any]:
    """The ``_id`` of each event's document."""
    return [document(event.document_key)["_id"] for event in events]
