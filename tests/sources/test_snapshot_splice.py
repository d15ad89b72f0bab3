"""Where documents go among changes, decided for every way in which a stream may be cut into batches."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbus.model import Batch, ClusterTime, Event, Position, PositionKind, Snapshot
from eventbus.sources.mongodb.splice import splice_of, spliced, unspliced
from eventbus.sources.mongodb.tokens import high_water_mark, next_read, server_token

NOW = 1_795_000_000
KEYS = 3


@dataclass(frozen=True)
class Change:
    """The nth change of all, at a cluster time that all changes of a transaction share."""

    version: int
    time: ClusterTime
    key: int

    @property
    def position(self) -> Position:
        return Position(
            f"82{self.time[0]:08X}{self.time[1]:08X}2B042C0100{self.version:04X}", cluster_time=self.time
        )


def event(change: Change) -> Event:
    return Event(
        token=change.position.token,
        operation="update",
        database="shop",
        collection="orders",
        cluster_time=change.time,
        document_key={"_id": change.key},
        document={"version": change.version},
    )


def moment(time: ClusterTime, form: str = "2B0429296E1404") -> Position:
    return Position(high_water_mark(time).token[:18] + form, PositionKind.IDLE, time)


@st.composite
def histories(draw: st.DrawFn) -> list[Change]:
    """Changes and transactions, some in the same second and some in the next."""
    changes: list[Change] = []
    time = ClusterTime(NOW, 0)
    for size in draw(st.lists(st.integers(1, 4), min_size=1, max_size=8)):
        later = draw(st.booleans())
        time = (
            ClusterTime(time.seconds + 1, draw(st.integers(0, 1)))
            if later
            else ClusterTime(time[0], time[1] + 1)
        )
        changes += [Change(len(changes) + i + 1, time, draw(st.integers(1, KEYS))) for i in range(size)]
    return changes


class Stream:
    """A server's stream: batches cut anywhere, and idle polls."""

    def __init__(self, changes: list[Change], data: st.DataObject) -> None:
        self.changes = changes
        self._data = data
        last = changes[-1].time
        self.times = sorted(
            {change.time for change in changes} | {ClusterTime(last.seconds, last.increment + 1)}
        )

    def after(self, position: Position) -> tuple[Batch, bool]:
        """What a poll from a position returns, and whether there was nothing to return."""
        tokens = [change.position.token for change in self.changes]
        first = bisect_right(tokens, server_token(position.token))
        count = self._data.draw(st.integers(0, 4), "changes in the batch")
        taken = self.changes[first : first + count]
        seen = max(taken[-1].position.token if taken else "", server_token(position.token))
        rest = self.changes[first + len(taken) :]
        moments = [
            mark
            for time in self.times
            for form in ("2B0229296E04", "2B0429296E1404")
            if (mark := moment(time, form)).token >= seen and (not rest or time <= rest[0].time)
        ]
        ends = [taken[-1].position] if taken else [replace(position, token=server_token(position.token))]
        end = self._data.draw(st.sampled_from(ends + moments), "end")
        return Batch([event(change) for change in taken], end), not taken and not rest

    def as_of(self, key: int, time: ClusterTime) -> int:
        """Which change made a document what it was at a cluster time."""
        return max((c.version for c in self.changes if c.key == key and c.time <= time), default=0)


class Walk:
    """Reads a stream with documents put into it, as the reader does."""

    def __init__(self, stream: Stream, start: Position) -> None:
        self.stream = stream
        self.start = start
        self.position = start
        self.seen: list[Event] = []

    def poll(self, keys: list[int], *, may_read: bool) -> None:
        batch, is_idle = self.stream.after(self.position)
        was = Snapshot("s", read=len(self.seen))
        splice = splice_of(self.position, batch, is_idle=is_idle)
        if splice is None or not may_read:
            batch = unspliced(batch, self.position, was)
        else:
            token, reads = splice.place.token, []
            for key in keys:
                token = next_read(token)
                version = self.stream.as_of(key, splice.as_of)
                reads.append(read(token, key, version))
            batch = spliced(batch, splice, was, reads, Snapshot("s", read=-1))
        tokens = [self.position.token, *batch.tokens]
        assert all(a < b for a, b in pairwise(tokens)), "out of order"
        assert batch.end.token >= tokens[-1], "the position went back"
        self.position = batch.end
        self.seen += [slot.event for slot in batch.slots]


def read(token: str, key: int, version: int) -> Event:
    return Event(
        token=token,
        operation="read",
        database="shop",
        collection="orders",
        document_key={"_id": key},
        document={"version": version},
    )


