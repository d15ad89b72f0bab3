"""What routes were never given."""

from __future__ import annotations

from datetime import UTC, datetime

from eventbus.administration.gaps import gap_row
from eventbus.cli.names import note_unknown
from eventbus.cli.printing import print_json, print_table
from eventbus.config import Config
from eventbus.servers import open_store
from eventbus.state.access import Access

__all__ = ["print_gaps"]

_COLUMNS = ("subscription", "route", "from", "to", "secs", "policy", "age_secs", "reason")


async def print_gaps(
    config: Config, subscription: str | None, route: str | None, limit: int, as_json: bool
) -> None:
    """Print gaps, the newest first; those of names that are not configured any more, too."""
    note_unknown(config, subscription, route)
    async with open_store(config, access=Access.READ) as store:
        found = await store.gaps(subscription=subscription, route=route, limit=limit)
    rows = [gap_row(gap, datetime.now(UTC)) for gap in found]
    if not as_json:
        print_table(_COLUMNS, rows, "no gaps")
        return
    for row in rows:
        print_json(row)
