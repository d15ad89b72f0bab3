"""The tables of a state file, their version, and the way from an older version to this one."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from eventbus.errors import ConfigurationError
from eventbus.state.letters import ROW_KEY_BYTES, key_id
from eventbus.state.payload import decode_content
from eventbus.state.sqlite_file import make_durable, transaction

__all__ = ["check_schema", "prepare_schema"]

_APPLICATION: Final = 0x65766275
"""Marks the file as ours: "evbu"."""
_FORMAT: Final = 4

_SUBSCRIPTIONS: Final = """
    CREATE TABLE IF NOT EXISTS subscriptions (
        name TEXT PRIMARY KEY, owner TEXT, epoch INTEGER NOT NULL, lease_until INTEGER,
        updated_at INTEGER NOT NULL
    ) WITHOUT ROWID"""
_POSITIONS: Final = """
    CREATE TABLE IF NOT EXISTS positions (
        subscription TEXT NOT NULL, route TEXT NOT NULL, token TEXT NOT NULL, kind TEXT NOT NULL,
        cluster_seconds INTEGER, cluster_increment INTEGER, extra BLOB, PRIMARY KEY (subscription, route)
    ) WITHOUT ROWID"""
_DEAD_LETTERS: Final = """
    CREATE TABLE IF NOT EXISTS dead_letters (
        id TEXT PRIMARY KEY, subscription TEXT NOT NULL, route TEXT NOT NULL, event_id TEXT NOT NULL,
        operation TEXT NOT NULL, database TEXT NOT NULL, collection TEXT NOT NULL, document_key BLOB,
        key_hash INTEGER NOT NULL, token TEXT NOT NULL, cluster_seconds INTEGER, cluster_increment INTEGER,
        size INTEGER NOT NULL, reason TEXT NOT NULL, attempts INTEGER NOT NULL, errors TEXT NOT NULL,
        status TEXT NOT NULL, created_at INTEGER NOT NULL, payload_bytes INTEGER NOT NULL
    ) WITHOUT ROWID"""
_PAYLOADS: Final = """
    CREATE TABLE IF NOT EXISTS dead_letter_payloads (
        id TEXT NOT NULL, number INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (id, number)
    )"""
_OF_FORMAT_1: Final = (_SUBSCRIPTIONS, _POSITIONS, _DEAD_LETTERS, _PAYLOADS)
"""As they were; what came later is added to them, so that a new file and an old one end up alike."""

_ADDED: Final = (
    *("kind TEXT NOT NULL DEFAULT 'rejected'", "held_behind TEXT", "config TEXT NOT NULL DEFAULT ''"),
    *("expires_at INTEGER", "legal_hold INTEGER NOT NULL DEFAULT 0", "superseded_by TEXT"),
    *("operation_id TEXT", "forwarded INTEGER NOT NULL DEFAULT 0", "discarded_by TEXT"),
    *("updated_at INTEGER NOT NULL DEFAULT 0", "key_id BLOB", "key BLOB"),
)
_OF_FORMAT_2: Final = (
    """CREATE TABLE pauses (
        subscription TEXT NOT NULL, route TEXT NOT NULL, reason TEXT NOT NULL,
        PRIMARY KEY (subscription, route)
    ) WITHOUT ROWID""",
    """CREATE TABLE operations (
        id TEXT PRIMARY KEY, subscription TEXT NOT NULL, status TEXT NOT NULL, epoch INTEGER NOT NULL,
        created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, document BLOB NOT NULL
    ) WITHOUT ROWID""",
    "CREATE TABLE letter_count (letters INTEGER NOT NULL)",
    "INSERT INTO letter_count SELECT count(*) FROM dead_letters",
    """CREATE TRIGGER letter_came AFTER INSERT ON dead_letters
        BEGIN UPDATE letter_count SET letters = letters + 1; END""",
    """CREATE TRIGGER letter_went AFTER DELETE ON dead_letters
        BEGIN UPDATE letter_count SET letters = letters - 1; END""",
    "CREATE INDEX operations_by_creation ON operations (created_at)",
    "CREATE INDEX operations_by_status ON operations (status, subscription)",
    "DROP INDEX IF EXISTS dead_letters_by_key",
    "CREATE INDEX dead_letters_by_event ON dead_letters (token, id)",
    """CREATE INDEX dead_letters_by_status_and_key
        ON dead_letters (subscription, route, status, key_id, token, event_id, held_behind)""",
    """CREATE INDEX dead_letters_by_status_and_key_hash
        ON dead_letters (subscription, route, status, key_hash) WHERE superseded_by IS NULL""",
    "CREATE INDEX dead_letters_by_expiry ON dead_letters (expires_at) WHERE expires_at IS NOT NULL",
)
_OF_FORMAT_3: Final = (
    """CREATE TABLE gaps (
        id TEXT PRIMARY KEY, subscription TEXT NOT NULL, route TEXT NOT NULL, start TEXT NOT NULL,
        created_at INTEGER NOT NULL, document BLOB NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX gaps_by_creation ON gaps (created_at)",
    "ALTER TABLE positions ADD COLUMN snapshot BLOB",
)
_OF_FORMAT_4: Final = (
    "ALTER TABLE positions ADD COLUMN origin TEXT NOT NULL DEFAULT 'reached'",
    "ALTER TABLE positions ADD COLUMN committed TEXT NOT NULL DEFAULT ''",
)
_INDEXES_OF_FORMAT_1: Final = (
    "CREATE INDEX IF NOT EXISTS dead_letters_by_token ON dead_letters (subscription, route, token, event_id)",
    "CREATE INDEX IF NOT EXISTS dead_letters_by_creation ON dead_letters (created_at, token, id)",
)
_PAYLOAD: Final = "SELECT bytes FROM dead_letter_payloads WHERE id = ? ORDER BY number"


