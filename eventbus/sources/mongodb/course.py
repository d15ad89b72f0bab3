"""Where a reader stands, and how it goes on after each page and each failure. It decides; it does no I/O.

The position is what the reader has returned. It never goes back, and nothing at or before it is returned
again. Tokens are compared by their text, never by cluster time: the changes of a transaction share theirs.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any, Final, assert_never

from eventbus.errors import ConfigurationError, PositionLost
from eventbus.model import Batch, ClusterTime, Event, Parked, Position, PositionKind, Slot
from eventbus.sources.mongodb.errors import Failure, Reaction
from eventbus.sources.mongodb.tokens import cluster_time_of, resume_token, server_token, timestamp_of

__all__ = ["Course", "Reading", "Start"]

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


@dataclass(frozen=True, slots=True)
class Start:
    """Where the server is to open a stream.

    Args:
        option: The option of ``$changeStream`` that says so.
        beyond: Only changes with a later token are wanted. It is for openings at a cluster time, which may
            hold changes that were read before.
    """

    option: dict[str, Any]
    beyond: str | None = None


class Course:
    """The state of one reader.

    Args:
        start: Everything up to here was read before.
    """

    def __init__(self, start: Position) -> None:
        self.position = start
        self.reading = Reading.FREELY
        self._not_resumable: str | None = None
        """The token that the server cannot resume from, if it is that of the position."""
        self._careful_events = 0

    @property
    def batch_size(self) -> int:
        """How many changes to ask for at most."""
        return _BATCH if self.reading is Reading.FREELY else 1

    def start(self) -> Start:
        """Where to open the stream.

        Raises:
            PositionLost: The position is no place in a stream of MongoDB.
        """
        try:
            time = cluster_time_of(self.position.token)
        except ValueError as error:
            raise PositionLost(f"the stored position is {error}") from None
        after_invalidate = self.position.kind is PositionKind.INVALIDATE
        if self._not_resumable != self.position.token:
            how = "startAfter" if after_invalidate else "resumeAfter"
            return Start({how: resume_token(self.position)})
        if after_invalidate:  # nothing shares the cluster time of a drop or a rename
            time = ClusterTime(time.seconds, time.increment + 1)
        return Start({"startAtOperationTime": timestamp_of(time)}, beyond=server_token(self.position.token))

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
        slots: list[Slot] = list(self._new(events))
        if self.reading is Reading.IDENTITY and slots:
            slots = [Parked(slots[0].event, _TOO_LARGE)]
            self._not_resumable = slots[0].event.token  # it can be too large for resuming after it, too
            seen = slots[0].event.position
        else:
            seen = self._end_of(events, end, in_fragments=in_fragments, closed=closed)
        if seen.token >= self.position.token:
            self.position = seen
        self._count(len(events) + in_fragments)
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
                if self.position.kind is PositionKind.INVALIDATE:
                    raise self._lost(failure)
                self.position = replace(self.position, kind=PositionKind.INVALIDATE)
            case Reaction.REOPEN_AT_CLUSTER_TIME:
                if self._not_resumable == self.position.token:
                    raise ConfigurationError(f"source.pipeline: {failure.reason}")
                self._not_resumable = self.position.token
            case Reaction.OVERSIZE:
                if self.reading is Reading.IDENTITY:
                    raise self._lost(failure)
                one_by_one = self.reading is Reading.ONE_BY_ONE
                self.reading = Reading.IDENTITY if one_by_one else Reading.ONE_BY_ONE
                self._not_resumable = self.position.token  # the change of the position may be the one
                self._careful_events = 0
            case Reaction.HISTORY_LOST:
                raise self._lost(failure)
            case Reaction.FATAL_CONFIGURATION:
                raise ConfigurationError(f"source: {failure.reason}")
            case _:
                assert_never(failure.reaction)

    def _new(self, events: Sequence[Event]) -> Sequence[Event]:
        if not events or events[0].token > self.position.token:
            return events
        return events[bisect_right(events, self.position.token, key=lambda event: event.token) :]

    def _end_of(
        self, events: Sequence[Event], end: Position, *, in_fragments: bool, closed: bool
    ) -> Position:
        """How far the stream is read."""
        last = events[-1].position if events else self.position
        if in_fragments:  # `end` is the token of a fragment
            return last
        if closed:
            return replace(end, kind=PositionKind.INVALIDATE)
        return last if last.token >= end.token else end

    def _count(self, count: int) -> None:
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
