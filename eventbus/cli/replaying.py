"""Sending a stretch of the source's history once more into one route's sink."""

from __future__ import annotations

from datetime import UTC, datetime

import typer

from eventbus.cli.asking import new_operation_id, requester
from eventbus.cli.moments import end_of, start_of
from eventbus.cli.names import check_route
from eventbus.cli.operation_rows import moment
from eventbus.cli.operations import follow_operations
from eventbus.cli.pausing import paused_by
from eventbus.cli.printing import note
from eventbus.config import Config
from eventbus.daemon import open_source, open_store
from eventbus.errors import ConfigurationError
from eventbus.model import Position
from eventbus.state.operations import Operation, OperationKind
from eventbus.state.sqlite_file import Access
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
    start, until = await _stretch(config, subscription, first, last)
    typer.echo(f"replay {subscription}/{route} from {_written(start)} to {_written(until)}")
    note(
        "Old states are sent once more: in a sink that keeps the last state it was sent, as one that upserts "
        "does, they overwrite newer ones until the replay reaches those."
    )
    if not yes:
        typer.confirm("go on?", abort=True)
    operation = Operation(
        id=new_operation_id(),
        kind=OperationKind.REPLAY,
        subscription=subscription,
        route=route,
        start=start,
        until=until,
        rate=rate,
        requested_by=requester(),
    )
    async with open_store(config, access=Access.OPERATE) as store:
        await store.add_operation(operation)
        typer.echo(f"operation {operation.id}")
        await note_paused(store, subscription, route)
        return detach or await follow_operations(store, [operation.id])


async def note_paused(store: ControlStore, subscription: str, route: str) -> None:
    """Say so if nothing will be sent for the time being."""
    controls = await store.controls([subscription])
    reason = paused_by(controls[subscription].paused, route) if subscription in controls else None
    if reason is not None:
        note(f"route {subscription}/{route} is paused, so this waits until it is resumed: {reason}")


async def _stretch(
    config: Config, subscription: str, first: str, last: str | None
) -> tuple[Position, Position]:
    now = datetime.now(UTC)
    async with open_source(config, subscription) as source:
        start = start_of("--from", first, source, now)
        until = end_of("--to", last, source, now) if last is not None else await source.now()
    if start.token >= until.token:
        raise ConfigurationError(f"--from ({_written(start)}) is not before --to ({_written(until)})")
    return start, until


def _written(position: Position) -> str:
    return moment(position.cluster_time) if position.cluster_time else position.token
