"""The command that sends the documents that are there already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import typer

from eventbus.administration import snapshotting
from eventbus.administration.operation_rows import operation_row
from eventbus.administration.snapshotting import counted
from eventbus.cli.asking import requester
from eventbus.cli.operations import follow_operations
from eventbus.cli.printing import print_json
from eventbus.cli.progress import Silence, operation_named
from eventbus.cli.replaying import note_paused
from eventbus.config import Config
from eventbus.servers import open_source, open_store
from eventbus.state.access import Access
from eventbus.state.operations import Operation
from eventbus.state.store import ControlStore

__all__ = ["snapshot"]


async def snapshot(
    config: Config,
    subscription: str,
    routes: Sequence[str],
    collections: Sequence[str],
    match: Mapping[str, Any],
    *,
    yes: bool,
    detach: bool,
    as_json: bool,
) -> bool:
    """Ask for a snapshot, and follow it.

    Args:
        config: Where the subscription is configured, and its state.
        subscription: Its name.
        routes: Names of the routes that get the documents; none for all of them.
        collections: Only documents of these collections; none for all that the subscription reads.
        match: Only what this matches, in the source's own language.
        yes: Do not ask.
        detach: Do not follow.
        as_json: Print the operation as JSON, when it is stored or when it is over, and nothing else.

    Returns:
        Whether all went well, as far as it was followed.

    Raises:
        ConfigurationError: A name is wrong, or the source cannot read that.
        Unreachable: The source or the state store does not answer.
    """
    wanted = snapshotting.snapshot(config, subscription, routes, collections, match, by=requester())
    async with open_source(config, subscription) as source:
        operation = await counted(source, wanted)
    if not as_json:
        to = ", ".join(operation.routes)
        typer.echo(f"snapshot {subscription}: about {operation.progress.total} documents to {to}")
    if not yes:
        typer.confirm("go on?", abort=True, err=as_json)
    async with open_store(config, access=Access.OPERATE) as store:
        await store.add_operation(operation)
        for route in operation.routes:
            await note_paused(store, subscription, route)
        if as_json:
            return await _told_as_json(store, operation, detach=detach)
        typer.echo(f"operation {operation.id}")
        return detach or await follow_operations(store, [operation.id])


async def _told_as_json(store: ControlStore, operation: Operation, *, detach: bool) -> bool:
    well = detach or await follow_operations(store, [operation.id], Silence())
    print_json(operation_row(await operation_named(store, operation.id), datetime.now(UTC)))
    return well
