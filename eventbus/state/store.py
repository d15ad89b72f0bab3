"""What a state store promises: leases with a fencing epoch, positions of routes, dead letters.

Both stores, MongoDB and SQLite, pass one contract suite. Lease time is the store's own clock, never ours.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from eventbus.model import DeadLetter, Event, Position
from eventbus.state.gaps import Gap
from eventbus.state.operations import Control, Operation

__all__ = [
    "ControlStore",
    "GapStore",
    "HeldKey",
    "Holder",
    "Lease",
    "LetterHour",
    "LetterLimit",
    "LetterQuery",
    "LetterStatus",
    "LetterStore",
    "LetterTotals",
    "Save",
    "Store",
    "StoredDeadLetter",
    "WhenFull",
]


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to run a subscription until it is lost or released.

    Args:
        subscription: Name of the subscription.
        epoch: The fencing number; it grows with every takeover and every write of positions checks it.
    """

    subscription: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has the right to run a subscription, for people.

    Args:
        instance: Name of the daemon.
        left_secs: How long the lease lasts if it is not renewed.
    """

    instance: str
    left_secs: float


@dataclass(frozen=True, slots=True)
class Save:
    """One subscription's part of a write: renew the lease and store what moved.

    Args:
        lease: What the write is conditional on.
        positions: New positions by name of route; empty to renew only.
    """

    lease: Lease
    positions: Mapping[str, Position]


class LetterStatus(StrEnum):
    """What became of a dead letter."""

    PARKED = "parked"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class StoredDeadLetter:
    """A dead letter as it lies in the store.

    Args:
        letter: What was parked.
        key: The event's key.
        created_at: When it was first parked, on the store's clock, in UTC.
        status: What became of it.
        id: Names it to people: the same for the same event on the same route.
        expires_at: When it may be removed; None for never.
        legal_hold: Whether it must be kept whatever its age.
        superseded_by: Id of the first newer event of its key that went out on its route; None if none did.
        operation: Id of the operation that last tried to send it; None if none did.
        forwarded: Whether the route's dead-letter sink has a copy.
    """

    letter: DeadLetter
    key: bytes
    created_at: datetime
    status: str
    id: str = ""
    expires_at: datetime | None = None
    legal_hold: bool = False
    superseded_by: str | None = None
    operation: str | None = None
    forwarded: bool = False


@dataclass(frozen=True, slots=True)
class LetterQuery:
    """Which dead letters are meant; all conditions hold at once.

    Args:
        subscription: Only of this subscription.
        routes: Only of these routes; empty for all.
        match: A query over the row, in the documented subset of MQL (see `eventbus.state.query`).
        statuses: Only with one of these; empty for all.
        not_operation: Leave out what this operation has tried already.
        forwarded: Only those of which the dead-letter sink has, or has not, a copy.
    """

    subscription: str | None = None
    routes: Sequence[str] = ()
    match: Mapping[str, Any] = field(default_factory=dict)
    statuses: Sequence[LetterStatus] = ()
    not_operation: str | None = None
    forwarded: bool | None = None


class WhenFull(StrEnum):
    """What to do with a new dead letter when there are as many as allowed."""

    STOP = "stop"
    """Take none: its route waits until some are replayed, discarded or removed, and nothing is lost."""
    DROP_OLDEST = "drop_oldest"
    """Remove the oldest without a legal hold, whatever became of them."""


@dataclass(frozen=True, slots=True)
class LetterLimit:
    """How many dead letters a store keeps.

    Args:
        max_letters: At most so many, of all subscriptions together and whatever became of them, give or take
            what is parked at one moment; None for no bound.
        when_full: What to do with one more.
    """

    max_letters: int | None = None
    when_full: WhenFull = WhenFull.STOP


@dataclass(frozen=True, slots=True)
class LetterTotals:
    """What a query finds, in numbers.

    Args:
        letters: How many dead letters.
        keys: How many different keys they have.
        size: Bytes of their events.
        superseded: Of how many a newer event of the key has gone out since.
        held: How many only wait behind another of their key.
        legal_hold: How many must be kept.
    """

    letters: int = 0
    keys: int = 0
    size: int = 0
    superseded: int = 0
    held: int = 0
    legal_hold: int = 0


@dataclass(frozen=True, slots=True)
class LetterHour:
    """The dead letters of one kind that a route got within one hour.

    Args:
        subscription: Name of the subscription.
        route: Name of the route, or that of a replay into its sink.
        kind: Why they were parked, in the word that is stored.
        hour: Which hour it is, counted from the moment that was asked for: 0 for the first.
        letters: How many.
        latest: When the last of them was parked.
    """

    subscription: str
    route: str
    kind: str
    hour: int
    letters: int
    latest: datetime


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A key of a route that has dead letters, counted.

    Args:
        key: The key's bytes.
        dead: Dead letters of it that failed themselves and are still parked.
        held: Dead letters of it that only wait behind one.
        first: Id of the event of the first of them all.
        token: Its place in the source's order: earlier events of the key wait for nothing.
    """

    key: bytes
    dead: int
    held: int
    first: str
    token: str


