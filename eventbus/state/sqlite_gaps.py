"""Gaps in SQLite: one row each, whose end never goes back."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

import bson

from eventbus.state.gap_documents import gap_document, gap_of
from eventbus.state.gaps import Gap
from eventbus.state.sqlite_file import SqliteFile, transaction
from eventbus.state.sqlite_letters import date_of, now_ms
from eventbus.state.values import OPTIONS

__all__ = ["SqliteGapStore"]

_FIND: Final = """
    SELECT document, created_at FROM gaps
    WHERE (:subscription IS NULL OR subscription = :subscription) AND (:route IS NULL OR route = :route)
        AND (:start IS NULL OR start = :start)
    ORDER BY created_at DESC, id DESC LIMIT :limit"""
_KNOWN: Final = "SELECT document, created_at FROM gaps WHERE id = ?"
_RECORD: Final = """
    INSERT INTO gaps VALUES (:id, :subscription, :route, :start, :now, :document)
    ON CONFLICT (id) DO UPDATE SET document = excluded.document"""


class SqliteGapStore:
    """See `eventbus.state.store.GapStore`."""

    _file: SqliteFile

    async def record_gap(self, gap: Gap) -> Gap | None:
        """See `eventbus.state.store.GapStore.record_gap`."""
        return await self._file.run(lambda db: _record(db, gap))

    async def gaps(
        self,
        *,
        subscription: str | None = None,
        route: str | None = None,
        start: str | None = None,
        limit: int = 100,
    ) -> Sequence[Gap]:
        """See `eventbus.state.store.GapStore.gaps`."""
        values = {"subscription": subscription, "route": route, "start": start, "limit": limit}
        return await self._file.run(lambda db: [_gap(*row) for row in db.execute(_FIND, values)])


def _record(db: sqlite3.Connection, gap: Gap) -> Gap | None:
    with transaction(db):
        found = db.execute(_KNOWN, (gap.id,)).fetchone()
        before = _gap(*found) if found is not None else None
        if before is None or before.end.token <= gap.end.token:
            db.execute(_RECORD, _values(gap))
    return before


def _values(gap: Gap) -> dict[str, Any]:
    return {
        "id": gap.id,
        "subscription": gap.subscription,
        "route": gap.route,
        "start": gap.start.token,
        "now": now_ms(),
        "document": bson.encode(gap_document(gap), codec_options=OPTIONS),
    }


def _gap(document: bytes, created_at: int) -> Gap:
    fields: dict[str, Any] = bson.decode(document, OPTIONS)
    return gap_of(fields, date_of(created_at))
