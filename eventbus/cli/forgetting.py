"""Removing what is stored of a route that is configured no more."""

from __future__ import annotations

import typer

from eventbus.administration.forgetting import forget_position
from eventbus.config import Config
from eventbus.servers import open_store
from eventbus.state.access import Access

__all__ = ["forget"]


async def forget(config: Config, subscription: str, route: str, *, yes: bool) -> None:
    """Remove a position, and say so; see `eventbus.administration.forgetting`."""
    if not yes:
        typer.confirm(f"a route {subscription}/{route} that comes back begins anew; go on?", abort=True)
    async with open_store(config, access=Access.READ):
        pass  # a file that is not there is not to be made
    async with open_store(config, access=Access.DAEMON) as store:
        await forget_position(config, store, subscription, route)
    typer.echo(f"the position of {subscription}/{route} is removed")
