"""The command that moves the position of a route."""

from __future__ import annotations

import typer

from eventbus.administration.moving import consequences, move, target
from eventbus.administration.names import check_route
from eventbus.administration.positions import written
from eventbus.cli.asking import requester
from eventbus.cli.operations import follow_operations
from eventbus.cli.printing import note
from eventbus.config import Config
from eventbus.servers import open_source, open_store
from eventbus.state.access import Access

__all__ = ["set_position"]


async def set_position(
    config: Config, subscription: str, route: str, to: str, *, yes: bool, detach: bool
) -> bool:
    """Ask for a route to go on from another position, and wait until it does.

    Args:
        config: Where the subscription is configured, and its state.
        subscription: Its name.
        route: Name of the route.
        to: The position, as people write it.
        yes: Do not ask.
        detach: Do not wait.

    Returns:
        Whether it was moved, as far as that was waited for.

    Raises:
        ConfigurationError: A name or the moment is wrong, or nothing can be read from there on.
    """
    check_route(config, subscription, route)
    async with open_source(config, subscription) as source:
        wanted = await target(source, "--to", to)
    async with open_store(config, access=Access.OPERATE) as store:
        before = (await store.positions(subscription)).get(route)
        typer.echo(f"position {subscription}/{route} from {written(before)} to {written(wanted.position)}")
        for sentence in consequences(before, wanted):
            note(sentence)
        if not yes:
            typer.confirm("go on?", abort=True)
        operation = move(subscription, route, wanted, by=requester())
        await store.add_operation(operation)
        typer.echo(f"operation {operation.id}")
        return detach or await follow_operations(store, [operation.id])
