"""Looking at operations, following them, cancelling them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import anyio
import typer

from eventbus.administration.operation_rows import operation_row
from eventbus.cli.printing import note, print_json, print_record, print_table
from eventbus.cli.progress import Display, all_well, follow, operation_named
from eventbus.config import Config
from eventbus.servers import open_store
from eventbus.state.access import Access
from eventbus.state.store import ControlStore

__all__ = ["cancel", "follow_operations", "print_operation", "print_operations"]

_LIST = (
    *("id", "kind", "subscription", "route", "status", "delivered", "parked", "read", "total", "reached"),
    *("left_secs", "requested_by", "age_secs", "problem"),
)


async def print_operations(config: Config, subscription: str | None, limit: int, as_json: bool) -> None:
    """Print operations, the newest first."""
    async with open_store(config, access=Access.READ) as store:
        found = await store.find_operations(subscription=subscription, limit=limit)
    rows = [operation_row(operation, datetime.now(UTC)) for operation in found]
    if not as_json:
        print_table(_LIST, rows, "no operations")
        return
    for row in rows:
        print_json(row)


async def print_operation(config: Config, operation_id: str, *, as_json: bool, until_over: bool) -> bool:
    """Print one operation, at once or when it is over. False if it is over and did not go well."""
    async with open_store(config, access=Access.READ) as store:
        if until_over:
            return await follow_operations(store, [operation_id])
        operation = await operation_named(store, operation_id)
    (print_json if as_json else print_record)(operation_row(operation, datetime.now(UTC)))
    return not operation.status.is_over or all_well([operation])


async def cancel(config: Config, operation_id: str) -> bool:
    """Cancel an operation. False if it was over already."""
    async with open_store(config, access=Access.OPERATE) as store:
        await operation_named(store, operation_id)
        cancelled = await store.cancel_operation(operation_id)
        status = (await operation_named(store, operation_id)).status
    typer.echo(f"{operation_id} is cancelled" if cancelled else f"{operation_id} is over: {status.value}")
    return cancelled


async def follow_operations(store: ControlStore, ids: Sequence[str], display: Display | None = None) -> bool:
    """Follow operations to their end; whoever stops following is told how to go on. True if all went well."""
    try:
        return all_well(await follow(store, ids, display))
    except anyio.get_cancelled_exc_class():
        for operation_id in ids:
            note(
                f"{operation_id} goes on: 'eventbus operation show {operation_id} --follow' follows it, "
                f"'eventbus operation cancel {operation_id}' ends it"
            )
        raise
