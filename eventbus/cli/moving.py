"""Moving the position of a route: a wish that is stored, and carried out before the route is next begun."""

from __future__ import annotations

from datetime import UTC, datetime

import typer

from eventbus.cli.asking import new_operation_id, requester
from eventbus.cli.moments import start_of
from eventbus.cli.names import check_route
from eventbus.cli.operation_rows import moment
from eventbus.cli.operations import follow_operations
from eventbus.cli.printing import note
from eventbus.config import Config
from eventbus.daemon import open_source, open_store
from eventbus.errors import ConfigurationError
from eventbus.model import Position
from eventbus.sdk import Source
from eventbus.state.operations import Operation, OperationKind
from eventbus.state.sqlite_file import Access

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
        position = await _position(source, to)
    async with open_store(config, access=Access.OPERATE) as store:
        before = (await store.positions(subscription)).get(route)
        typer.echo(f"position {subscription}/{route} from {_written(before)} to {_written(position)}")
        note(_consequence(before, position))
        if to == "now":
            note("If the route has come further by the time that it is moved, it stays where it is.")
        if not yes:
            typer.confirm("go on?", abort=True)
        operation = Operation(
            id=new_operation_id(),
            kind=OperationKind.MOVE,
            subscription=subscription,
            route=route,
            start=position,
            requested_by=requester(),
            only_forward=to == "now",
        )
        await store.add_operation(operation)
        typer.echo(f"operation {operation.id}")
        return detach or await follow_operations(store, [operation.id])


async def _position(source: Source, to: str) -> Position:
    oldest = await _oldest(source)
    if to == "oldest":
        if oldest is None:
            raise ConfigurationError("--to: the oldest change that is left is not known")
        return oldest
    if to == "now":
        return await source.now()
    now = datetime.now(UTC)
    position = start_of("--to", to, source, now)
    time = position.cluster_time  # the cluster's own clock stands still while nothing is written
    if time is not None and time.seconds > now.timestamp():
        raise ConfigurationError(f"--to: {to} is yet to come")
    if oldest is not None and position.token < oldest.token:
        raise ConfigurationError(
            f"--to: {to} cannot be read any more: the oldest change that is left is of {_written(oldest)}"
        )
    return position


async def _oldest(source: Source) -> Position | None:
    try:
        return await source.oldest()
    except ConfigurationError as error:
        note(str(error))
        return None


def _consequence(before: Position | None, position: Position) -> str:
    if before is None:
        return "The route has no position yet: it begins there."
    if position.token == before.token:
        return "It stands there already: nothing is skipped, and nothing is sent again."
    if position.token > before.token:
        return "What lies between is skipped, for ever: it is recorded as a gap, and the sink is not told."
    return (
        "What was committed since is sent again: in a sink that keeps the last state it was sent, as one "
        "that upserts does, old states overwrite newer ones until the route has caught up."
    )


def _written(position: Position | None) -> str:
    if position is None:
        return "none"
    return moment(position.cluster_time) if position.cluster_time else position.token
