"""Where a reader stands, and how it goes on after each page and each failure. It decides; it does no I/O.

Two places are kept apart. The *position* is what the reader has returned: it never goes back, and nothing
at or before it is returned again. The *origin* is where the stream would be opened next: it is the same
place, except while a stream that was opened at a cluster time has not reached the position yet.

Tokens are compared by their text, never by cluster time: the changes of a transaction share theirs.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any, Final, assert_never

from eventbus.errors import ConfigurationError, PositionLost
from eventbus.model import Batch, ClusterTime, Event, Parked, Position, PositionKind, Slot
from eventbus.sources.mongodb.errors import Failure, Reaction
from eventbus.sources.mongodb.tokens import cluster_time_of, resume_token, timestamp_of

__all__ = ["Course", "Reading"]

_BATCH: Final = 1000
_CAREFUL_EVENTS: Final = 1000
"""A reply that failed held no more changes than this, so the one that is too large is among them."""
_CLOCK_MARGIN_SECS: Final = 10
"""The token of a stream that has just been opened is one tick ahead of the server's clock, and the clock of a
new primary may be a little behind the old one's."""
_TOO_LARGE: Final = "the change is larger than the 16 MiB that MongoDB can send"


class Reading(Enum):
    """How changes are asked for."""

    FREELY = auto()
    """Many at a time."""
    ONE_BY_ONE = auto()
    """Up to the change that is too large to be sent: it would take all others of its reply with it."""
    IDENTITY = auto()
    """Only what names the next change, for it is the one that is too large."""


class Course:
    """The state of one reader.

    Args:
        start: Everything up to here was read before.
    """

    def __init__(self, start: Position) -> None:
        self.position = start
        self.reading = Reading.FREELY
        self._origin = start
        self._at_cluster_time = False
        self._refused: str | None = None
        self._careful_events = 0

    @property
    def batch_size(self) -> int:
        """How many changes to ask for at most."""
        return _BATCH if self.reading is Reading.FREELY else 1

    def start(self) -> dict[str, Any]:
        """The option of ``$changeStream`` that opens the stream where it must go on.

        Raises:
            PositionLost: The position is no place in a stream of MongoDB.
        """
        try:
            cluster_time_of(self._origin.token)
        except ValueError as error:
            raise PositionLost(f"the stored position is {error}") from None
        if self._at_cluster_time:
            return {"startAtOperationTime": timestamp_of(self._reopening_time())}
        how = "startAfter" if self._origin.kind is PositionKind.INVALIDATE else "resumeAfter"
        return {how: resume_token(self._origin)}

    def check_clock(self, server: ClusterTime | None) -> None:
        """See that the server's clock has reached the position.

        The server takes a position of its future without a word and waits for it; but nothing is read from
        a replica set that it has not committed, so such a set was restored, or is another one.

        Raises:
            PositionLost: The position lies in the server's future.
        """
        time = cluster_time_of(self.position.token)
        if server is not None and time.seconds > server.seconds + _CLOCK_MARGIN_SECS:
            raise PositionLost(
                f"the position, {_clock(time)}, lies in the future of the server, whose clock is at "
                f"{_clock(server)}: the data was restored from a backup, or this is another cluster"
            )

    def advance(self, events: Sequence[Event], end: Position, *, in_fragments: bool, closed: bool) -> Batch:
        """Take in a page of the stream.

        Args:
            events: Its changes.
            end: What the server says that everything up to it is read.
            in_fragments: The page ends inside a change.
            closed: The server has closed the stream behind this page, as it does after an invalidate.

        Returns:
            What of it is new.
        """
        seen = self._end_of(events, end, in_fragments=in_fragments, closed=closed)
        slots: list[Slot] = list(self._new(events))
        if self.reading is Reading.IDENTITY and events:
            slots = [Parked(slot.event, _TOO_LARGE) for slot in slots[:1]]
            seen = events[0].position
        if seen.token != self._origin.token or seen.kind is PositionKind.INVALIDATE:
            self._origin = seen
            self._at_cluster_time = False
        if seen.token >= self.position.token:
            self.position = seen
        self._read(len(events) + in_fragments)
        return Batch(slots, self.position)

    def fail(self, failure: Failure) -> None:
        """Take in a failure: afterwards `start` says how to go on.

        Raises:
            PositionLost: There is no going on from here.
            ConfigurationError: There is none with this configuration.
        """
        match failure.reaction:
            case Reaction.RESUME:
                pass
            case Reaction.RESUME_AFTER_INVALIDATE:
                if self._origin.kind is PositionKind.INVALIDATE:
                    raise self._lost(failure)
                self._origin = replace(self._origin, kind=PositionKind.INVALIDATE)
            case Reaction.REOPEN_AT_CLUSTER_TIME:
                if self._refused == self.position.token:
                    raise ConfigurationError(f"source.pipeline: {failure.reason}")
                self._refused = self.position.token
                self._origin = self.position
                self._at_cluster_time = True
            case Reaction.OVERSIZE:
                if self.reading is Reading.IDENTITY:
                    raise self._lost(failure)
                careful = self.reading is Reading.ONE_BY_ONE
                self.reading = Reading.IDENTITY if careful else Reading.ONE_BY_ONE
                self._careful_events = 0
            case Reaction.HISTORY_LOST:
                raise self._lost(failure)
            case Reaction.FATAL_CONFIGURATION:
                raise ConfigurationError(f"source: {failure.reason}")
            case _:
                assert_never(failure.reaction)

    def _reopening_time(self) -> ClusterTime:
        """The first moment that may hold something new."""
        time = cluster_time_of(self._origin.token)
        if (
            self._origin.kind is PositionKind.INVALIDATE
        ):  # nothing else has the cluster time of a drop or rename
            return ClusterTime(time.seconds, time.increment + 1)
        return time

    def _end_of(
        self, events: Sequence[Event], end: Position, *, in_fragments: bool, closed: bool
    ) -> Position:
        """How far the stream is read."""
        last = events[-1].position if events else None
        if in_fragments:  # `end` is the token of a fragment
            return last or self._origin
        if closed:
            return replace(end, kind=PositionKind.INVALIDATE)
        if last is not None and last.token >= end.token:
            return last
        return self._origin if end.token == self._origin.token else end

    def _new(self, events: Sequence[Event]) -> Sequence[Event]:
        if not events or events[0].token > self.position.token:
            return events
        return events[bisect_right(events, self.position.token, key=lambda event: event.token) :]

    def _read(self, count: int) -> None:
        """Read freely again once the change that was too large is behind, or is not there after all."""
        self._careful_events += count
        if not count or self._careful_events >= _CAREFUL_EVENTS or self.reading is Reading.IDENTITY:
            self.reading = Reading.FREELY

    def _lost(self, failure: Failure) -> PositionLost:
        time = cluster_time_of(self.position.token)
        return PositionLost(f"the stream cannot go on after {_clock(time)}: {failure.reason}")


def _clock(time: ClusterTime) -> str:
    return (
        f"{datetime.fromtimestamp(time.seconds, UTC):%Y-%m-%dT%H:%M:%SZ} ({time.seconds}, {time.increment})"
    )
