"""How far a snapshot has come, as a BSON document, which both stores keep with a position."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventbus.model import Snapshot

__all__ = ["snapshot_document", "snapshot_of"]


def snapshot_document(snapshot: Snapshot) -> dict[str, Any]:
    """All of it."""
    return {
        "id": snapshot.id,
        "scope": snapshot.scope,
        "collection": snapshot.collection,
        "after": snapshot.after,
        "read": snapshot.read,
        "total": snapshot.total,
        "is_finished": snapshot.is_finished,
    }


def snapshot_of(document: Mapping[str, Any]) -> Snapshot:
    """The snapshot that `snapshot_document` was given."""
    return Snapshot(**document)
