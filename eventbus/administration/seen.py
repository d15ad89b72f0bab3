"""What a daemon says of its subscriptions under ``/readyz``: read from what it answers, or from itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["RouteSeen", "SubscriptionSeen", "subscriptions_seen"]


@dataclass(frozen=True, slots=True)
class RouteSeen:
    """A route, as the daemon that runs it sees it.

    Args:
        circuit: Why its circuit is not closed; empty if it is.
        snapshot: How far its snapshot has come; empty if there is none.
        problem: What keeps it from its work; empty if nothing does.
        watermark: Second of cluster time up to which everything is settled; None if that is not known.
        headroom_secs: How far it is ahead of what the source forgets; None if that is not known.
        left_secs: When its position will be lost at the present pace; None if never, or not known.
    """

    circuit: str = ""
    snapshot: str = ""
    problem: str = ""
    watermark: int | None = None
    headroom_secs: int | None = None
    left_secs: int | None = None


@dataclass(frozen=True, slots=True)
class SubscriptionSeen:
    """A subscription, as a daemon sees it.

    Args:
        state: starting, standby, running, draining, stopped or crashed.
        problems: What keeps it from its work as a whole.
        routes: Its routes by name.
    """

    state: str
    problems: tuple[str, ...] = ()
    routes: Mapping[str, RouteSeen] = field(default_factory=dict)


def subscriptions_seen(said: Any) -> Mapping[str, SubscriptionSeen]:
    """The subscriptions in an answer of ``/readyz``, by name."""
    found = said.get("subscriptions", {}) if isinstance(said, dict) else {}
    return {name: _subscription(one) for name, one in found.items()}


def _subscription(said: Mapping[str, Any]) -> SubscriptionSeen:
    problems = tuple(said.get("problems", ()))
    by_route: dict[str, dict[str, Any]] = {}
    for key, name in (("circuits", "circuit"), ("snapshots", "snapshot"), ("watermarks", "watermark")):
        for route, value in said.get(key, {}).items():
            by_route.setdefault(route, {})[name] = value
    for route, headroom in said.get("headroom", {}).items():
        fields = by_route.setdefault(route, {})
        fields["headroom_secs"], fields["left_secs"] = headroom["secs"], headroom["left_secs"]
    of_whole = []
    for problem in problems:
        about, _, text = problem.partition(": ")
        if text and about.startswith("route "):
            by_route.setdefault(about.removeprefix("route "), {})["problem"] = text
        else:
            of_whole.append(problem)
    routes = {route: RouteSeen(**fields) for route, fields in by_route.items()}
    return SubscriptionSeen(said["state"], tuple(of_whole), routes)