class LetterStore(Protocol):
    """Dead letters, and what becomes of them."""

    async def park(self, letters: Sequence[DeadLetter]) -> None:
        """Store dead letters durably (majority and journal). Parking the same event again changes nothing.

        The identity is (subscription, route, event id). There is no limit on the size of an event.

        Raises:
            Unreachable: The store is away, or it holds as many dead letters as its `LetterLimit` allows.
        """

    async def parked_after(self, subscription: str, route: str, token: str) -> Sequence[str]:
        """Ids of the route's dead letters whose event lies beyond `token`."""

    def find_letters(
        self, query: LetterQuery, *, by_token: bool = False, after: str = "", limit: int | None = None
    ) -> AsyncIterator[StoredDeadLetter]:
        """Dead letters, read in pages of bounded size; what is parked or changed meanwhile may be missed.

        Args:
            query: Which.
            by_token: In the order of their events, for sending them again; else in order of creation.
            after: With `by_token`, only those whose event lies beyond this token.
            limit: At most so many.

        Raises:
            ConfigurationError: The match is no query of the subset; the text says where.
        """

    async def count_letters(self, query: LetterQuery) -> LetterTotals:
        """What a query finds, in numbers."""

    async def count_parked(self, subscription: str, route: str, *, most: int) -> int:
        """How many dead letters of a route and of its replays are parked, counted up to `most`."""

    async def letter_hours(self, since: datetime) -> Sequence[LetterHour]:
        """How many dead letters were first parked in each hour from a moment on, whatever became of them.

        In the order of subscription, route, kind and hour; hours without any are left out.
        """

    async def park_again(self, letters: Sequence[DeadLetter], *, operation: str) -> None:
        """Sending them again failed: add the attempts, keep the newest errors and reason; all stay parked."""

    async def conclude_letters(
        self, subscription: str, letters: Sequence[tuple[str, str]], *, operation: str
    ) -> None:
        """These, by route and event id, were sent: they are replayed, and never again found as parked."""

    async def forwarded_letters(self, subscription: str, letters: Sequence[tuple[str, str]]) -> None:
        """The dead-letter sink has a copy of these, by route and event id."""

    async def discard_letters(self, query: LetterQuery, *, by: str) -> int:
        """Decide that the parked ones of these need not be sent. Returns how many it changed."""

    async def hold_letters(self, query: LetterQuery, *, hold: bool) -> int:
        """Set or lift the legal hold. Returns how many it changed."""

    async def purge_letters(self) -> int:
        """Remove what has expired, and has no legal hold; bounded per call. Returns how many were removed."""

    async def held_keys(self, subscription: str, route: str) -> Sequence[HeldKey]:
        """The keys of a route that have parked dead letters."""

    async def dead_key_hashes(self, subscription: str, route: str) -> Collection[int]:
        """`Event.key_hash` of the keys with parked dead letters that no newer event has superseded."""

    async def supersede_letters(self, subscription: str, route: str, event: Event) -> None:
        """A newer event of a key went out: note it on the key's earlier, parked, unmarked dead letters."""


