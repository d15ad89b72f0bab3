"""Leases and positions as tests take them."""

from __future__ import annotations

import anyio

from eventbus.model import ClusterTime, Position, PositionKind
from eventbus.state.store import Lease, Store

LONG = 600.0


async def acquired(store: Store, subscription: str = "s", *, lease_secs: float = LONG) -> Lease:
    """The lease, as soon as it can be had."""
    with anyio.fail_after(60):
        while True:
            lease = await store.acquire(subscription, lease_secs=lease_secs, reclaim=False)
            if lease is not None:
                return lease


def at(token: str) -> Position:
    return Position(token, PositionKind.EVENT, ClusterTime(5, 1))
