"""Sending dead letters once more: asked of whoever runs the subscription, or done by the command itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import anyio
import typer

from eventbus.cli.asking import new_operation_id, requester
from eventbus.cli.letters import totals_row, with_replays
from eventbus.cli.names import check_route, check_subscription, route_names
from eventbus.cli.operations import follow_operations
from eventbus.cli.options import loaded
from eventbus.cli.printing import Row, note, print_json, print_table
from eventbus.cli.progress import all_well, follow, operation_named
from eventbus.cli.replaying import note_paused
from eventbus.config import Config
from eventbus.daemon import open_store, run_operation
from eventbus.errors import ConfigurationError
from eventbus.state.operations import Operation, OperationKind, Progress
from eventbus.state.sqlite_file import Access
from eventbus.state.store import LetterQuery, LetterTotals, Store

__all__ = ["go_on", "print_plan", "resend", "without_superseded"]

_COMMAND: Final = "command"
"""The runner of an operation that no daemon takes up."""
_COLUMNS: Final = ("subscription", "route", "letters", "keys", "bytes", "superseded", "held")


@dataclass(frozen=True, slots=True)
class _Part:
    """The dead letters of one route, live or of a replay, that are to be sent.

    Args:
        subscription: Name of the subscription.
        route: Name of the live route whose sink gets them.
        query: Which they are, all of one route.
        totals: How many.
    """

    subscription: str
    route: str
    query: LetterQuery
    totals: LetterTotals

    @property
    def name(self) -> str:
        """Whose dead letters they are."""
        return f"{self.subscription}/{self.query.routes[0]}"

    def operation(self, *, rate: float | None, runner: str) -> Operation:
        """What is asked for."""
        return Operation(
            id=new_operation_id(),
            kind=OperationKind.DEAD_LETTERS,
            subscription=self.subscription,
            route=self.route,
            routes=self.query.routes,
            match=self.query.match,
            rate=rate,
            runner=runner,
            requested_by=requester(),
            progress=Progress(total=self.totals.letters - self.totals.held),
        )


def without_superseded(query: LetterQuery) -> LetterQuery:
    """The same query, less those of whose key a newer event has gone out."""
    condition = {"superseded_by": {"$exists": False}}
    return replace(query, match={"$and": [query.match, condition]} if query.match else condition)


async def print_plan(config: Config, query: LetterQuery, as_json: bool) -> None:
    """Print what would be sent, and send nothing."""
    async with open_store(config, access=Access.READ) as store:
        parts = await _plan(config, store, query)
    if not as_json:
        print_table(_COLUMNS, map(_row, parts), "no dead letters")
        return
    for part in parts:
        print_json(_row(part))


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
        parts = await _plan(sender, store, query)
        print_table(_COLUMNS, map(_row, parts), "no dead letters")
        await _check_free(store, parts)
        _tell_about_held(parts)
        _ask_about_superseded(parts, yes=yes)
        operations = [part.operation(rate=rate, runner=_COMMAND if edited else "") for part in parts]
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


async def _plan(config: Config, store: Store, query: LetterQuery) -> list[_Part]:
    """What there is to be sent, by route: an operation concludes dead letters of one route only."""
    found = []
    for subscription, route in _places(config, query):
        named = query.routes or (route,)
        whole = await with_replays(store, replace(query, subscription=subscription, routes=named))
        for one in whole.routes:
            narrowed = replace(whole, routes=(one,))
            totals = await store.count_letters(narrowed)
            if totals.letters:
                found.append(_Part(subscription, route, narrowed, totals))
    return found


def _places(config: Config, query: LetterQuery) -> list[tuple[str, str]]:
    """The subscriptions and live routes that a query is about, all of them configured."""
    if query.subscription is not None:
        check_subscription(config, query.subscription)
    among = [query.subscription] if query.subscription is not None else list(config.subscriptions)
    live = query.routes[0].partition("@")[0] if query.routes else None
    places = [(name, route) for name in among for route in route_names(config, name) if live in {None, route}]
    if not places and live is not None:
        check_route(config, among[0], live)
    return places


async def _check_free(store: Store, parts: Sequence[_Part]) -> None:
    """Nobody sends them already: two at a time would send them twice.

    Raises:
        ConfigurationError: Somebody does.
    """
    for part in parts:
        for operation in await store.find_operations(subscription=part.subscription):
            sends_letters = operation.kind is OperationKind.DEAD_LETTERS and not operation.status.is_over
            if sends_letters and list(operation.routes) == list(part.query.routes):
                raise ConfigurationError(
                    f"operation {operation.id} sends dead letters of {part.name} already: "
                    f"'eventbus operation show {operation.id} --follow' follows it, "
                    f"'eventbus operation cancel {operation.id}' ends it"
                )


def _tell_about_held(parts: Sequence[_Part]) -> None:
    held = sum(part.totals.held for part in parts)
    if held:
        note(
            f"{held} of them wait behind another of their key: they follow by themselves, in order, as an "
            "operation of kind release ('eventbus operation list')."
        )


def _ask_about_superseded(parts: Sequence[_Part], *, yes: bool) -> None:
    superseded = sum(part.totals.superseded for part in parts)
    if superseded:
        note(
            f"Of {superseded} of them a newer event of the key has gone out since: a sink that keeps the "
            "last state it was sent would go back to an older one (--skip-superseded leaves them out)."
        )
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


def _row(part: _Part) -> Row:
    return {"subscription": part.subscription, "route": part.query.routes[0], **totals_row(part.totals)}


def _first(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
