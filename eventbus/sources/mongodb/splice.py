"""Where among the changes of a stream documents may be put that were read beside it. No I/O happens here.

A server can be asked for documents as they were at a cluster time. So there is nothing to reconcile: they are
read as of the very place in the stream at which they are put. docs/decisions/0010-snapshots-are-spliced.md
has the argument in full.

Say a batch ends at cluster time c. Then every change before c was returned, by it or earlier; of the changes
at c, which are one transaction's, perhaps a part. A document as of the tick before c is not older than any
change before c, and not newer than any from c on. So it belongs before the first change of time c, unless one
of those was returned already.

If a poll brings nothing and the stream still ends at a change of time c, then that is the last there is: all
changes of a transaction are there at once. Then a document as of c belongs behind it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from eventbus.model import Batch, ClusterTime, Event, Position, PositionKind, Slot, Snapshot
from eventbus.sources.mongodb.tokens import cluster_time_of, high_water_mark, is_high_water_mark, next_read

__all__ = ["Splice", "splice_of", "spliced", "unspliced"]

_LAST_INCREMENT: Final = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Splice:
    """A place in a batch for documents that were read.

    Args:
        index: How many of the batch's slots come before them.
        place: The position that they lie behind.
        as_of: The cluster time as of which they must be read.
    """

    index: int
    place: Position
    as_of: ClusterTime


def splice_of(before: Position, batch: Batch, *, is_idle: bool) -> Splice | None:
    """The place for documents in a batch; None if it has none.

    Args:
        before: The end of the batch before, or where the reader started.
        batch: What the stream returned.
        is_idle: Whether the server had nothing at all to return, not even a part of a change.
    """
    time = cluster_time_of(batch.end.token)
    if batch.end.kind is PositionKind.INVALIDATE:  # what is to be read was dropped or renamed
        return None
    if is_idle and not is_high_water_mark(batch.end.token):
        return Splice(0, before if before.token > batch.end.token else batch.end, time)
    if cluster_time_of(before.token) >= time and not is_high_water_mark(before.token):
        return None
    mark = high_water_mark(time)
    place = before if before.token > mark.token else mark
    return Splice(bisect_left(batch.tokens, mark.token), place, _tick_before(time))


def spliced(batch: Batch, splice: Splice, was: Snapshot, reads: Sequence[Event], now: Snapshot) -> Batch:
    """The batch with the documents in it, each slot saying how far the snapshot has come there.

    Args:
        batch: What the stream returned.
        splice: Where the documents go.
        was: How far the snapshot had come before.
        reads: The documents, whose tokens follow `splice.place`.
        now: How far it has come behind them.
    """
    slots = batch.slots
    _tell(slots[: splice.index], was)
    _tell(slots[splice.index :], now)
    token = next_read(reads[-1].token if reads else splice.place.token)
    behind = replace(splice.place, token=token)
    end = batch.end if batch.end.token > token else behind
    return Batch([*slots[: splice.index], *reads, *slots[splice.index :]], replace(end, snapshot=now))


def unspliced(batch: Batch, before: Position, snapshot: Snapshot) -> Batch:
    """The batch without any document, each slot saying how far the snapshot has come.

    Args:
        batch: What the stream returned; its end may lie before that of the documents put into the last one.
        before: The end of the batch before, or where the reader started.
        snapshot: How far the snapshot has come.
    """
    _tell(batch.slots, snapshot)
    end = batch.end if batch.end.token > before.token else before
    return Batch(batch.slots, replace(end, snapshot=snapshot))


def _tell(slots: Sequence[Slot], snapshot: Snapshot) -> None:
    """Have each event say how far the snapshot has come."""
    for slot in slots:
        slot.event.snapshot = snapshot


def _tick_before(time: ClusterTime) -> ClusterTime:
    if time.increment:
        return ClusterTime(time.seconds, time.increment - 1)
    return ClusterTime(time.seconds - 1, _LAST_INCREMENT)
