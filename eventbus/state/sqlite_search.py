"""Searches through the dead letters of a SQLite file: a bounded number of rows at a time.

What can be said in SQL is, for indexes; the match itself is held against each row here, by the code that
defines its meaning. The worker thread is free between two stretches, so that nobody's checkpoint waits for a
search, however few rows it finds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, Final, NamedTuple

import bson
import orjson
from bson.datetime_ms import DatetimeMS
from bson.timestamp import Timestamp

from eventbus.state import sqlite_letters as letters_sql
from eventbus.state.query import parse
from eventbus.state.query_tree import fields_of, selects
from eventbus.state.store import LetterQuery, StoredDeadLetter
from eventbus.state.values import OPTIONS

__all__ = ["START", "Place", "Search", "start_after"]

_STRETCH: Final = 1000
"""Rows that are looked at before the thread is given back: some 20 ms."""
_PAGE: Final = 250
_PAGE_BYTES: Final = 16 << 20


class Place(NamedTuple):
    """A place in one of the orders in which dead letters are read."""

    created_at: int
    token: str
    id: str


START: Final = Place(-1, "", "")


def start_after(token: str) -> Place:
    """The place after all events with this token; ids are hexadecimal, and so before it."""
    return Place(-1, token, "~") if token else START


class Page(NamedTuple):
    """Part of what a search finds, and where to go on; None at the end."""

    letters: Sequence[StoredDeadLetter]
    next: Place | None


class Stretch(NamedTuple):
    """The rows found in one stretch, and where to go on; None at the end."""

    rows: Sequence[tuple[Place, Sequence[Any]]]
    next: Place | None


class Search:
    """A query, ready to be run stretch by stretch.

    Args:
        query: What to find.
        by_token: In the order of events, else in that of creation.
        columns: Columns to be returned for each row.

    Raises:
        ConfigurationError: Its match is no query of the subset; the text says where.
    """

    def __init__(self, query: LetterQuery, *, by_token: bool = False, columns: Sequence[str] = ()) -> None:
        self._match = parse(query.match)
        self._fields = sorted(fields_of(self._match))
        self._given = len(columns)
        order = ("token", "id") if by_token else ("created_at", "token", "id")
        conditions = [f"({', '.join(order)}) > ({', '.join(f':after_{name}' for name in order)})"]
        conditions += _conditions(query)
        looked_at = [column for field in self._fields for column in _COLUMNS.get(field, (field,))]
        self._sql = f"""
            SELECT {", ".join(["created_at", "token", "id", *columns, *looked_at])} FROM dead_letters
            WHERE {" AND ".join(conditions)} ORDER BY {", ".join(order)} LIMIT :rows"""  # noqa: S608  names of columns; values are bound
        self._values = _named(query)

    def stretch(self, connection: sqlite3.Connection, after: Place, rows: int = _STRETCH) -> Stretch:
        """What is found among the next rows."""
        place = {f"after_{name}": value for name, value in after._asdict().items()}
        with closing(connection.execute(self._sql, {**self._values, **place, "rows": rows})) as cursor:
            looked_at = cursor.fetchall()
        end = 3 + self._given
        found = [(Place(*row[:3]), row[3:end]) for row in looked_at if self._selects(row[end:])]
        return Stretch(found, Place(*looked_at[-1][:3]) if len(looked_at) == rows else None)

    def page(self, connection: sqlite3.Connection, after: Place, limit: int | None) -> Page:
        """The letters found among the next rows, up to some 16 MB of payloads."""
        most = _PAGE if limit is None else min(_PAGE, limit)
        found = self.stretch(connection, after, _STRETCH if self._fields else most)
        letters: list[StoredDeadLetter] = []
        size = 0
        for place, (payload_bytes,) in found.rows:
            if len(letters) == most or size >= _PAGE_BYTES:
                return Page(letters, after)
            letter = letters_sql.letter(connection, place.id)
            if letter is not None:
                letters.append(letter)
                size += payload_bytes
            after = place
        return Page(letters, found.next)

    def _selects(self, values: Sequence[Any]) -> bool:
        if not self._fields:
            return True
        rest = iter(values)
        row = {field: _READERS.get(field, next)(rest) for field in self._fields}
        return selects(self._match, row)


def _conditions(query: LetterQuery) -> list[str]:
    """A plus keeps SQLite from taking another index than that of the order."""
    conditions = []
    if query.subscription is not None:
        conditions.append("+subscription = :subscription")
    if query.routes:
        conditions.append(f"+route IN ({', '.join(f':route_{n}' for n in range(len(query.routes)))})")
    if query.statuses:
        conditions.append(f"+status IN ({', '.join(f':status_{n}' for n in range(len(query.statuses)))})")
    if query.not_operation is not None:
        conditions.append("operation_id IS NOT :not_operation")
    if query.forwarded is not None:
        conditions.append("forwarded = :forwarded")
    return conditions


def _named(query: LetterQuery) -> dict[str, Any]:
    return {
        "subscription": query.subscription,
        "not_operation": query.not_operation,
        "forwarded": query.forwarded,
        **{f"route_{number}": route for number, route in enumerate(query.routes)},
        **{f"status_{number}": status.value for number, status in enumerate(query.statuses)},
    }


def _time(rest: Iterator[Any]) -> DatetimeMS | None:
    ms = next(rest)
    return None if ms is None else DatetimeMS(ms)


def _cluster_time(rest: Iterator[Any]) -> Timestamp | None:
    seconds, increment = next(rest), next(rest)
    return None if seconds is None else Timestamp(seconds, increment)


def _document(rest: Iterator[Any]) -> dict[str, Any] | None:
    raw = next(rest)
    return None if raw is None else bson.decode(raw, OPTIONS)


_COLUMNS: Final = {"cluster_time": ("cluster_seconds", "cluster_increment")}
"""Fields that are not columns of their name."""
_READERS: Final = {
    "created_at": _time,
    "expires_at": _time,
    "cluster_time": _cluster_time,
    "legal_hold": lambda rest: bool(next(rest)),
    "errors": lambda rest: orjson.loads(next(rest)),
    "document_key": _document,
}
"""What makes of columns a value as BSON has it."""
