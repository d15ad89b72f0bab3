"""Pausing and resuming routes. Both are stored: whoever runs the subscription, now or later, obeys."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import typer

from eventbus.cli.asking import requester
from eventbus.cli.names import check_route, check_subscription
from eventbus.config import Config
from eventbus.daemon import open_store
from eventbus.errors import ConfigurationError
from eventbus.state.sqlite_file import Access
from eventbus.state.store import ControlStore

__all__ = ["ALL_ROUTES", "pause", "paused_by", "resume"]

ALL_ROUTES = "*"
"""Stands for every route of a subscription where a pause is stored."""


async def pause(config: Config, subscription: str, route: str | None, reason: str | None) -> None:
    """Pause a route, or all of a subscription; one that is paused already stays as it is.

    Raises:
        ConfigurationError: There is no such subscription or route.
    """
    _check(config, subscription, route)
    name = route or ALL_ROUTES
    async with open_store(config, access=Access.OPERATE) as store:
        paused = await _paused(store, subscription)
        if name in paused:
            typer.echo(f"{_named(subscription, name)} was paused already: {paused[name]}")
            return
        stored = _reason(reason)
        await store.set_paused(subscription, name, stored)
    typer.echo(f"{_named(subscription, name)} is paused: {stored}")


async def resume(config: Config, subscription: str, route: str | None) -> None:
    """Lift exactly that pause, and say which others still hold.

    Raises:
        ConfigurationError: There is no such subscription or route, and nothing is paused under its name.
    """
    name = route or ALL_ROUTES
    async with open_store(config, access=Access.OPERATE) as store:
        paused = dict(await _paused(store, subscription))
        if name not in paused:
            _check(config, subscription, route)
            typer.echo(f"{_named(subscription, name)} was not paused")
        else:
            await store.set_paused(subscription, name, None)
            typer.echo(f"{_named(subscription, name)} is resumed; it was paused: {paused.pop(name)}")
    for other, reason in sorted(paused.items()):
        typer.echo(f"{_named(subscription, other)} is still paused: {reason}")


def paused_by(paused: Mapping[str, str], route: str) -> str | None:
    """Why a route is paused, by itself or with all others; None if it is not."""
    return paused.get(route) or paused.get(ALL_ROUTES)


async def _paused(store: ControlStore, subscription: str) -> Mapping[str, str]:
    controls = await store.controls([subscription])
    return controls[subscription].paused if subscription in controls else {}


def _check(config: Config, subscription: str, route: str | None) -> None:
    if route is None:
        check_subscription(config, subscription)
    elif route == ALL_ROUTES:
        raise ConfigurationError("--route: leave it out for all routes of the subscription")
    else:
        check_route(config, subscription, route)


def _named(subscription: str, route: str) -> str:
    return f"subscription {subscription}" if route == ALL_ROUTES else f"route {subscription}/{route}"


def _reason(reason: str | None) -> str:
    """What is stored, and shown wherever the pause is: why, who, since when."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return f"{reason or 'no reason given'} (by {requester()} since {now})"
