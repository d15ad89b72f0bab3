"""Gaps as values: a stretch of a source's order that a route was never given, and why."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from eventbus.model import Position

__all__ = ["Gap"]


@dataclass(frozen=True, slots=True)
class Gap:
    """A recorded range that could not be read, or that an operator had skipped.

    Args:
        subscription: Name of the subscription.
        route: Name of the route.
        start: Everything up to here was given to the route.
        end: Everything after here is given to it, or, where it stopped, could be.
        policy: What was done about it: ``stop``, ``snapshot``, ``oldest``, ``now``, or ``position set``.
        reason: Why, in one line for people.
        created_at: When it was first recorded, on the store's clock; None before it is stored.
    """

    subscription: str
    route: str
    start: Position
    end: Position
    policy: str
    reason: str
    created_at: datetime | None = None

    @property
    def id(self) -> str:
        """32 hexadecimal digits; the same for the same route and start, so that it is recorded once."""
        digest = hashlib.blake2b(digest_size=16)
        for part in (self.subscription, self.route, self.start.token):
            raw = part.encode()
            digest.update(len(raw).to_bytes(8, "big") + raw)
        return digest.hexdigest()

    @property
    def secs(self) -> int:
        """How long it is in cluster time; 0 where a position has none."""
        start, end = self.start.cluster_time, self.end.cluster_time
        return max(0, end.seconds - start.seconds) if start and end else 0
