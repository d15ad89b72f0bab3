"""What routes were never given."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from eventbus.cli.names import note_unknown
from eventbus.cli.operation_rows import moment
from eventbus.cli.printing import print_json, print_table
from eventbus.config import Config
from eventbus.daemon import open_store
from eventbus.model import Position
from eventbus.state.gaps import Gap
from eventbus.state.sqlite_file import Access

__all__ = ["print_gaps"]

_COLUMNS = ("subscription", "route", "from", "to", "secs", "policy", "age_secs", "reason")


async def print_gaps(
    config: Config, subscription: str | None, route: str | None, limit: int, as_json: bool
) -> None:
    """Print gaps, the newest first; those of names that are not configured any more, too."""
    note_unknown(config, subscription, route)
    async with open_store(config, access=Access.READ) as store:
        found = await store.gaps(subscription=subscription, route=route, limit=limit)
    rows = [_row(gap, datetime.now(UTC)) for gap in found]
    if not as_json:
        print_table(_COLUMNS, rows, "no gaps")
        return
    for row in rows:
        print_json(row)


def _row(gap: Gap, now: datetime) -> dict[str, Any]:
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
