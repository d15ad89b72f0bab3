"""Where routes begin: at their stored position, or where they were told; durable before the first read."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, assert_never

from eventbus.model import ClusterTime, Origin, Position
from eventbus.sdk import SnapshotMode, SnapshotSource

if TYPE_CHECKING:
    from eventbus.runtime.subscription import SubscriptionSpec

__all__ = ["RouteStart", "fresh_positions"]


@dataclass(frozen=True, slots=True)
class RouteStart:
    """Where a route begins that has no position yet.

    Args:
        at: ``now``; ``oldest``, with everything that the source still has; ``subscription``, where the most
            advanced of the other routes stands, or now if there is none; ``time``, with everything committed
            at or after it; ``token``, with everything after it.
        time: The time.
        token: The token.
    """

    at: Literal["now", "oldest", "subscription", "time", "token"] = "now"
    time: ClusterTime | None = None
    token: str = ""


async def fresh_positions(spec: SubscriptionSpec, stored: Mapping[str, Position]) -> Mapping[str, Position]:
    """Positions for the routes that have none.

    Those that begin now begin with a snapshot, where the source is to give one; a route that is told to begin
    elsewhere asks for changes of the past, and gets them instead.

    Args:
        spec: The subscription.
        stored: The positions that there are.

    Raises:
        Unreachable: The source does not answer now.
        ConfigurationError: A route is told to begin where there is no place.
    """
    missing = {name: route.start for name, route in spec.routes.items() if name not in stored}
    if not missing:
        return {}
    others = [stored[name] for name in spec.routes if name in stored]
    now = await spec.source.now()
    furthest = max(others, key=lambda position: position.token, default=now)
    first = await _with_documents(spec, now) if any(start.at == "now" for start in missing.values()) else now
    return {
        name: replace(await _position(spec, start, first, furthest), origin=Origin.FRESH)
        for name, start in missing.items()
    }


async def _with_documents(spec: SubscriptionSpec, now: Position) -> Position:
    """The present moment, and all documents that are there already if the source is to give them."""
    source = spec.source
    if source.policy.snapshot is SnapshotMode.NEVER or not isinstance(source, SnapshotSource):
        return now
    return replace(now, snapshot=await source.begin_snapshot(uuid.uuid4().hex[:10]))


async def _position(spec: SubscriptionSpec, start: RouteStart, now: Position, furthest: Position) -> Position:
    match start.at:
        case "now":
            return now
        case "oldest":
            return await spec.source.oldest()
        case "subscription":
            return replace(furthest, snapshot=None, committed="")
        case "time":
            assert start.time is not None
            return spec.source.at(start.time)
        case "token":
            return spec.source.position(start.token)
        case _:
            assert_never(start.at)
