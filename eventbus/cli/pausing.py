"""The commands that pause and resume routes."""

from __future__ import annotations

import typer

from eventbus.administration import pausing
from eventbus.administration.pausing import named
from eventbus.cli.asking import requester
from eventbus.config import Config
from eventbus.servers import open_store
from eventbus.state.access import Access

__all__ = ["pause", "resume"]


async def pause(config: Config, subscription: str, route: str | None, reason: str | None) -> None:
    """Pause a route, or all of a subscription; one that is paused already stays as it is.

    Raises:
        ConfigurationError: There is no such subscription or route.
    """
    async with open_store(config, access=Access.OPERATE) as store:
        made = await pausing.pause(config, store, subscription, route, reason, by=requester())
    verb = "is paused" if made.changed else "was paused already"
    typer.echo(f"{named(subscription, made.route)} {verb}: {made.reason}")


async def resume(config: Config, subscription: str, route: str | None) -> None:
    """Lift exactly that pause, and say which others still hold.

    Raises:
        ConfigurationError: There is no such subscription or route, and nothing is paused under its name.
    """
    async with open_store(config, access=Access.OPERATE) as store:
        lifted = await pausing.resume(config, store, subscription, route)
    name = named(subscription, lifted.route)
    typer.echo(
        f"{name} is resumed; it was paused: {lifted.reason}" if lifted.changed else f"{name} was not paused"
    )
    for other, reason in sorted(lifted.others.items()):
        typer.echo(f"{named(subscription, other)} is still paused: {reason}")
