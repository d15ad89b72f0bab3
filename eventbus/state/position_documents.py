"""A position as a BSON document, which both stores keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bson.timestamp import Timestamp

from eventbus.model import ClusterTime, Origin, Position, PositionKind
from eventbus.state.snapshot_documents import snapshot_document, snapshot_of

__all__ = ["OPTIONAL", "entry_of", "position_of"]

OPTIONAL: Final = ("extra", "snapshot", "origin", "committed")
"""What a document has only where its position has it."""


def entry_of(position: Position) -> dict[str, Any]:
    """A position as a document, from which `position_of` makes an equal one."""
    time = position.cluster_time
    entry: dict[str, Any] = {
        "token": position.token,
        "kind": position.kind.value,
        "cluster_time": Timestamp(*time) if time else None,
    }
    if position.extra is not None:
        entry["extra"] = position.extra
    if position.snapshot is not None:
        entry["snapshot"] = snapshot_document(position.snapshot)
    if position.origin is not Origin.REACHED:
        entry["origin"] = position.origin.value
    if position.committed:
        entry["committed"] = position.committed
    return entry


def position_of(entry: Mapping[str, Any]) -> Position | None:
    """The position in a route's entry; None where it has none yet."""
    if "token" not in entry:
        return None
    time: Timestamp | None = entry["cluster_time"]
    return Position(
        entry["token"],
        PositionKind(entry["kind"]),
        ClusterTime(time.time, time.inc) if time else None,
        entry.get("extra"),
        snapshot_of(entry["snapshot"]) if "snapshot" in entry else None,
        Origin(entry.get("origin", Origin.REACHED)),
        entry.get("committed", ""),
    )
