"""Sending dead letters once more: asked of whoever runs the subscription, or done by the command itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import anyio
import typer

from eventbus.administration.resending import (
    Part,
    busy,
    plan,
    remark_on_held,
    remark_on_superseded,
    without_superseded,
)
from eventbus.cli.asking import requester
from eventbus.cli.operations import follow_operations
from eventbus.cli.options import loaded
from eventbus.cli.printing import note, print_json, print_table
from eventbus.cli.progress import all_well, follow, operation_named
from eventbus.cli.replaying import note_paused
from eventbus.config import Config
from eventbus.daemon import run_operation
from eventbus.errors import ConfigurationError
from eventbus.servers import open_store
from eventbus.state.access import Access
from eventbus.state.operations import Operation
from eventbus.state.store import LetterQuery, Store

__all__ = ["go_on", "print_plan", "resend", "without_superseded"]

_COMMAND: Final = "command"
"""The runner of an operation that no daemon takes up."""
_COLUMNS: Final = ("subscription", "route", "letters", "keys", "bytes", "superseded", "held")


async def print_plan(config: Config, query: LetterQuery, as_json: bool) -> None:
    """Print what would be sent, and send nothing."""
    async with open_store(config, access=Access.READ) as store:
        parts = await plan(config, store, query)
    if not as_json:
        print_table(_COLUMNS, [part.row() for part in parts], "no dead letters")
        return
    for part in parts:
        print_json(part.row())


async def resend(
    config: Config,
    query: LetterQuery,
    *,
    edited: list[Path],
    rate: float | None,
    yes: bool,
    detach: bool,
) -> bool:
    """Store an operation for each route, and follow all of them.

    Args:
        config: Where the state is.
        query: Which dead letters.
        edited: Files of a configuration by whose routes and sinks this command is to send them itself; empty
            to leave it to whoever runs the subscriptions.
        rate: The most events a second, for each operation.
        yes: Do not ask.
        detach: Do not follow.

    Returns:
        Whether all of them were sent, as far as it was followed.

    Raises:
        ConfigurationError: A name is wrong, or another operation sends the same route's dead letters.
    """
    sender = _edited(config, edited) if edited else config
    async with open_store(config, access=Access.OPERATE) as store:
        parts = await plan(sender, store, query)
        print_table(_COLUMNS, [part.row() for part in parts], "no dead letters")
        await _check_free(store, parts)
        if (held := remark_on_held(parts)) is not None:
            note(held)
        _ask_about_superseded(parts, yes=yes)
        runner = _COMMAND if edited else ""
        operations = [part.operation(rate=rate, runner=runner, by=requester()) for part in parts]
        for operation in operations:
            await store.add_operation(operation)
            typer.echo(f"operation {operation.id}: {operation.subscription}/{operation.routes[0]}")
            await note_paused(store, operation.subscription, operation.route)
        if edited:
            return all([await _run(store, sender, operation, edited) for operation in operations])
        return detach or await follow_operations(store, [operation.id for operation in operations])


async def go_on(config: Config, operation_id: str, edited: list[Path]) -> bool:
    """Go on with an operation whose command has ended before its time.

    Raises:
        ConfigurationError: It is not one of a command, or it is over.
    """
    sender = _edited(config, edited)
    async with open_store(config, access=Access.OPERATE) as store:
        operation = await operation_named(store, operation_id)
        if operation.runner != _COMMAND:
            raise ConfigurationError(f"{operation_id} is run by the daemon, which goes on with it by itself")
        if operation.status.is_over:
            raise ConfigurationError(f"{operation_id} is over: {operation.status.value}")
        return await _run(store, sender, operation, edited)


async def _check_free(store: Store, parts: Sequence[Part]) -> None:
    """Nobody sends them already.

    Raises:
        ConfigurationError: Somebody does.
    """
    found = await busy(store, parts)
    if found is not None:
        operation, part = found
        raise ConfigurationError(
            f"operation {operation.id} sends dead letters of {part.name} already: "
            f"'eventbus operation show {operation.id} --follow' follows it, "
            f"'eventbus operation cancel {operation.id}' ends it"
        )


def _ask_about_superseded(parts: Sequence[Part], *, yes: bool) -> None:
    said = remark_on_superseded(parts, "--skip-superseded")
    if said is not None:
        note(said)
        if not yes:
            typer.confirm("send them all the same?", abort=True)


async def _run(store: Store, config: Config, operation: Operation, edited: list[Path]) -> bool:
    """Send them here, showing how it comes along; whoever stops it is told how to go on."""
    well: bool | None = None
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run_operation, config, operation)
            well = all_well(await follow(store, [operation.id]))
    except ExceptionGroup as group:
        raise _first(group) from None
    finally:
        if well is None:
            files = " ".join(f"--with {path}" for path in edited)
            note(f"{operation.id} has stopped: 'eventbus dlq replay --resume {operation.id} {files}' goes on")
    return bool(well)


def _edited(config: Config, files: list[Path]) -> Config:
    edited = loaded(files)
    if edited.state != config.state:
        raise ConfigurationError("--with: its state is another one than that of --config")
    return edited


def _first(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
