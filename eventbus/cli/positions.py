"""How far each route has come."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from eventbus.cli.names import check_subscription
from eventbus.cli.pausing import paused_by
from eventbus.cli.printing import print_json, print_table
from eventbus.config import Config
from eventbus.daemon import open_store
from eventbus.model import Position
from eventbus.state.operations import Control
from eventbus.state.sqlite_file import Access

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
    rows = []
    async with open_store(config, access=Access.READ) as store:
        controls = await store.controls(among)
        for name in among:
            stored = await store.positions(name)
            paused = controls.get(name, Control()).paused
            rows += [
                _position(name, route.name, stored.get(route.name), paused_by(paused, route.name))
                for route in config.subscriptions[name].routes
            ]
    if not as_json:
        print_table(_COLUMNS, rows, "no positions")
        return
    for row in rows:
        print_json(row)


def _position(subscription: str, route: str, position: Position | None, paused: str | None) -> dict[str, Any]:
    names = {"subscription": subscription, "route": route}
    if position is None:
        return {**names, "paused": paused, "token": None, "kind": "none yet"}
    seconds = position.cluster_time.seconds if position.cluster_time else None
    at = datetime.fromtimestamp(seconds, UTC) if seconds else None
    return {
        **names,
        "cluster_time": at.isoformat() if at else None,
        "age_secs": round((datetime.now(UTC) - at).total_seconds()) if at else None,
        "paused": paused,
        "kind": position.kind.value,
        "token": position.token,
    }
