"""Pausing and resuming routes. Both are stored: whoever runs the subscription, now or later, obeys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from eventbus.administration.names import check_route, check_subscription
from eventbus.config import Config
from eventbus.errors import ConfigurationError
from eventbus.state.store import ControlStore

__all__ = ["ALL_ROUTES", "Pause", "named", "pause", "paused_by", "paused_reasons", "resume"]

ALL_ROUTES = "*"
"""Stands for every route of a subscription where a pause is stored."""


@dataclass(frozen=True, slots=True)
class Pause:
    """What became of a wish to pause or to resume.

    Args:
        route: Name of the route; `ALL_ROUTES` for the subscription as a whole.
        reason: Why it is paused, or was until now; None if it was not.
        changed: Whether that was stored just now.
        others: Pauses of the same subscription that still hold, by name of the route.
    """

    route: str
    reason: str | None
    changed: bool
    others: Mapping[str, str] = field(default_factory=dict)


async def pause(
    config: Config, store: ControlStore, subscription: str, route: str | None, reason: str | None, *, by: str
) -> Pause:
    """Pause a route, or all of a subscription; one that is paused already stays as it is.

    Args:
        config: Has the subscription.
        store: Where it is stored.
        subscription: Its name.
        route: Name of the route; None for all of them.
        reason: Why, for people.
        by: Who asks for it.

    Raises:
        ConfigurationError: There is no such subscription or route.
    """
    _check(config, subscription, route)
    name = route or ALL_ROUTES
    paused = dict(await paused_reasons(store, subscription))
    before = paused.pop(name, None)
    if before is not None:
        return Pause(name, before, False, paused)
    stored = _reason(reason, by)
    await store.set_paused(subscription, name, stored)
    return Pause(name, stored, True, paused)


async def resume(config: Config, store: ControlStore, subscription: str, route: str | None) -> Pause:
    """Lift exactly that pause.

    Raises:
        ConfigurationError: There is no such subscription or route, and nothing is paused under its name.
    """
    name = route or ALL_ROUTES
    paused = dict(await paused_reasons(store, subscription))
    if name not in paused:
        _check(config, subscription, route)
        return Pause(name, None, False, paused)
    await store.set_paused(subscription, name, None)
    return Pause(name, paused.pop(name), True, paused)


def paused_by(paused: Mapping[str, str], route: str) -> str | None:
    """Why a route is paused, by itself or with all others; None if it is not."""
    return paused.get(route) or paused.get(ALL_ROUTES)


async def paused_reasons(store: ControlStore, subscription: str) -> Mapping[str, str]:
    """Why routes of a subscription are paused, by their names."""
    controls = await store.controls([subscription])
    return controls[subscription].paused if subscription in controls else {}


def named(subscription: str, route: str) -> str:
    """What is paused, for people."""
    return f"subscription {subscription}" if route == ALL_ROUTES else f"route {subscription}/{route}"


def _check(config: Config, subscription: str, route: str | None) -> None:
    if route is None:
        check_subscription(config, subscription)
    elif route == ALL_ROUTES:
        raise ConfigurationError("--route: leave it out for all routes of the subscription")
    else:
        check_route(config, subscription, route)


def _reason(reason: str | None, by: str) -> str:
    """What is stored, and shown wherever the pause is: why, who, since when."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return f"{reason or 'no reason given'} (by {by} since {now})"
