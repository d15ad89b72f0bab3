"""Documents of the simulated source, read between its changes as `eventbus.sdk.SnapshotSource` promises it.

It is nastier than a real one where it may be: the place of each reading is drawn, so that two readers of one
snapshot hardly ever find a document at the same place, nor in the same state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from eventbus.model import Batch, Event, Position, Slot, Snapshot

if TYPE_CHECKING:
    from tests.runtime.history import History

__all__ = ["Splicing", "version_of"]


def version_of(read: Event) -> str:
    """Token of the last change of its key that a reading knows of; empty if there was none."""
    assert read.attributes is not None
    return str(read.attributes["version"])


class Splicing:
    """How far one reader has come with the documents.

    Args:
        history: What happens.
        start: Where the reader starts.
        rng: Where the places come from.
    """

    def __init__(self, history: History, start: Position, rng: Random) -> None:
        assert start.snapshot is not None
        self._history = history
        self._snapshot: Snapshot = start.snapshot
        self._end = start
        self._rng = rng
        self._floor: int | None = None

    @property
    def is_finished(self) -> bool:
        """Whether all documents were read."""
        return self._snapshot.is_finished

    def splice(self, batch: Batch, first: int) -> Batch:
        """The same batch with documents somewhere in it.

        An earlier reader may have given everything up to the present: no document may come before that.

        Args:
            batch: What the stream brought.
            first: Index of its first change.
        """
        if self._floor is None:
            self._floor = len(self._history.events)
        least = max(0, self._floor - first)
        if self.is_finished or least > len(batch):
            return self._marked(batch.slots, (), (), batch.end)
        place = self._rng.randint(least, len(batch))
        before, behind = batch.slots[:place], batch.slots[place:]
        base = before[-1].event.token if before else self._end.token.partition("/")[0]
        earlier = self._snapshot
        rows = self._rows(base, first + place)
        return self._marked(before, rows, behind, batch.end, earlier)

    def _marked(
        self,
        before: Sequence[Slot],
        rows: Sequence[Event],
        behind: Sequence[Slot],
        end: Position,
        earlier: Snapshot | None = None,
    ) -> Batch:
        """One batch of it all, each slot with how far the snapshot has come there."""
        slots: list[Slot] = [_with_snapshot(slot.event, earlier or self._snapshot) for slot in before]
        slots += rows
        slots += [_with_snapshot(slot.event, self._snapshot) for slot in behind]
        end = replace(end, snapshot=self._snapshot)
        if slots and end.token < slots[-1].event.token:
            end = slots[-1].event.position
        self._end = end
        return Batch(slots, end)

    def _rows(self, base: str, place: int) -> Sequence[Event]:
        """The next documents as they are before the change of index `place`; it notes how far they reach."""
        versions = self._history.versions(place)
        scope, after = self._snapshot.scope, self._snapshot.after or b""
        left = sorted(key for key in versions if key.encode() > after and (not scope or key.encode() < scope))
        rows = []
        known = _number(self._end.token) if self._end.token.startswith(f"{base}/") else 0
        for number, key in enumerate(left[: self._rng.randint(1, 5)], known + 1):
            read = self._snapshot.read + 1
            self._snapshot = replace(self._snapshot, collection="orders", after=key.encode(), read=read)
            rows.append(self._row(f"{base}/{number:012}", key, versions[key]))
        if len(rows) == len(left):
            self._snapshot = replace(self._snapshot, is_finished=True)
            if rows:
                rows[-1].snapshot = self._snapshot
        return rows

    def _row(self, token: str, key: str, version: Event | None) -> Event:
        return Event(
            token=token,
            operation="read",
            database="shop",
            collection="orders",
            cluster_time=self._end.cluster_time,
            document_key={"_id": key},
            key=key.encode(),
            size=1,
            attributes={
                "fate": self._history.documents.get(key, "deliver"),
                "version": version.token if version is not None else "",
            },
            id=f"{self._snapshot.id}:{key}",
            snapshot=self._snapshot,
        )


def _number(token: str) -> int:
    """Which document it stands for of those between two changes: an earlier snapshot may have had some."""
    return int(token.partition("/")[2] or 0)


def _with_snapshot(event: Event, snapshot: Snapshot) -> Event:
    """The same change as another reader sees it."""
    return Event(
        token=event.token,
        operation=event.operation,
        database=event.database,
        collection=event.collection,
        cluster_time=event.cluster_time,
        document_key=event.document_key,
        key=event._key,
        size=event.size,
        attributes=event.attributes,
        snapshot=snapshot,
    )