class ControlStore(Protocol):
    """What operators want. Written by people's commands, read by whoever holds the lease."""

    async def controls(self, subscriptions: Collection[str]) -> Mapping[str, Control]:
        """What is wanted of each of these subscriptions, in one round trip or two."""

    async def set_paused(self, subscription: str, route: str, reason: str | None) -> None:
        """Pause a route (``*`` for all of them), or resume it with None. It need not have run before."""

    async def add_operation(self, operation: Operation) -> None:
        """Store a new operation; the store sets its times."""

    async def find_operations(
        self, *, subscription: str | None = None, operation_id: str | None = None, limit: int = 100
    ) -> Sequence[Operation]:
        """Operations, the newest first, those that are over included."""

    async def move_operation(self, operation: Operation, lease: Lease) -> bool:
        """Store its status, progress and problem, unless somebody with a higher epoch has, or it is over.

        Returns:
            Whether it was stored.
        """

    async def cancel_operation(self, operation_id: str) -> bool:
        """Cancel it unless it is over. Returns whether it was."""

    async def forget_position(self, lease: Lease, route: str) -> None:
        """Remove the position of a route that will not come back, such as that of an ended operation."""


class GapStore(Protocol):
    """What routes were never given. Records stay for ever; there are few of them."""

    async def record_gap(self, gap: Gap) -> Gap | None:
        """Store a gap durably (majority and journal).

        The identity is (subscription, route, token of its start). Of one that is there already the end never
        goes back: whoever still believes in a nearer one changes nothing, so this needs no lease.

        Returns:
            What was stored under its identity before; None if nothing was.
        """

    async def gaps(
        self,
        *,
        subscription: str | None = None,
        route: str | None = None,
        start: str | None = None,
        limit: int = 100,
    ) -> Sequence[Gap]:
        """Gaps, the newest first.

        Args:
            subscription: Only of this subscription.
            route: Only of routes of this name.
            start: Only those that start at this token.
            limit: At most so many.
        """


class Store(LetterStore, ControlStore, GapStore, Protocol):
    """Durable state of one or many daemons. Every method raises Unreachable while the store is away."""

    async def open(self) -> None:
        """Connect and make collections, tables and indexes that are missing.

        Raises:
            ConfigurationError: The store refuses us, or another daemon holds a store for one daemon.
        """

    async def close(self) -> None:
        """Release everything."""

    async def acquire(self, subscription: str, *, lease_secs: float, reclaim: bool) -> Lease | None:
        """Take the lease if it is free, expired, or (with `reclaim`) still held by this instance's name.

        Args:
            subscription: Name of the subscription.
            lease_secs: How long the lease lasts without a save.
            reclaim: Take over a lease that an earlier process of the same instance left behind. Pass it on
                the first try after the start of the process only, or two daemons that were given one name
                would take the lease from each other for ever.

        Returns:
            The lease with a new, higher epoch; None while somebody else holds it.
        """

    async def positions(self, subscription: str) -> Mapping[str, Position]:
        """Stored positions by name of route; empty for a subscription never seen."""

    async def subscriptions(self) -> Sequence[str]:
        """Names of all subscriptions of which positions are stored, in order, configured or not."""

    async def holders(self, subscriptions: Collection[str]) -> Mapping[str, Holder]:
        """Who holds the lease of each of these subscriptions; those that nobody holds are left out."""

    async def save(self, saves: Sequence[Save], *, lease_secs: float) -> Sequence[bool]:
        """Write positions and renew leases, each conditional on its epoch, in one round trip.

        Returns:
            For each save whether the lease still held; where it did not, nothing was written.
        """

    async def release(self, lease: Lease) -> None:
        """Give the lease back, if it is still held, so that another daemon need not wait for its end."""
