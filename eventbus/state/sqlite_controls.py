"""Pauses and operations in SQLite: statements, and plain functions that run them on a connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from typing import Any, Final

import bson

from eventbus.errors import ConfigurationError
from eventbus.state.operation_documents import LIVE, moved_fields, operation_document, operation_of
from eventbus.state.operations import Control, Operation, OperationStatus
from eventbus.state.sqlite_file import transaction
from eventbus.state.sqlite_letters import date_of, now_ms
from eventbus.state.values import OPTIONS

__all__ = [
    "add_operation",
    "cancel_operation",
    "controls",
    "find_operations",
    "move_operation",
    "set_paused",
]

_PAUSE: Final = """
    INSERT INTO pauses VALUES (?, ?, ?)
    ON CONFLICT (subscription, route) DO UPDATE SET reason = excluded.reason"""
_RESUME: Final = "DELETE FROM pauses WHERE subscription = ? AND route = ?"
_ADD: Final = "INSERT INTO operations VALUES (:id, :subscription, :status, 0, :now, :now, :document)"
_FIELDS: Final = "id, document, created_at, updated_at"
_FIND: Final = f"""
    SELECT {_FIELDS} FROM operations
    WHERE (:subscription IS NULL OR subscription = :subscription) AND (:id IS NULL OR id = :id)
    ORDER BY created_at DESC, id DESC LIMIT :limit"""  # noqa: S608  constants only
_LIVE: Final = f"status IN ({', '.join(repr(status) for status in LIVE)})"
_ASKED: Final = f"""
    SELECT {_FIELDS} FROM operations
    WHERE {_LIVE} AND subscription = ? ORDER BY created_at, id"""  # noqa: S608  constants only
_MOVABLE: Final = f"SELECT document FROM operations WHERE id = ? AND {_LIVE} AND epoch <= ?"  # noqa: S608  constants only
_MOVE: Final = """
    UPDATE operations SET
        status = :status, epoch = max(epoch, :epoch), updated_at = :now, document = :document
    WHERE id = :id"""
_ANY_EPOCH: Final = 2**63 - 1


def controls(connection: sqlite3.Connection, subscriptions: Collection[str]) -> dict[str, Control]:
    """What is wanted of each."""
    return {name: _control(connection, name) for name in subscriptions}


def set_paused(connection: sqlite3.Connection, subscription: str, route: str, reason: str | None) -> None:
    """Pause or resume."""
    with transaction(connection):
        if reason is None:
            connection.execute(_RESUME, (subscription, route))
        else:
            connection.execute(_PAUSE, (subscription, route, reason))


def add_operation(connection: sqlite3.Connection, operation: Operation) -> None:
    """Store a new one."""
    values = {
        "id": operation.id,
        "subscription": operation.subscription,
        "status": operation.status.value,
        "document": bson.encode(operation_document(operation), codec_options=OPTIONS),
    }
    with transaction(connection):
        try:
            connection.execute(_ADD, {**values, "now": now_ms()})
        except sqlite3.IntegrityError:
            raise ConfigurationError(f"there is an operation {operation.id} already") from None


def find_operations(
    connection: sqlite3.Connection, subscription: str | None, operation_id: str | None, limit: int
) -> list[Operation]:
    """The newest first."""
    values = {"subscription": subscription, "id": operation_id, "limit": limit}
    return [_operation(*row) for row in connection.execute(_FIND, values)]


def move_operation(connection: sqlite3.Connection, operation: Operation, epoch: int) -> bool:
    """Store how far it has come, if it is not over and nobody with a higher epoch has."""
    return _changed(connection, operation.id, moved_fields(operation), epoch=epoch, up_to=epoch)


def cancel_operation(connection: sqlite3.Connection, operation_id: str) -> bool:
    """Cancel it if it is not over."""
    fields = {"status": OperationStatus.CANCELLED.value}
    return _changed(connection, operation_id, fields, epoch=0, up_to=_ANY_EPOCH)


def _changed(
    connection: sqlite3.Connection, operation_id: str, fields: Mapping[str, Any], *, epoch: int, up_to: int
) -> bool:
    with transaction(connection):
        found = connection.execute(_MOVABLE, (operation_id, up_to)).fetchone()
        if found is None:
            return False
        stored: dict[str, Any] = bson.decode(found[0], OPTIONS)
        document = {**stored, **fields}
        values = {
            "id": operation_id,
            "status": document["status"],
            "epoch": epoch,
            "now": now_ms(),
            "document": bson.encode(document, codec_options=OPTIONS),
        }
        connection.execute(_MOVE, values)
        return True


def _control(connection: sqlite3.Connection, subscription: str) -> Control:
    pauses = connection.execute("SELECT route, reason FROM pauses WHERE subscription = ?", (subscription,))
    paused = dict(pauses.fetchall())
    asked = connection.execute(_ASKED, (subscription,))
    return Control(paused, tuple(_operation(*row) for row in asked))


def _operation(operation_id: str, document: bytes, created_at: int, updated_at: int) -> Operation:
    fields: dict[str, Any] = bson.decode(document, OPTIONS)
    return operation_of(operation_id, fields, date_of(created_at), date_of(updated_at))
