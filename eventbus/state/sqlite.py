"""State in a SQLite file: for one daemon that may not, or need not, write to a cluster.

The same promises as on MongoDB, except that nobody competes: a second daemon on the same file is refused.
Leases are kept nevertheless, since a takeover is then the same code, and time is the machine's clock.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from eventbus.errors import ConfigurationError
from eventbus.model import ClusterTime, DeadLetter, Position, PositionKind
from eventbus.state import sqlite_letters as letters_sql
from eventbus.state.sqlite_file import SqliteFile, make_durable, transaction
from eventbus.state.sqlite_letters import LETTER_TABLES, START, now_ms
from eventbus.state.store import Lease, Save, StoredDeadLetter

__all__ = ["SqliteStore"]

_APPLICATION: Final = 0x65766275
"""Marks the file as ours: "evbu"."""
_FORMAT: Final = 1
_PAGE: Final = 250

_TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS subscriptions (
        name TEXT PRIMARY KEY, owner TEXT, epoch INTEGER NOT NULL, lease_until INTEGER,
        updated_at INTEGER NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS positions (
        subscription TEXT NOT NULL, route TEXT NOT NULL, token TEXT NOT NULL, kind TEXT NOT NULL,
        cluster_seconds INTEGER, cluster_increment INTEGER, extra BLOB, PRIMARY KEY (subscription, route)
    ) WITHOUT ROWID""",
    *LETTER_TABLES,
)
_ACQUIRE: Final = """
    INSERT INTO subscriptions VALUES (:name, :owner, 1, :now + :lease_ms, :now)
    ON CONFLICT (name) DO UPDATE SET
        owner = excluded.owner, epoch = epoch + 1, lease_until = excluded.lease_until,
        updated_at = excluded.updated_at
    WHERE owner IS NULL OR lease_until <= :now OR (:reclaim AND owner = excluded.owner)
    RETURNING epoch"""
_RENEW: Final = """
    UPDATE subscriptions SET lease_until = :now + :lease_ms, updated_at = :now
    WHERE name = :name AND owner = :owner AND epoch = :epoch"""
_RELEASE: Final = """
    UPDATE subscriptions SET owner = NULL, lease_until = NULL, updated_at = :now
    WHERE name = :name AND owner = :owner AND epoch = :epoch"""
_MOVE: Final = """
    INSERT INTO positions VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (subscription, route) DO UPDATE SET
        token = excluded.token, kind = excluded.kind, cluster_seconds = excluded.cluster_seconds,
        cluster_increment = excluded.cluster_increment, extra = excluded.extra"""
_POSITIONS: Final = """
    SELECT route, token, kind, cluster_seconds, cluster_increment, extra FROM positions
    WHERE subscription = ?"""


