"""What becomes of dead letters in SQLite: sent, failed again, discarded, kept, superseded, removed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

import orjson

from eventbus.model import DeadLetter, Event
from eventbus.state.letters import MAX_ERRORS, key_id, letter_id, retried, stored_errors
from eventbus.state.sqlite_file import transaction
from eventbus.state.sqlite_letters import key_of, now_ms, remove
from eventbus.state.store import HeldKey

__all__ = [
    "conclude",
    "dead_key_hashes",
    "discard",
    "forwarded",
    "held_keys",
    "hold",
    "park_again",
    "purge",
    "supersede",
]

_REMOVED: Final = 2000
"""The most that one call removes."""

_TRIED: Final = """
    SELECT errors FROM dead_letters
    WHERE id = ? AND status = 'parked' AND operation_id IS NOT ?"""
_RETRIED: Final = """
    UPDATE dead_letters SET
        attempts = attempts + :attempts, errors = :errors, reason = :reason, kind = :kind,
        held_behind = :held_behind, config = :config, operation_id = :operation_id, updated_at = :now
    WHERE id = :id"""
_CONCLUDE: Final = """
    UPDATE dead_letters SET status = 'replayed', operation_id = ?, updated_at = ?
    WHERE id = ? AND status <> 'replayed'"""
_FORWARDED: Final = "UPDATE dead_letters SET forwarded = 1, updated_at = ? WHERE id = ?"
_DISCARD: Final = """
    UPDATE dead_letters SET status = 'discarded', discarded_by = ?, updated_at = ?
    WHERE id = ? AND status = 'parked'"""
_HOLD: Final = "UPDATE dead_letters SET legal_hold = ?, updated_at = ? WHERE id = ? AND legal_hold <> ?"
_EXPIRED: Final = """
    SELECT id FROM dead_letters WHERE expires_at IS NOT NULL AND expires_at <= ? AND NOT legal_hold LIMIT ?"""
_HELD_KEYS: Final = """
    SELECT count(*) - count(held_behind), count(held_behind), event_id, min(token)
    FROM dead_letters WHERE subscription = ? AND route = ? AND status = 'parked' GROUP BY key_id"""
_HASHES: Final = """
    SELECT DISTINCT key_hash FROM dead_letters
    WHERE subscription = ? AND route = ? AND status = 'parked' AND superseded_by IS NULL"""
_SUPERSEDE: Final = """
    UPDATE dead_letters SET superseded_by = :event_id, updated_at = :now
    WHERE subscription = :subscription AND route = :route AND status = 'parked' AND key_id = :key_id
        AND token < :token AND superseded_by IS NULL"""


def park_again(connection: sqlite3.Connection, letters: Sequence[DeadLetter], operation: str) -> None:
    """Add failed attempts, once for each operation: asking again after a lost answer adds nothing."""
    with transaction(connection):
        for letter in letters:
            _park_again(connection, letter, operation)


def conclude(connection: sqlite3.Connection, ids: Iterable[str], operation: str) -> None:
    """Mark them as replayed."""
    with transaction(connection):
        now = now_ms()
        connection.executemany(_CONCLUDE, [(operation, now, row_id) for row_id in ids])


def forwarded(connection: sqlite3.Connection, ids: Iterable[str]) -> None:
    """Mark them as copied to the dead-letter sink."""
    with transaction(connection):
        now = now_ms()
        connection.executemany(_FORWARDED, [(now, row_id) for row_id in ids])


def discard(connection: sqlite3.Connection, ids: Iterable[str], by: str) -> int:
    """Decide that they need not be sent; how many were parked until now."""
    with transaction(connection):
        now = now_ms()
        return connection.executemany(_DISCARD, [(by, now, row_id) for row_id in ids]).rowcount


def hold(connection: sqlite3.Connection, ids: Iterable[str], held: bool) -> int:
    """Set or lift the legal hold; how many changed."""
    with transaction(connection):
        now = now_ms()
        return connection.executemany(_HOLD, [(held, now, row_id, held) for row_id in ids]).rowcount


def purge(connection: sqlite3.Connection) -> int:
    """Remove what has expired."""
    with transaction(connection):
        expired = connection.execute(_EXPIRED, (now_ms(), _REMOVED)).fetchall()
        return remove(connection, [row_id for (row_id,) in expired])


def held_keys(connection: sqlite3.Connection, subscription: str, route: str) -> list[HeldKey]:
    """Count by key. SQLite takes the event of a group from the row with the least token."""
    found = connection.execute(_HELD_KEYS, (subscription, route)).fetchall()
    return [
        HeldKey(key_of(connection, letter_id(subscription, route, first)), dead, held, first, token)
        for dead, held, first, token in found
    ]


def dead_key_hashes(connection: sqlite3.Connection, subscription: str, route: str) -> set[int]:
    """Read from an index alone."""
    return {key_hash for (key_hash,) in connection.execute(_HASHES, (subscription, route))}


def supersede(connection: sqlite3.Connection, subscription: str, route: str, event: Event) -> None:
    """Mark what is older than the event."""
    values = {
        "event_id": event.id,
        "subscription": subscription,
        "route": route,
        "key_id": key_id(event.key),
        "token": event.token,
        "now": now_ms(),
    }
    with transaction(connection):
        connection.execute(_SUPERSEDE, values)


def _park_again(connection: sqlite3.Connection, letter: DeadLetter, operation: str) -> None:
    row_id = letter_id(letter.subscription, letter.route, letter.event.id)
    found = connection.execute(_TRIED, (row_id, operation)).fetchone()
    if found is None:
        return
    errors = [*orjson.loads(found[0]), *stored_errors(letter)][-MAX_ERRORS:]
    values = {
        "id": row_id,
        "attempts": letter.attempts,
        "errors": orjson.dumps(errors).decode(),
        "now": now_ms(),
        **retried(letter, operation=operation),
    }
    connection.execute(_RETRIED, values)
