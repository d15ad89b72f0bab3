"""State in a SQLite file: for one daemon that may not, or need not, write to a cluster.

The same promises as on MongoDB, except that nobody competes: a second daemon on the same file is refused.
Leases are kept nevertheless, since a takeover is then the same code, and time is the machine's clock.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import bson

from eventbus.errors import ConfigurationError
from eventbus.model import ClusterTime, Origin, Position, PositionKind
from eventbus.state.access import Access
from eventbus.state.snapshot_documents import snapshot_document, snapshot_of
from eventbus.state.sqlite_file import SqliteFile, transaction
from eventbus.state.sqlite_gaps import SqliteGapStore
from eventbus.state.sqlite_letter_store import SqliteControlStore, SqliteLetterStore
from eventbus.state.sqlite_letters import now_ms
from eventbus.state.sqlite_schema import check_schema, prepare_schema
from eventbus.state.store import Holder, Lease, LetterLimit, Save

__all__ = ["SqliteStore"]

_ACQUIRE: Final = """  -- no epoch is lower than the time, so that it grows even where the file was lost
    INSERT INTO subscriptions VALUES (:name, :owner, :now / 1000, :now + :lease_ms, :now)
    ON CONFLICT (name) DO UPDATE SET
        owner = excluded.owner, epoch = max(epoch + 1, :now / 1000), lease_until = excluded.lease_until,
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
    INSERT INTO positions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (subscription, route) DO UPDATE SET
        token = excluded.token, kind = excluded.kind, cluster_seconds = excluded.cluster_seconds,
        cluster_increment = excluded.cluster_increment, extra = excluded.extra,
        snapshot = excluded.snapshot, origin = excluded.origin, committed = excluded.committed"""
_HOLDERS: Final = """
    SELECT name, owner, lease_until - :now FROM subscriptions
    WHERE owner IS NOT NULL AND lease_until > :now AND name IN (SELECT value FROM json_each(:names))"""
_FORGET: Final = """
    DELETE FROM positions WHERE subscription = :name AND route = :route AND EXISTS (
        SELECT 1 FROM subscriptions WHERE name = :name AND owner = :owner AND epoch = :epoch)"""
_SUBSCRIPTIONS: Final = "SELECT DISTINCT subscription FROM positions ORDER BY subscription"
_POSITIONS: Final = """
    SELECT route, token, kind, cluster_seconds, cluster_increment, extra, snapshot, origin, committed
    FROM positions
    WHERE subscription = ?"""


class SqliteStore(SqliteLetterStore, SqliteControlStore, SqliteGapStore):
    """State in one file.

    Args:
        path: The file; a daemon's lock file lies beside it.
        instance: A stable name of this daemon.
        access: What for: to run, to write what operators want, or for a look.
        limit: How many dead letters it keeps.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        instance: str,
        access: Access = Access.DAEMON,
        limit: LetterLimit | None = None,
    ) -> None:
        self._file = SqliteFile(Path(path), access=access)
        self._instance = instance
        self._access = access
        self._limit = limit or LetterLimit()

    async def open(self) -> None:
        """Take the file and make tables that are missing, or see that it can be used as it is.

        Raises:
            ConfigurationError: Another daemon has the file, or it cannot be used.
        """
        prepare = prepare_schema if self._access is Access.DAEMON else check_schema
        await self._file.open(lambda db: prepare(db, self._file.path))

    async def close(self) -> None:
        """Give the file up."""
        await self._file.close()

    async def acquire(self, subscription: str, *, lease_secs: float, reclaim: bool) -> Lease | None:
        """See `eventbus.state.store.Store.acquire`.

        Beside a daemon only the lease of an operation can be had, whose name has an @ in it: no flock keeps
        two processes from running one subscription there.

        Raises:
            ConfigurationError: This is no daemon's store, and no operation's lease.
        """
        if self._access is not Access.DAEMON and "@" not in subscription:
            raise ConfigurationError(f"only a daemon runs {subscription} on the state file {self._file.path}")
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

    async def subscriptions(self) -> Sequence[str]:
        """See `eventbus.state.store.Store.subscriptions`."""
        rows = await self._file.run(lambda db: db.execute(_SUBSCRIPTIONS).fetchall())
        return [name for (name,) in rows]

    async def holders(self, subscriptions: Collection[str]) -> Mapping[str, Holder]:
        """See `eventbus.state.store.Store.holders`."""
        values = {"now": now_ms(), "names": json.dumps(list(subscriptions))}
        rows = await self._file.run(lambda db: db.execute(_HOLDERS, values).fetchall())
        return {name: Holder(owner, left / 1000) for name, owner, left in rows}

    async def save(self, saves: Sequence[Save], *, lease_secs: float) -> Sequence[bool]:
        """See `eventbus.state.store.Store.save`."""
        return await self._file.run(partial(self._save, saves, round(lease_secs * 1000)))

    async def release(self, lease: Lease) -> None:
        """See `eventbus.state.store.Store.release`."""
        await self._file.run(lambda db: db.execute(_RELEASE, self._holder(lease)).close())

    async def forget_position(self, lease: Lease, route: str) -> None:
        """See `eventbus.state.store.ControlStore.forget_position`."""
        values = {**self._holder(lease), "route": route}
        await self._file.run(lambda db: db.execute(_FORGET, values).close())

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


def _columns(position: Position) -> tuple[Any, ...]:
    seconds, increment = position.cluster_time or (None, None)
    snapshot = bson.encode(snapshot_document(position.snapshot)) if position.snapshot else None
    origin = position.origin.value
    return (
        *(position.token, position.kind.value, seconds, increment, position.extra, snapshot),
        *(origin, position.committed),
    )


def _position(
    token: str,
    kind: str,
    seconds: int | None,
    increment: int | None,
    extra: bytes | None,
    snapshot: bytes | None,
    origin: str,
    committed: str,
) -> Position:
    time = None if seconds is None or increment is None else ClusterTime(seconds, increment)
    found = snapshot_of(bson.decode(snapshot)) if snapshot else None
    return Position(token, PositionKind(kind), time, extra, found, Origin(origin), committed)
