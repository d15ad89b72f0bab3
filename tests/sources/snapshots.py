"""Snapshots as tests take them: begun, read to their end, and what a receiver makes of what comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, TypeAlias

import anyio
import bson

from eventbus.model import Batch, Event, Position, Slot
from eventbus.sdk import SnapshotSource
from eventbus.sources.mongodb.snapshot_reader import SnapshotReader
from tests.sources.watching import HANG_SECS, Document, Watch, document

Key: TypeAlias = tuple[str, Any]


class SnapshotReading:
    """A reader of a snapshot, and what it has returned so far."""

    def __init__(self, reader: SnapshotReader, start: Position) -> None:
        self.reader = reader
        self.position = start
        self.batches: list[Batch] = []

    @property
    def slots(self) -> list[Slot]:
        """All that came."""
        return [slot for batch in self.batches for slot in batch.slots]

    @property
    def is_finished(self) -> bool:
        """Whether all documents came."""
        return self.position.snapshot is not None and self.position.snapshot.is_finished

    async def batch(self) -> Batch:
        """The next batch; sees that positions never go back, and that each says how far the snapshot is."""
        with anyio.fail_after(HANG_SECS):
            batch = await self.reader.next()
        assert batch is not None
        tokens = [self.position.token, *batch.tokens]
        assert all(a < b for a, b in pairwise(tokens)), "out of order, or twice"
        assert batch.end.token >= tokens[-1], "the position went back"
        states = [slot.event.position.snapshot for slot in batch.slots] + [batch.end.snapshot]
        assert all(states)
        self.position = batch.end
        self.batches.append(batch)
        return batch

    async def finish(self) -> list[Event]:
        """Read to the end of the snapshot; the documents in it."""
        while not self.is_finished:
            await self.batch()
        return reads(self.slots)


async def snapshot(
    watch: Watch,
    *,
    only: Sequence[str] = (),
    where: Mapping[str, Any] | None = None,
    start: Position | None = None,
    **options: Any,
) -> SnapshotReading:
    """A reader of a new snapshot from now, or of the one that a position is in.

    Args:
        watch: Where.
        only: The collections of the snapshot, of those of the source.
        where: The snapshot's own filter.
        start: The position to go on from.
        options: Those of the source; without any, it is the whole database.
    """
    source = watch.source(**options)
    assert isinstance(source, SnapshotSource)
    if start is None:
        begun = await source.begin_snapshot("snap", collections=only, match=where)
        start = replace(await source.now(), snapshot=begun)
    reader = source.reader(start)
    assert isinstance(reader, SnapshotReader)
    watch.closing.push_async_callback(reader.close)
    return SnapshotReading(reader, start)


def reads(slots: Sequence[Slot]) -> list[Event]:
    """The documents that were read."""
    return [slot.event for slot in slots if slot.event.operation == "read"]


class Receiver:
    """Keeps the last state of every document, and sees that none goes backwards or repeats itself.

    Every write of a document gives it a higher ``v``.
    """

    def __init__(self) -> None:
        self.documents: dict[Key, Document] = {}
        self._versions: dict[Key, int] = {}
        """The version of the last change or document that came; 0 once it was deleted."""

    def take(self, slots: Sequence[Slot]) -> None:
        """Take in what came."""
        for slot in slots:
            self._take(slot.event)

    def _take(self, event: Event) -> None:
        if event.document_key is None:
            return
        key = (event.collection, bson.encode({"_id": document(event.document_key)["_id"]}))
        match event.operation:
            case "delete":
                self.documents.pop(key, None)
                self._versions[key] = 0
            case "update":
                changed = document(event.changed)
                assert changed["v"] > self._versions.get(key, 0), "an older change after a newer state"
                if key in self.documents:  # else it will be read, with this change in it
                    self.documents[key] |= changed
                self._versions[key] = changed["v"]
            case "read":
                read = document(event.document)
                assert self._versions.get(key, read["v"]) == read["v"], "not what the changes before it made"
                self.documents[key] = read
                self._versions[key] = read["v"]
            case _:
                written = document(event.document)
                assert written["v"] > self._versions.get(key, 0), "an older change after a newer state"
                self.documents[key] = written
                self._versions[key] = written["v"]
