"""Dead letters in SQLite: statements, and plain functions that run them on a connection.

Payloads have a table of their own, so that a search through the rows does not wade through the events.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import bson
import orjson

from eventbus.state.letters import Row, full, pieces, restore
from eventbus.state.payload import decode_content
from eventbus.state.sqlite_file import transaction
from eventbus.state.store import LetterHour, LetterLimit, LetterStatus, StoredDeadLetter, WhenFull
from eventbus.state.values import OPTIONS

__all__ = ["count_parked", "date_of", "hours", "key_of", "letter", "now_ms", "park", "parked_after", "remove"]

_COLUMNS: Final = (
    *("id", "subscription", "route", "event_id", "operation", "database", "collection", "document_key"),
    *("key_hash", "key_id", "key", "token", "cluster_seconds", "cluster_increment", "size", "reason"),
    *("kind", "held_behind", "config", "attempts", "errors", "status", "created_at", "updated_at"),
    *("expires_at", "payload_bytes"),
)
_INSERT: Final = f"""
    INSERT INTO dead_letters ({", ".join(_COLUMNS)})
    VALUES ({", ".join(f":{name}" for name in _COLUMNS)})"""  # noqa: S608  constants only
_INSERT_PIECE: Final = "INSERT INTO dead_letter_payloads VALUES (?, ?, ?)"
_PIECES: Final = "SELECT bytes FROM dead_letter_payloads WHERE id = ? ORDER BY number"
_AFTER: Final = "SELECT event_id FROM dead_letters WHERE subscription = ? AND route = ? AND token > ?"
_RESTORED: Final = (
    *("id", "subscription", "route", "reason", "kind", "held_behind", "config", "attempts", "errors"),
    *("status", "created_at", "expires_at", "legal_hold", "superseded_by", "operation_id", "forwarded"),
)
_LETTER: Final = f"SELECT {', '.join(_RESTORED)} FROM dead_letters WHERE id = ?"  # noqa: S608  constants only
_HOURS: Final = """
    SELECT subscription, route, kind, (created_at - ?) / 3600000 AS hour, count(*), max(created_at)
    FROM dead_letters WHERE created_at >= ?
    GROUP BY subscription, route, kind, hour ORDER BY subscription, route, kind, hour"""
_PARKED: Final = """
    SELECT count(*) FROM (
        SELECT 1 FROM dead_letters WHERE subscription = :subscription AND status = :status
        AND (route = :route OR (route >= :route || '@' AND route < :route || 'A')) LIMIT :most)"""
"""A replay's letters are of a route named after it, with an @ and an id; and A comes after @."""
_OLDEST: Final = "SELECT id FROM dead_letters WHERE NOT legal_hold ORDER BY created_at, token, id LIMIT ?"


def now_ms() -> int:
    """The machine's clock, in milliseconds since 1970. Ask inside a transaction, which may wait to begin."""
    return time.time_ns() // 1_000_000


def date_of(ms: int) -> datetime:
    """The time of so many milliseconds since 1970, in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def hours(connection: sqlite3.Connection, since: datetime) -> list[LetterHour]:
    """Count by hour, found by the index by creation."""
    since_ms = round(since.timestamp() * 1000)
    return [
        LetterHour(subscription, route, kind, hour, letters, date_of(latest))
        for subscription, route, kind, hour, letters, latest in connection.execute(_HOURS, (since_ms,) * 2)
    ]


def park(connection: sqlite3.Connection, rows: Sequence[Row], limit: LetterLimit) -> int:
    """Insert all of them in one transaction; those that are there already stay as they are.

    Returns:
        How many others had to make room.
    """
    with transaction(connection):
        missing = [
            row for row in {row.id: row for row in reversed(rows)}.values() if _is_new(connection, row)
        ]
        dropped = _make_room(connection, len(missing), limit) if missing else 0
        created_at = now_ms()
        for row in missing:
            _insert(connection, row, created_at)
        return dropped


def parked_after(connection: sqlite3.Connection, subscription: str, route: str, token: str) -> list[str]:
    """Ids of the route's events beyond a token."""
    return [event_id for (event_id,) in connection.execute(_AFTER, (subscription, route, token))]


