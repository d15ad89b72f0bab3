"""Dead letters in SQLite: statements, and plain functions that run them on a connection.

Payloads have a table of their own, so that a search through the rows does not wade through the events.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import bson
import orjson

from eventbus.model import DeadLetter
from eventbus.state.letters import PARKED, Row, pieces, restore, row_of, stored_attempt
from eventbus.state.sqlite_file import transaction
from eventbus.state.store import StoredDeadLetter
from eventbus.state.values import OPTIONS

__all__ = ["LETTER_TABLES", "START", "Place", "letter_of", "now_ms", "page", "park", "parked_after"]

LETTER_TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS dead_letters (
        id TEXT PRIMARY KEY, subscription TEXT NOT NULL, route TEXT NOT NULL, event_id TEXT NOT NULL,
        operation TEXT NOT NULL, database TEXT NOT NULL, collection TEXT NOT NULL, document_key BLOB,
        key_hash INTEGER NOT NULL, token TEXT NOT NULL, cluster_seconds INTEGER, cluster_increment INTEGER,
        size INTEGER NOT NULL, reason TEXT NOT NULL, attempts INTEGER NOT NULL, errors TEXT NOT NULL,
        status TEXT NOT NULL, created_at INTEGER NOT NULL, payload_bytes INTEGER NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS dead_letter_payloads (
        id TEXT NOT NULL, number INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (id, number)
    )""",
    "CREATE INDEX IF NOT EXISTS dead_letters_by_key ON dead_letters (subscription, route, key_hash)",
    "CREATE INDEX IF NOT EXISTS dead_letters_by_token ON dead_letters (subscription, route, token, event_id)",
    "CREATE INDEX IF NOT EXISTS dead_letters_by_creation ON dead_letters (created_at, token, id)",
)

_PAGE_BYTES: Final = 16 << 20

_INSERT: Final = """
    INSERT INTO dead_letters VALUES (
        :id, :subscription, :route, :event_id, :operation, :database, :collection, :document_key,
        :key_hash, :token, :cluster_seconds, :cluster_increment, :size, :reason, :attempts, :errors,
        :status, :created_at, :payload_bytes
    ) ON CONFLICT (id) DO NOTHING"""
_INSERT_PIECE: Final = "INSERT INTO dead_letter_payloads VALUES (?, ?, ?)"
_PIECES: Final = "SELECT bytes FROM dead_letter_payloads WHERE id = ? ORDER BY number"
_AFTER: Final = "SELECT event_id FROM dead_letters WHERE subscription = ? AND route = ? AND token > ?"
_STORED: Final = ("subscription", "route", "reason", "attempts", "errors", "status")
_PAGE: Final = """
    SELECT id, token, created_at, payload_bytes, subscription, route, reason, attempts, errors, status
    FROM dead_letters
    WHERE (created_at, token, id) > (:created_at, :token, :id)
        AND (:subscription IS NULL OR subscription = :subscription)
        AND (:route IS NULL OR route = :route)
    ORDER BY created_at, token, id
    LIMIT :size"""


class Place(NamedTuple):
    """A place in the order in which dead letters are read."""

    created_at: int
    token: str
    id: str


START: Final = Place(-1, "", "")


def now_ms() -> int:
    """The machine's clock, in milliseconds since 1970. Ask inside a transaction, which may wait to begin."""
    return time.time_ns() // 1_000_000


def park(connection: sqlite3.Connection, letters: Sequence[DeadLetter]) -> None:
    """Insert all of them in one transaction; those that are there already stay as they are."""
    with transaction(connection):
        created_at = now_ms()
        for row in map(row_of, letters):
            if connection.execute(_INSERT, _columns(row, created_at)).rowcount == 1:
                numbered = ((row.id, number, piece) for number, piece in enumerate(pieces(row.payload)))
                connection.executemany(_INSERT_PIECE, numbered)


def parked_after(connection: sqlite3.Connection, subscription: str, route: str, token: str) -> list[str]:
    """Ids of the route's events beyond a token."""
    return [event_id for (event_id,) in connection.execute(_AFTER, (subscription, route, token))]


def page(
    connection: sqlite3.Connection, *, subscription: str | None, route: str | None, after: Place, size: int
) -> list[tuple[Place, dict[str, Any]]]:
    """At most `size` rows beyond a place, and about 16 MB of payloads; `letter_of` makes letters of them."""
    named = {"subscription": subscription, "route": route, "size": size, **after._asdict()}
    found: list[tuple[Place, dict[str, Any]]] = []
    total = 0
    with closing(connection.execute(_PAGE, named)) as rows:
        for row_id, token, created_at, payload_bytes, *fields in rows:
            payload = b"".join(piece for (piece,) in connection.execute(_PIECES, (row_id,)))
            stored = dict(zip(_STORED, fields, strict=True))
            found.append((Place(created_at, token, row_id), {**stored, "payload": payload}))
            total += payload_bytes
            if total >= _PAGE_BYTES:
                break
    return found


def letter_of(place: Place, stored: Mapping[str, Any]) -> StoredDeadLetter:
    """The dead letter of a row."""
    fields = {
        **stored,
        "errors": orjson.loads(stored["errors"]),
        "created_at": datetime.fromtimestamp(place.created_at / 1000, UTC),
    }
    return restore(**fields)


def _columns(row: Row, created_at: int) -> dict[str, Any]:
    seconds, increment = row.cluster_time or (None, None)
    key = row.document_key
    return {
        "id": row.id,
        "subscription": row.subscription,
        "route": row.route,
        "event_id": row.event_id,
        "operation": row.operation,
        "database": row.database,
        "collection": row.collection,
        "document_key": None if key is None else bson.encode(key, codec_options=OPTIONS),
        "key_hash": row.key_hash,
        "token": row.token,
        "cluster_seconds": seconds,
        "cluster_increment": increment,
        "size": row.size,
        "reason": row.reason,
        "attempts": row.attempts,
        "errors": orjson.dumps([stored_attempt(error) for error in row.errors]).decode(),
        "status": PARKED,
        "created_at": created_at,
        "payload_bytes": len(row.payload),
    }
