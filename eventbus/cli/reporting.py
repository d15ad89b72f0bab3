"""`eventbus report`: how every route has done over a window of time, for people, pages and programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import typer

from eventbus.administration.names import check_subscription
from eventbus.administration.report import report_rows
from eventbus.administration.throughput import Throughput, throughput_in
from eventbus.cli.daemon_seen import DaemonAt
from eventbus.cli.printing import note, print_json, print_table, printable
from eventbus.cli.to_type import naming
from eventbus.config import Config
from eventbus.servers import open_store
from eventbus.state.access import Access

__all__ = ["Form", "print_report"]

_ROUTES: Final = (
    *("subscription", "route", "health", "why", "counted_since", "delivered", "filtered", "parked"),
    *(
        "settled_per_sec",
        "mean_call_secs",
        "failed_attempts",
        "dead_letters",
        "trend",
        "anomaly",
        "gaps",
        "operations",
        "paused",
    ),
)
_COUNTED: Final = (
    "From health to failed_attempts all is counted by the daemon that answers, since counted_since: "
    "not over the window."
)
_ERRORS: Final = ("subscription", "route", "kind", "dead_letters", "latest")
_HOURS: Final = ("subscription", "route", "from", "dead_letters")


class Form(StrEnum):
    """How it is printed."""

    TABLE = "table"
    MARKDOWN = "markdown"
    JSON = "json"


async def print_report(
    config: Config,
    files: Sequence[Path],
    subscription: str | None,
    *,
    window: str,
    daemon: DaemonAt | None,
    form: Form,
) -> None:
    """Print how routes have done.

    Args:
        config: The configuration.
        files: Where it is, for the commands that are typed next.
        subscription: The only one to look at; None for all.
        window: How far to look back.
        daemon: Whom to ask what it has counted; None if it is not known where it answers.
        form: How.

    Raises:
        ConfigurationError: There is no such subscription.
        Unreachable: The state store does not answer.
    """
    if subscription is not None:
        check_subscription(config, subscription)
    names = [subscription] if subscription is not None else list(config.subscriptions)
    async with open_store(config, access=Access.READ) as store:
        counted = await _counted(daemon)
        rows = await report_rows(
            config, store, names, window=window, throughput=counted, now=datetime.now(UTC)
        )
    named = naming(files)
    rows = [{**row, "next": [*map(named, row["next"])]} for row in rows]
    match form:
        case Form.JSON:
            for row in rows:
                print_json(row)
        case Form.TABLE:
            _print_tables(rows, window)
        case Form.MARKDOWN:
            _print_markdown(rows, window)


async def _counted(daemon: DaemonAt | None) -> Mapping[tuple[str, str], Throughput]:
    if daemon is None:
        note("server.port is 0: --url says where the daemon answers")
        return {}
    text = await daemon.metrics()
    try:
        if text is not None:
            return throughput_in(text)
    except ValueError:  # whoever answers is no daemon
        pass
    note(f"no daemon answers at {daemon.address}: what it alone knows is left out")
    return {}


def _print_tables(rows: Sequence[Mapping[str, Any]], window: str) -> None:
    print_table(_ROUTES, rows, "no routes")
    if any(row["counted_since"] for row in rows):
        typer.echo(_COUNTED)
    print_table(_ERRORS, list(_parts(rows, "kinds")), f"no dead letters in the last {window}")
    if hours := list(_parts(rows, "hours")):
        print_table(_HOURS, hours, "")
    for line in _to_type(rows):
        typer.echo(line)


def _print_markdown(rows: Sequence[Mapping[str, Any]], window: str) -> None:
    typer.echo(f"# The last {window}\n")
    if any(row["counted_since"] for row in rows):
        typer.echo(f"{_COUNTED}\n")
    _print_rows(_ROUTES, rows)
    typer.echo("\n## Dead letters\n")
    _print_rows(_ERRORS, list(_parts(rows, "kinds")))
    typer.echo("\n## By hour\n")
    _print_rows(_HOURS, list(_parts(rows, "hours")))
    typer.echo("\n## What to type\n")
    for line in _to_type(rows) or ["Nothing."]:
        typer.echo(f"- `{line}`" if line.startswith("eventbus") else line)


def _print_rows(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        typer.echo("None.")
        return
    typer.echo(f"| {' | '.join(columns)} |")
    typer.echo(f"|{'---|' * len(columns)}")
    for row in rows:
        cells = (printable(row.get(column)).replace("|", "\\|") for column in columns)
        typer.echo(f"| {' | '.join(cells)} |")


def _parts(rows: Sequence[Mapping[str, Any]], name: str) -> Iterator[dict[str, Any]]:
    for row in rows:
        for part in row[name]:
            yield {"subscription": row["subscription"], "route": row["route"], **part}


def _to_type(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(line for row in rows for line in row["next"]))