@given(st.data())
def test_a_document_is_neither_older_nor_newer_than_the_changes_around_it(data: st.DataObject) -> None:
    """However the stream is cut, wherever it starts, and whenever the reader is replaced by another."""
    changes = data.draw(histories())
    stream = Stream(changes, data)
    starts = [change.position for change in changes] + [moment(time) for time in stream.times]
    walk = Walk(stream, data.draw(st.sampled_from(starts), "start"))
    for _ in range(data.draw(st.integers(1, 12), "polls")):
        keys = data.draw(st.lists(st.integers(1, KEYS), max_size=3), "keys")
        walk.poll(keys, may_read=data.draw(st.booleans(), "may read"))
        if data.draw(st.booleans(), "crash") and walk.seen:
            place = data.draw(st.integers(0, len(walk.seen) - 1), "place")
            walk.position = walk.seen[place].position
            walk.seen = walk.seen[: place + 1]
    for place, one in enumerate(walk.seen):
        if one.operation == "read":
            before = [change.version for change in changes if change.position.token <= walk.start.token]
            before += [version(e) for e in walk.seen[:place] if e.operation == "update"]
            of_key = [v for v in before if changes[v - 1].key == one.document_key["_id"]]  # type: ignore[index,call-overload]
            assert version(one) == max(of_key, default=0)


def version(event: Event) -> int:
    assert isinstance(event.document, dict)
    return int(event.document["version"])


def test_documents_come_at_every_end_but_inside_of_a_transaction() -> None:
    """Else the test above would be content with a snapshot that never gets on."""
    one, two = Change(1, ClusterTime(NOW, 1), 1), Change(2, ClusterTime(NOW, 2), 1)
    also_two, three = Change(3, ClusterTime(NOW, 2), 2), Change(4, ClusterTime(NOW, 3), 1)
    in_two = splice_of(one.position, Batch([event(two)], two.position), is_idle=False)
    assert in_two is not None
    assert (in_two.index, in_two.as_of, in_two.place) == (0, one.time, high_water_mark(two.time))
    assert splice_of(two.position, Batch([event(also_two)], also_two.position), is_idle=False) is None
    behind = splice_of(two.position, Batch([event(also_two), event(three)], three.position), is_idle=False)
    assert behind is not None
    assert (behind.index, behind.as_of) == (1, two.time)
    idle = splice_of(two.position, Batch([], moment(three.time)), is_idle=True)
    assert idle is not None
    assert (idle.index, idle.as_of) == (0, two.time)
    last = splice_of(three.position, Batch([], three.position), is_idle=True)
    assert last is not None
    assert (last.index, last.as_of, last.place) == (0, three.time, three.position)
    assert splice_of(three.position, Batch([], three.position), is_idle=False) is None


def test_an_idle_stream_has_a_place_at_every_poll() -> None:
    """The same moment again and again: what is read goes on counting behind it."""
    mark = moment(ClusterTime(NOW, 1))
    position, tokens = mark, []
    for _ in range(3):
        batch = Batch([], mark)
        splice = splice_of(position, batch, is_idle=True)
        assert splice is not None
        events = [read(next_read(splice.place.token), 1, 0)]
        batch = spliced(batch, splice, Snapshot("s"), events, Snapshot("s", read=1))
        tokens += [*batch.tokens, batch.end.token]
        position = batch.end
    assert tokens == [f"{mark.token}/{count:012d}" for count in range(1, 7)]


def test_a_snapshot_that_ends_without_a_document_moves_the_position() -> None:
    """Else nobody would take notice of it."""
    mark = moment(ClusterTime(NOW, 1))
    splice = splice_of(mark, Batch([], mark), is_idle=True)
    assert splice is not None
    finished = Snapshot("s", is_finished=True)
    batch = spliced(Batch([], mark), splice, Snapshot("s"), [], finished)
    assert batch.end.token > mark.token
    assert batch.end.snapshot == finished


def test_every_slot_says_how_far_the_snapshot_has_come() -> None:
    """Changes before the documents, the documents, changes behind them, and the end."""
    first, second = Change(1, ClusterTime(NOW, 1), 1), Change(2, ClusterTime(NOW, 2), 1)
    batch = Batch([event(first), event(second)], second.position)
    splice = splice_of(moment(first.time), batch, is_idle=False)
    assert splice is not None
    was, now = Snapshot("s"), Snapshot("s", read=1)
    row = read(next_read(splice.place.token), 1, 1)
    row.snapshot = now
    whole = spliced(batch, splice, was, [row], now)
    assert [slot.event.operation for slot in whole.slots] == ["update", "read", "update"]
    assert [slot.event.position.snapshot for slot in whole.slots] == [was, now, now]
    assert whole.end == Position(second.position.token, cluster_time=second.time, snapshot=now)


def test_no_place_where_the_server_closed_the_stream() -> None:
    """What is read was dropped or renamed: the next batch comes from another stream."""
    end = Position(moment(ClusterTime(NOW, 2)).token, PositionKind.INVALIDATE, ClusterTime(NOW, 2))
    assert splice_of(moment(ClusterTime(NOW, 1)), Batch([], end), is_idle=True) is None


@pytest.mark.parametrize(
    ("time", "before"),
    [(ClusterTime(NOW, 5), ClusterTime(NOW, 4)), (ClusterTime(NOW, 0), ClusterTime(NOW - 1, 2**32 - 1))],
)
def test_the_tick_before(time: ClusterTime, before: ClusterTime) -> None:
    """Increments may begin with 0 in a position that people have chosen."""
    splice = splice_of(moment(ClusterTime(NOW - 5, 1)), Batch([], moment(time)), is_idle=True)
    assert splice is not None
    assert splice.as_of == before
