"""What a state store promises: leases with a fencing epoch, positions of routes, dead letters.

Both stores, MongoDB and SQLite, pass one contract suite. Lease time is the store's own clock, never ours.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from eventbus.model import DeadLetter, Position

__all__ = ["Lease", "Save", "Store", "StoredDeadLetter"]


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
class Save:
    """One subscription's part of a write: renew the lease and store what moved.

    Args:
        lease: What the write is conditional on.
        positions: New positions by name of route; empty to renew only.
    """

    lease: Lease
    positions: Mapping[str, Position]


@dataclass(frozen=True, slots=True)
class StoredDeadLetter:
    """A dead letter as it lies in the store.

    Args:
        letter: What was parked.
        key: The event's key.
        created_at: When it was first parked, on the store's clock, in UTC.
        status: ``parked``; later issues of the same row may be ``replayed`` or ``discarded``.
    """

    letter: DeadLetter
    key: bytes
    created_at: datetime
    status: str


class Store(Protocol):
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

    async def save(self, saves: Sequence[Save], *, lease_secs: float) -> Sequence[bool]:
        """Write positions and renew leases, each conditional on its epoch, in one round trip.

        Returns:
            For each save whether the lease still held; where it did not, nothing was written.
        """

    async def release(self, lease: Lease) -> None:
        """Give the lease back, if it is still held, so that another daemon need not wait for its end."""

    async def park(self, letters: Sequence[DeadLetter]) -> None:
        """Store dead letters durably (majority and journal). Parking the same event again changes nothing.

        The identity is (subscription, route, event id). There is no limit on the size of an event.
        """

    async def parked_after(self, subscription: str, route: str, token: str) -> Sequence[str]:
        """Ids of the route's dead letters whose event lies beyond `token`."""

    def dead_letters(
        self, *, subscription: str | None = None, route: str | None = None, limit: int | None = None
    ) -> AsyncIterator[StoredDeadLetter]:
        """Dead letters in order of creation, read in pages."""
