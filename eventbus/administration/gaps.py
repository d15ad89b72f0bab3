"""A gap as a row: what a route was never given."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from eventbus.administration.operation_rows import moment
from eventbus.model import Position
from eventbus.state.gaps import Gap

__all__ = ["gap_row"]


def gap_row(gap: Gap, now: datetime) -> dict[str, Any]:
    """The fields that people search and programs read."""
    created = gap.created_at
    return {
        "id": gap.id,
        "subscription": gap.subscription,
        "route": gap.route,
        "from": _shown(gap.start),
        "to": _shown(gap.end),
        "secs": gap.secs,
        "policy": gap.policy,
        "created_at": created.isoformat() if created else None,
        "age_secs": round((now - created).total_seconds()) if created else None,
        "reason": gap.reason,
        "from_token": gap.start.token,
        "to_token": gap.end.token,
    }


def _shown(position: Position) -> str | None:
    return moment(position.cluster_time) if position.cluster_time else None
