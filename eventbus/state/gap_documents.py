"""Gaps as BSON documents, which both stores keep."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from eventbus.model import Position
from eventbus.state.gaps import Gap
from eventbus.state.position_documents import entry_of, position_of

__all__ = ["gap_document", "gap_of"]


def gap_document(gap: Gap) -> dict[str, Any]:
    """All of it but its id and its time, which only the store knows."""
    return {
        "subscription": gap.subscription,
        "route": gap.route,
        "start": entry_of(gap.start),
        "end": entry_of(gap.end),
        "policy": gap.policy,
        "reason": gap.reason,
    }


def gap_of(document: Mapping[str, Any], created_at: datetime) -> Gap:
    """The gap that `gap_document` was given."""
    return Gap(
        document["subscription"],
        document["route"],
        _position(document["start"]),
        _position(document["end"]),
        document["policy"],
        document["reason"],
        created_at,
    )


def _position(entry: Mapping[str, Any]) -> Position:
    position = position_of(entry)
    assert position is not None
    return position
