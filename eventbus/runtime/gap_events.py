"""Tells a sink that a stretch of changes will not come, where those changes would have been."""

from __future__ import annotations

import hashlib

from eventbus.model import Event, Position
from eventbus.runtime.completeness import told_time

__all__ = ["GAP", "gap_event", "names_gap"]

GAP = "eventbus.gap"
"""The operation of the event that tells it, and its type in every envelope."""

_BEHIND = "/~gap"
"""Makes the event's token of the position before it. A solidus sorts below every digit, so whatever follows
that position in the source sorts beyond it; a tilde sorts above them, and so beyond all that a snapshot has
read at that position."""


def gap_event(subscription: str, start: Position, end: Position, *, policy: str, reason: str) -> Event:
    """The event that says that nothing between two positions will come.

    Its id depends on the subscription and both positions: the same gap that is met again after a crash has
    the same. It is a barrier, for it concerns no single document.
    """
    document = {
        "from": told_time(start.cluster_time),
        "to": told_time(end.cluster_time),
        "policy": policy,
        "reason": reason,
        "subscription": subscription,
    }
    return Event(
        token=start.token + _BEHIND,
        operation=GAP,
        database="",
        collection="",
        cluster_time=end.cluster_time,
        time_ms=end.cluster_time.seconds * 1000 if end.cluster_time else 0,
        document=document,
        key=f"{subscription}/{GAP}".encode(),
        id=names_gap(subscription, start, end, size=16),
        snapshot=start.snapshot,
    )


def names_gap(subscription: str, start: Position, end: Position, *, size: int) -> str:
    """A name of so many bytes, in hexadecimal digits."""
    text = f"{GAP}:{subscription}:{start.token}:{end.token}"
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()
