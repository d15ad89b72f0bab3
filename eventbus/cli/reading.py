"""What the reading commands print, straight from the state store: they work whether a daemon runs or not."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from eventbus.config import Config
from eventbus.daemon import open_store
from eventbus.model import Position
from eventbus.state.sqlite_file import Access
from eventbus.state.store import LetterQuery, StoredDeadLetter

__all__ = ["print_dead_letters", "print_positions"]

_WIDE = 4000


async def print_dead_letters(
    config: Config, subscription: str | None, route: str | None, limit: int, as_json: bool
) -> None:
    """Print dead letters as a table, or as one JSON object a line."""
    async with open_store(config, access=Access.READ) as store:
        query = LetterQuery(subscription=subscription, routes=[] if route is None else [route])
        letters = store.find_letters(query, limit=limit)
        if as_json:
            async for letter in letters:
                typer.echo(orjson.dumps(_dead_letter(letter)))
            return
        rows = [_dead_letter(letter) async for letter in letters]
    columns = ("subscription", "route", "event_id", "operation", "key", "reason", "attempts", "created_at")
    _print_table(columns, rows, "no dead letters")


async def print_positions(config: Config, subscription: str | None, as_json: bool) -> None:
    """Print the stored position of each configured route."""
    rows = []
    async with open_store(config, access=Access.READ) as store:
        for name, declared in config.subscriptions.items():
            if subscription not in {None, name}:
                continue
            stored = await store.positions(name)
            rows += [_position(name, route.name, stored.get(route.name)) for route in declared.routes]
    if subscription is not None and subscription not in config.subscriptions:
        raise typer.BadParameter(f"no subscription is named {subscription!r}")
    if as_json:
        for row in rows:
            typer.echo(orjson.dumps(row))
        return
    _print_table(("subscription", "route", "cluster_time", "age_secs", "kind", "token"), rows, "no positions")


def _dead_letter(stored: StoredDeadLetter) -> dict[str, Any]:
    letter, event = stored.letter, stored.letter.event
    return {
        "subscription": letter.subscription,
        "route": letter.route,
        "event_id": event.id,
        "operation": event.operation,
        "namespace": f"{event.database}.{event.collection}",
        "key": stored.key.decode(errors="replace"),
        "reason": letter.reason,
        "attempts": letter.attempts,
        "errors": [error.reason for error in letter.errors],
        "token": event.token,
        "created_at": stored.created_at.isoformat(),
        "status": stored.status,
    }


def _position(subscription: str, route: str, position: Position | None) -> dict[str, Any]:
    if position is None:
        return {"subscription": subscription, "route": route, "token": None, "kind": "none yet"}
    seconds = position.cluster_time.seconds if position.cluster_time else None
    at = datetime.fromtimestamp(seconds, UTC) if seconds else None
    return {
        "subscription": subscription,
        "route": route,
        "cluster_time": at.isoformat() if at else None,
        "age_secs": round((datetime.now(UTC) - at).total_seconds()) if at else None,
        "kind": position.kind.value,
        "token": position.token,
    }


def _print_table(columns: Sequence[str], rows: Iterable[dict[str, Any]], nothing: str) -> None:
    rows = list(rows)
    if not rows:
        typer.echo(nothing)
        return
    table = Table(*columns)
    for row in rows:
        table.add_row(*[Text("" if row.get(column) is None else str(row[column])) for column in columns])
    # Off a terminal nothing is cut: the reader there is a program or a pager.
    Console(width=None if sys.stdout.isatty() else _WIDE).print(table)
