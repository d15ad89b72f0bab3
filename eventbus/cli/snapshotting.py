"""Sending the documents that are there already to the live routes of a subscription, beside their changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import typer

from eventbus.cli.asking import new_operation_id, requester
from eventbus.cli.names import check_route, check_subscription, route_names
from eventbus.cli.operation_rows import operation_row
from eventbus.cli.operations import follow_operations
from eventbus.cli.printing import print_json
from eventbus.cli.progress import Silence, operation_named
from eventbus.cli.replaying import note_paused
from eventbus.config import Config
from eventbus.daemon import open_source, open_store
from eventbus.errors import ConfigurationError
from eventbus.model import Snapshot
from eventbus.sdk import SnapshotSource
from eventbus.state.operations import Operation, OperationKind, Progress
from eventbus.state.sqlite_file import Access
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
    check_subscription(config, subscription)
    for route in routes:
        check_route(config, subscription, route)
    names = tuple(dict.fromkeys(routes)) or tuple(route_names(config, subscription))
    operation_id = new_operation_id()
    planned = await _tried(config, subscription, operation_id, collections, match)
    operation = Operation(
        id=operation_id,
        kind=OperationKind.SNAPSHOT,
        subscription=subscription,
        route=names[0] if len(names) == 1 else "*",
        routes=names,
        match=match,
        collections=tuple(collections),
        requested_by=requester(),
        progress=Progress(total=planned.total),
    )
    if not as_json:
        typer.echo(f"snapshot {subscription}: about {planned.total} documents to {', '.join(names)}")
    if not yes:
        typer.confirm("go on?", abort=True, err=as_json)
    async with open_store(config, access=Access.OPERATE) as store:
        await store.add_operation(operation)
        for route in names:
            await note_paused(store, subscription, route)
        if as_json:
            return await _told_as_json(store, operation, detach=detach)
        typer.echo(f"operation {operation.id}")
        return detach or await follow_operations(store, [operation.id])


async def _tried(
    config: Config,
    subscription: str,
    operation_id: str,
    collections: Sequence[str],
    match: Mapping[str, Any],
) -> Snapshot:
    """What there would be to read, so that a mistake is told to whoever made it."""
    async with open_source(config, subscription) as source:
        if not isinstance(source, SnapshotSource):
            raise ConfigurationError(
                f"the source of {subscription} can only tell changes, not what is there already"
            )
        return await source.begin_snapshot(operation_id, collections=collections, match=match or None)


async def _told_as_json(store: ControlStore, operation: Operation, *, detach: bool) -> bool:
    well = detach or await follow_operations(store, [operation.id], Silence())
    print_json(operation_row(await operation_named(store, operation.id), datetime.now(UTC)))
    return well