def prepare_schema(db: sqlite3.Connection, name: object) -> None:
    """Make the tables that are missing, and bring older ones up to date: all of it or nothing.

    Args:
        db: The file, which nobody else runs on.
        name: What to call the file in an error.

    Raises:
        ConfigurationError: It is another program's, or a newer eventbus has written it.
    """
    if not _is_empty(db):
        _check(db, name)  # before anything is changed in what may be another program's
    make_durable(db)
    with transaction(db):
        db.execute(f"PRAGMA application_id = {_APPLICATION}")
        for statement in (*_OF_FORMAT_1, *_INDEXES_OF_FORMAT_1):
            db.execute(statement)
        if _pragma(db, "user_version") < 2:
            _move_to_format_2(db)
        if _pragma(db, "user_version") < 3:
            _move(db, _OF_FORMAT_3)
        if _pragma(db, "user_version") < 4:
            _move(db, _OF_FORMAT_4)
        db.execute(f"PRAGMA user_version = {_FORMAT}")


def check_schema(db: sqlite3.Connection, name: object) -> None:
    """See that the file can be used as it is, by a process that is not the daemon.

    Raises:
        ConfigurationError: It is another program's, or another version of eventbus has written it.
    """
    _check(db, name)
    if _pragma(db, "user_version") < _FORMAT:
        raise ConfigurationError(
            f"{name} was written by an older eventbus: start this version's daemon once, which updates it"
        )


def _check(db: sqlite3.Connection, name: object) -> None:
    if _pragma(db, "application_id") != _APPLICATION:
        raise ConfigurationError(f"{name} is a database of another program")
    if _pragma(db, "user_version") > _FORMAT:
        raise ConfigurationError(f"{name} was written by a newer eventbus")


def _move_to_format_2(db: sqlite3.Connection) -> None:
    for column in _ADDED:
        db.execute(f"ALTER TABLE dead_letters ADD COLUMN {column}")
    ids = [row_id for (row_id,) in db.execute("SELECT id FROM dead_letters")]
    for row_id in ids:
        payload = b"".join(piece for (piece,) in db.execute(_PAYLOAD, (row_id,)))
        key = decode_content(payload).key
        db.execute(
            "UPDATE dead_letters SET key_id = ?, key = ?, updated_at = created_at WHERE id = ?",
            (key_id(key), key if len(key) <= ROW_KEY_BYTES else None, row_id),
        )
    _move(db, _OF_FORMAT_2)


def _move(db: sqlite3.Connection, statements: Sequence[str]) -> None:
    for statement in statements:
        db.execute(statement)


def _is_empty(db: sqlite3.Connection) -> bool:
    return bool(db.execute("SELECT count(*) = 0 FROM sqlite_master").fetchone()[0])


def _pragma(db: sqlite3.Connection, name: str) -> Any:
    return db.execute(f"PRAGMA {name}").fetchone()[0]
