"""How far each route has come."""

from __future__ import annotations

from eventbus.administration.names import check_subscription
from eventbus.administration.positions import position_rows
from eventbus.cli.printing import print_json, print_table
from eventbus.config import Config
from eventbus.servers import open_store
from eventbus.state.access import Access

__all__ = ["print_positions"]

_COLUMNS = ("subscription", "route", "cluster_time", "age_secs", "paused", "kind", "token")


async def print_positions(config: Config, subscription: str | None, as_json: bool) -> None:
    """Print the stored position of each configured route, and why it is paused if it is.

    Raises:
        ConfigurationError: There is no such subscription.
    """
    if subscription is not None:
        check_subscription(config, subscription)
    among = [subscription] if subscription is not None else list(config.subscriptions)
    async with open_store(config, access=Access.READ) as store:
        rows = await position_rows(config, store, among)
    if not as_json:
        print_table(_COLUMNS, rows, "no positions")
        return
    for row in rows:
        print_json(row)
