"""The command that sends a stretch of the source's history once more."""

from __future__ import annotations

import typer

from eventbus.administration import replaying
from eventbus.administration.names import check_route
from eventbus.administration.positions import written
from eventbus.administration.replaying import OVERWRITES, stretch, waits_for_resume
from eventbus.cli.asking import requester
from eventbus.cli.operations import follow_operations
from eventbus.cli.printing import note
from eventbus.config import Config
from eventbus.servers import open_source, open_store
from eventbus.state.access import Access
from eventbus.state.store import ControlStore

__all__ = ["note_paused", "replay"]


async def replay(
    config: Config,
    subscription: str,
    route: str,
    first: str,
    last: str | None,
    *,
    rate: float | None,
    yes: bool,
    detach: bool,
) -> bool:
    """Ask for a replay, and follow it.

    Args:
        config: Where the subscription is configured, and its state.
        subscription: Its name.
        route: Name of the route whose sink gets the events.
        first: The moment to begin at, as people write it.
        last: The moment to end at; None for the present one.
        rate: The most events a second.
        yes: Do not ask.
        detach: Do not follow.

    Returns:
        Whether all went well, as far as it was followed.

    Raises:
        ConfigurationError: A name or a moment is wrong, or the stretch is empty.
    """
    check_route(config, subscription, route)
    async with open_source(config, subscription) as source:
        between = await stretch(source, ("--from", first), ("--to", last))
    typer.echo(f"replay {subscription}/{route} from {written(between.start)} to {written(between.until)}")
    note(OVERWRITES)
    if not yes:
        typer.confirm("go on?", abort=True)
    operation = replaying.replay(subscription, route, between, rate=rate, by=requester())
    async with open_store(config, access=Access.OPERATE) as store:
        await store.add_operation(operation)
        typer.echo(f"operation {operation.id}")
        await note_paused(store, subscription, route)
        return detach or await follow_operations(store, [operation.id])


async def note_paused(store: ControlStore, subscription: str, route: str) -> None:
    """Say so if nothing will be sent for the time being."""
    said = await waits_for_resume(store, subscription, route)
    if said is not None:
        note(said)
