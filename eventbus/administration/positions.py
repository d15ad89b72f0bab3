"""How far each route has come, and where one could go on from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from eventbus.administration.names import route_names
from eventbus.administration.operation_rows import moment
from eventbus.administration.pausing import paused_by
from eventbus.config import Config
from eventbus.model import Position
from eventbus.state.operations import Control
from eventbus.state.store import Store

__all__ = ["position_rows", "written"]


async def position_rows(config: Config, store: Store, subscriptions: Sequence[str]) -> list[dict[str, Any]]:
    """The stored position of each configured route, and why it is paused if it is."""
    rows = []
    controls = await store.controls(subscriptions)
    for name in subscriptions:
        stored = await store.positions(name)
        paused = controls.get(name, Control()).paused
        rows += [
            _position(name, route, stored.get(route), paused_by(paused, route))
            for route in route_names(config, name)
        ]
    return rows


def written(position: Position | None) -> str:
    """A position as people read it: a time to the second, or its token if it has none."""
    if position is None:
        return "none"
    return moment(position.cluster_time) if position.cluster_time else position.token


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
