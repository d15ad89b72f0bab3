"""What would become of routes at a start, shown to people and programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import typer
from pymongo import AsyncMongoClient

from eventbus.administration.moments import start_of
from eventbus.administration.names import check_subscription
from eventbus.cli.options import duration_of
from eventbus.cli.printing import Row, note, print_json, print_table, printable
from eventbus.cli.stretch_progress import reading
from eventbus.cli.to_type import naming
from eventbus.config import Config, SQLiteState
from eventbus.errors import ConfigurationError, PositionLost
from eventbus.preview.planning import Planned, planned
from eventbus.preview.stretch import Stretch, stretch_of
from eventbus.preview.walking import Walked, walk
from eventbus.servers import open_client, open_store, source_of
from eventbus.state.access import Access
from eventbus.telemetry.logs import configure_logs

__all__ = ["print_plan"]

_POOL_SIZE: Final = 6
_COLUMNS: Final = (
    *("subscription", "route", "prospect", "documents", "owner", "matches", "newly", "no_longer", "altered"),
)
"""What fits a line; reasons stand below."""


async def print_plan(
    config: Config,
    files: Sequence[Path],
    *,
    subscription: str | None,
    running: Config | None,
    window: str,
    as_json: bool,
) -> bool:
    """Print what would become of each route.

    Args:
        config: The new configuration.
        files: Where it is, for the commands that are to be typed.
        subscription: The only one to look at; None for all.
        running: The one that runs now; None if it is not known.
        window: How long the changes are that are compared, as people write it.
        as_json: One object a line.

    Returns:
        Whether nothing is lost, left behind or read anew.

    Raises:
        ConfigurationError: A name is wrong, or MongoDB refuses a subscription.
        Unreachable: A server does not answer.
    """
    if subscription is not None:
        check_subscription(config, subscription)
    window_secs = duration_of("--window", window)
    configure_logs(config.log.level, config.log.format, config.log.levels)
    if running is None:
        note("no state store keeps a configuration: --running says what to compare with")
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            open_client(config.mongodb, "plan", _POOL_SIZE, config.read_preference)
        )
        store = None
        if isinstance(config.state, SQLiteState) and not config.state.path.exists():
            note(f"there is no state file {config.state.path} yet: every route is new")
        else:
            store = await stack.enter_async_context(open_store(config, access=Access.READ))
        rows = await planned(config, store, client, subscription)
        walked = {
            name: await _walked(client, config, name, running, window_secs)
            for name in config.subscriptions
            if subscription in {None, name}
        }
    named = naming(files)
    shown = [_row(replace(row, next=named(row.next)), walked.get(row.subscription)) for row in rows]
    if as_json:
        for row in shown:
            print_json(row)
    else:
        print_table(_COLUMNS, shown, "no routes")
        for line in _reasons(shown):
            typer.echo(printable(line))
    return all(row.prospect.is_agreed_to for row in rows)


async def _walked(
    client: AsyncMongoClient[Any], config: Config, name: str, running: Config | None, window_secs: float
) -> Walked | None:
    """What became of the changes of the window; None if they cannot be read."""
    source = source_of(config, name, client)
    until = await source.now()
    now = datetime.now(UTC)
    try:
        stretch = await stretch_of(source, start_of("--window", f"-{window_secs}s", source, now), until)
        if stretch.is_short:
            note(f"{name}: MongoDB still has the changes of {_long(stretch)}, and those are compared")
        with reading(name) as report:
            return await walk(client, config, name, stretch, running=running, report=report)
    except (PositionLost, ConfigurationError) as error:
        note(f"{name}: the changes of the window cannot be compared: {error}")
        return None


def _reasons(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        yield f"{row['subscription']}/{row['route']}: {row['why']}"
        if row["next"] is not None:
            yield f"  next: {row['next']}"


def _long(stretch: Stretch) -> str:
    secs = stretch.secs
    return f"{secs / 3600:.1f} h" if secs >= 3600 else f"{secs} s"


def _row(planned_route: Planned, walked: Walked | None) -> Row:
    row = planned_route.row()
    reasons = {"why": row.pop("why"), "next": row.pop("next")}
    return {**row, **_compared(planned_route.route, walked), **reasons}


def _compared(route: str, walked: Walked | None) -> Mapping[str, Any]:
    """What the route makes of the changes of the window; nothing of what is not known."""
    tally = walked.routes.get(route) if walked is not None else None
    difference = (walked.differences or {}).get(route) if walked is not None else None
    return {
        "window_secs": walked.stretch.secs if walked is not None else None,
        "matches": tally.delivered + tally.parked.total() if tally is not None else None,
        "newly": difference.newly if difference is not None else None,
        "no_longer": difference.no_longer if difference is not None else None,
        "altered": difference.altered if difference is not None else None,
    }
