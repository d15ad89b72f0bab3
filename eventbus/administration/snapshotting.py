"""Sending the documents that are there already to the live routes of a subscription, beside their changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from eventbus.administration.asking import new_operation_id
from eventbus.administration.names import check_route, check_subscription, route_names
from eventbus.config import Config
from eventbus.errors import ConfigurationError
from eventbus.model import Snapshot
from eventbus.sdk import SnapshotSource, Source
from eventbus.state.operations import Operation, OperationKind, Progress

__all__ = ["counted", "snapshot"]


def snapshot(
    config: Config,
    subscription: str,
    routes: Sequence[str],
    collections: Sequence[str],
    match: Mapping[str, Any],
    *,
    by: str,
) -> Operation:
    """What is to be stored, once it is `counted`.

    Args:
        config: Has the subscription.
        subscription: Its name.
        routes: Names of the routes that get the documents; none for all of them.
        collections: Only documents of these collections; none for all that the subscription reads.
        match: Only what this matches, in the source's own language.
        by: Who asks for it.

    Raises:
        ConfigurationError: A name is not configured.
    """
    check_subscription(config, subscription)
    for route in routes:
        check_route(config, subscription, route)
    names = tuple(dict.fromkeys(routes)) or tuple(route_names(config, subscription))
    return Operation(
        id=new_operation_id(),
        kind=OperationKind.SNAPSHOT,
        subscription=subscription,
        route=names[0] if len(names) == 1 else "*",
        routes=names,
        match=match,
        collections=tuple(collections),
        requested_by=by,
    )


async def counted(source: Source, operation: Operation) -> Operation:
    """The same, with how much there would be to read; so a mistake is told to whoever made it.

    Raises:
        ConfigurationError: The source cannot read that.
        Unreachable: The source does not answer.
    """
    planned = await _begun(source, operation)
    return replace(operation, progress=Progress(total=planned.total))


async def _begun(source: Source, operation: Operation) -> Snapshot:
    if not isinstance(source, SnapshotSource):
        raise ConfigurationError(
            f"the source of {operation.subscription} can only tell changes, not what is there already"
        )
    return await source.begin_snapshot(
        operation.id, collections=operation.collections, match=operation.match or None
    )