class SqliteStore:
    """State in one file.

    Args:
        path: The file; a lock file lies beside it.
        instance: A stable name of this daemon.
        read_only: For a look at the state, also while a daemon has the file: positions and dead letters
            can be read, nothing can be written.
    """

    def __init__(self, path: str | os.PathLike[str], *, instance: str, read_only: bool = False) -> None:
        self._file = SqliteFile(Path(path), read_only=read_only)
        self._instance = instance
        self._read_only = read_only

    async def open(self) -> None:
        """Take the file and make tables that are missing.

        Raises:
            ConfigurationError: Another daemon has the file, or it cannot be used.
        """
        await self._file.open(self._check if self._read_only else self._prepare)

    async def close(self) -> None:
        """Give the file up."""
        await self._file.close()

    async def acquire(self, subscription: str, *, lease_secs: float, reclaim: bool) -> Lease | None:
        """See `eventbus.state.store.Store.acquire`."""
        values = {
            "name": subscription,
            "owner": self._instance,
            "lease_ms": round(lease_secs * 1000),
            "reclaim": reclaim,
        }

        def acquire(db: sqlite3.Connection) -> int | None:
            with transaction(db):
                rows = db.execute(_ACQUIRE, {**values, "now": now_ms()}).fetchall()
            return rows[0][0] if rows else None

        epoch = await self._file.run(acquire)
        return None if epoch is None else Lease(subscription, epoch)

    async def positions(self, subscription: str) -> Mapping[str, Position]:
        """See `eventbus.state.store.Store.positions`."""
        rows = await self._file.run(lambda db: db.execute(_POSITIONS, (subscription,)).fetchall())
        return {route: _position(*stored) for route, *stored in rows}

    async def save(self, saves: Sequence[Save], *, lease_secs: float) -> Sequence[bool]:
        """See `eventbus.state.store.Store.save`."""
        return await self._file.run(partial(self._save, saves, round(lease_secs * 1000)))

    async def release(self, lease: Lease) -> None:
        """See `eventbus.state.store.Store.release`."""
        await self._file.run(lambda db: db.execute(_RELEASE, self._holder(lease)).close())

    async def park(self, letters: Sequence[DeadLetter]) -> None:
        """See `eventbus.state.store.Store.park`."""
        await self._file.run(lambda db: letters_sql.park(db, letters))

    async def parked_after(self, subscription: str, route: str, token: str) -> Sequence[str]:
        """See `eventbus.state.store.Store.parked_after`."""
        return await self._file.run(lambda db: letters_sql.parked_after(db, subscription, route, token))

    async def dead_letters(
        self, *, subscription: str | None = None, route: str | None = None, limit: int | None = None
    ) -> AsyncIterator[StoredDeadLetter]:
        """See `eventbus.state.store.Store.dead_letters`."""
        read = partial(letters_sql.page, subscription=subscription, route=route)
        after = START
        remaining = limit
        while remaining is None or remaining > 0:
            size = _PAGE if remaining is None else min(_PAGE, remaining)
            page = await self._file.run(partial(read, after=after, size=size))
            if not page:
                return
            for place, stored in page:
                yield letters_sql.letter_of(place, stored)
            after = page[-1][0]
            remaining = None if remaining is None else remaining - len(page)

    def _save(self, saves: Sequence[Save], lease_ms: int, db: sqlite3.Connection) -> list[bool]:
        with transaction(db):
            return [self._saved(db, save, lease_ms) for save in saves]

    def _saved(self, db: sqlite3.Connection, save: Save, lease_ms: int) -> bool:
        name = save.lease.subscription
        renewed = db.execute(_RENEW, {**self._holder(save.lease), "lease_ms": lease_ms})
        if renewed.rowcount == 0:
            return False
        db.executemany(_MOVE, ((name, route, *_columns(place)) for route, place in save.positions.items()))
        return True

    def _holder(self, lease: Lease) -> dict[str, Any]:
        return {"name": lease.subscription, "owner": self._instance, "epoch": lease.epoch, "now": now_ms()}

    def _prepare(self, db: sqlite3.Connection) -> None:
        if not _is_empty(db):
            self._check(db)  # before anything is changed in what may be another program's
        make_durable(db)
        with transaction(db):
            db.execute(f"PRAGMA application_id = {_APPLICATION}")
            db.execute(f"PRAGMA user_version = {_FORMAT}")
            for statement in _TABLES:
                db.execute(statement)

    def _check(self, db: sqlite3.Connection) -> None:
        if _pragma(db, "application_id") != _APPLICATION:
            raise ConfigurationError(f"{self._file.path} is a database of another program")
        if _pragma(db, "user_version") != _FORMAT:
            raise ConfigurationError(f"{self._file.path} was written by a newer eventbus")


def _is_empty(db: sqlite3.Connection) -> bool:
    return bool(db.execute("SELECT count(*) = 0 FROM sqlite_master").fetchone()[0])


def _pragma(db: sqlite3.Connection, name: str) -> Any:
    return db.execute(f"PRAGMA {name}").fetchone()[0]


def _columns(position: Position) -> tuple[Any, ...]:
    seconds, increment = position.cluster_time or (None, None)
    return position.token, position.kind.value, seconds, increment, position.extra


def _position(
    token: str, kind: str, seconds: int | None, increment: int | None, extra: bytes | None
) -> Position:
    time = None if seconds is None or increment is None else ClusterTime(seconds, increment)
    return Position(token, PositionKind(kind), time, extra)