def letter(connection: sqlite3.Connection, row_id: str) -> StoredDeadLetter | None:
    """A dead letter, if it is still there."""
    found = connection.execute(_LETTER, (row_id,)).fetchone()
    if found is None:
        return None
    row: dict[str, Any] = dict(zip(_RESTORED, found, strict=True))
    expires_at = row["expires_at"]
    row |= {
        "errors": orjson.loads(row["errors"]),
        "created_at": date_of(row["created_at"]),
        "expires_at": None if expires_at is None else date_of(expires_at),
    }
    return restore(row, _payload(connection, row_id))


def count_parked(connection: sqlite3.Connection, subscription: str, route: str, most: int) -> int:
    """Count the parked letters of a route and its replays, up to a number."""
    values = {"subscription": subscription, "route": route, "most": most, "status": LetterStatus.PARKED.value}
    return int(connection.execute(_PARKED, values).fetchone()[0])


def key_of(connection: sqlite3.Connection, row_id: str) -> bytes:
    """The key of a row, also a long one."""
    (key,) = connection.execute("SELECT key FROM dead_letters WHERE id = ?", (row_id,)).fetchone()
    return decode_content(_payload(connection, row_id)).key if key is None else key


def remove(connection: sqlite3.Connection, ids: Sequence[str]) -> int:
    """Remove rows with their payloads; within a transaction."""
    named = [(row_id,) for row_id in ids]
    connection.executemany("DELETE FROM dead_letter_payloads WHERE id = ?", named)
    return connection.executemany("DELETE FROM dead_letters WHERE id = ?", named).rowcount


def _is_new(connection: sqlite3.Connection, row: Row) -> bool:
    return connection.execute("SELECT 1 FROM dead_letters WHERE id = ?", (row.id,)).fetchone() is None


def _insert(connection: sqlite3.Connection, row: Row, created_at: int) -> None:
    connection.execute(_INSERT, _values(row, created_at))
    numbered = ((row.id, number, piece) for number, piece in enumerate(pieces(row.payload)))
    connection.executemany(_INSERT_PIECE, numbered)


def _make_room(connection: sqlite3.Connection, coming: int, limit: LetterLimit) -> int:
    """Keep the limit before an insertion; how many had to go."""
    most = limit.max_letters
    if most is None:
        return 0
    (count,) = connection.execute("SELECT letters FROM letter_count").fetchone()
    excess = count + coming - max(most, coming)
    if excess <= 0:
        return 0
    if limit.when_full is WhenFull.STOP:
        raise full(count, most)
    removed = remove(connection, [row_id for (row_id,) in connection.execute(_OLDEST, (excess,))])
    if removed < excess:
        raise full(count, most)
    return removed


def _payload(connection: sqlite3.Connection, row_id: str) -> bytes:
    return b"".join(piece for (piece,) in connection.execute(_PIECES, (row_id,)))


def _values(row: Row, created_at: int) -> dict[str, Any]:
    seconds, increment = row.cluster_time or (None, None)
    document_key, expires = row.document_key, row.expire_after_ms
    return {
        "id": row.id,
        "subscription": row.subscription,
        "route": row.route,
        "event_id": row.event_id,
        "operation": row.operation,
        "database": row.database,
        "collection": row.collection,
        "document_key": None if document_key is None else bson.encode(document_key, codec_options=OPTIONS),
        "key_hash": row.key_hash,
        "key_id": row.key_id,
        "key": row.key,
        "token": row.token,
        "cluster_seconds": seconds,
        "cluster_increment": increment,
        "size": row.size,
        "reason": row.reason,
        "kind": row.kind,
        "held_behind": row.held_behind,
        "config": row.config,
        "attempts": row.attempts,
        "errors": orjson.dumps(list(row.errors)).decode(),
        "status": LetterStatus.PARKED.value,
        "created_at": created_at,
        "updated_at": created_at,
        "expires_at": None if expires is None else created_at + expires,
        "payload_bytes": len(row.payload),
    }
