"""How rows are printed: as tables for people, as JSON for programs, and never as anything else.

What comes from events and receivers is shown as text: no markup of ours and no control sequence of a terminal
is obeyed in it.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = [
    "Row",
    "note",
    "print_json",
    "print_lines",
    "print_pages",
    "print_record",
    "print_table",
    "printable",
    "table_of",
]

Row: TypeAlias = Mapping[str, Any]

_PAGE = 200
"""Rows of a table that are laid out, and so kept, at once."""
_WIDE = 4000


def note(text: str) -> None:
    """Say something that is no part of the answer."""
    typer.echo(text, err=True)


def print_json(row: Row) -> None:
    """Print one object on a line of its own."""
    typer.echo(orjson.dumps(row))


def print_lines(lines: Iterable[Text]) -> None:
    """Print lines; on a terminal, in their style."""
    console = _console()
    for line in lines:
        console.print(line, soft_wrap=True)


async def print_pages(columns: Sequence[str], rows: AsyncIterable[Row], nothing: str) -> int:
    """Print rows as they come, a table for each page of them. Returns how many there were."""
    page: list[Row] = []
    count = 0
    async for row in rows:
        page.append({column: row.get(column) for column in columns})
        count += 1
        if len(page) == _PAGE:
            print_table(columns, page, nothing)
            page.clear()
    if page or not count:
        print_table(columns, page, nothing)
    return count


def print_table(columns: Sequence[str], rows: Iterable[Row], nothing: str) -> None:
    """Print all rows as one table."""
    rows = list(rows)
    if not rows:
        typer.echo(nothing)
        return
    _console().print(table_of(columns, rows))


def table_of(columns: Sequence[str], rows: Iterable[Row]) -> Table:
    """All rows as one table."""
    table = Table(*columns)
    for row in rows:
        table.add_row(*[Text(printable(row.get(column))) for column in columns])
    return table


def print_record(row: Row) -> None:
    """Print one row, a line for each of its fields."""
    table = Table.grid(padding=(0, 2))
    for name, value in row.items():
        table.add_row(name, Text(printable(value)))
    _console().print(table)


def printable(value: Any) -> str:
    """A value as text on a line."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case orjson.Fragment():
            return printable(orjson.dumps(value).decode())
        case Mapping():
            return printable(orjson.dumps(value).decode())
        case _:
            text = str(value)
            return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def _console() -> Console:
    # Off a terminal nothing is cut: the reader there is a program or a pager.
    return Console(width=None if sys.stdout.isatty() else _WIDE)
