"""An operation as a row, and how far it has come in words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from eventbus.model import ClusterTime, Position
from eventbus.state.operations import Operation, OperationKind, OperationStatus

__all__ = ["moment", "operation_row", "share_done", "summary", "title"]


def title(operation: Operation) -> str:
    """What names it on a line: id, subscription and route."""
    return f"{operation.id} {operation.subscription}/{operation.route}"


def summary(operation: Operation) -> str:
    """How far it has come, on one line."""
    if operation.kind is OperationKind.MOVE:
        return _move(operation)
    progress = operation.progress
    of_total = "" if progress.total is None else f" of {progress.total}"
    is_snapshot = operation.kind is OperationKind.SNAPSHOT
    done = f"{progress.read}{of_total} read" if is_snapshot else f"{progress.delivered}{of_total} delivered"
    parts = [f"{operation.status.value}, {done}"]
    if progress.parked:
        parts.append(f"{progress.parked} parked")
    if progress.filtered:
        parts.append(f"{progress.filtered} filtered")
    if (left_secs := _left_secs(operation)) is not None:
        parts.append(f"{progress.per_sec:.0f}/s, {left_secs} s left")
    if progress.reached is not None and operation.kind is OperationKind.REPLAY:
        parts.append(f"up to {moment(progress.reached)}")
    if operation.status is OperationStatus.WAITING and not operation.runner:
        parts.append(f"waiting for whoever runs {operation.subscription}")
    return ", ".join(parts) + (f": {operation.problem}" if operation.problem else "")


def _move(operation: Operation) -> str:
    waits = operation.status is OperationStatus.WAITING
    parts = [
        operation.status.value,
        *([f"waiting for whoever runs {operation.subscription}"] if waits else []),
    ]
    return ", ".join(parts) + (f": {operation.problem}" if operation.problem else "")


def share_done(operation: Operation) -> float | None:
    """How much of it is behind it, between 0 and 1; None if that cannot be told."""
    progress = operation.progress
    if operation.status is OperationStatus.DONE:
        return 1.0
    if progress.total:
        done = progress.delivered + progress.parked + progress.filtered + progress.read
        return min(1.0, done / progress.total)
    start, until = _seconds(operation.start), _seconds(operation.until)
    if start is None or until is None or until <= start:
        return None
    reached = progress.reached.seconds if progress.reached else start
    return min(1.0, max(0.0, (reached - start) / (until - start)))


def operation_row(operation: Operation, now: datetime) -> dict[str, Any]:
    """The fields that people search and programs read."""
    progress, created = operation.progress, operation.created_at
    return {
        "id": operation.id,
        "kind": operation.kind.value,
        "subscription": operation.subscription,
        "route": operation.route,
        "routes": list(operation.routes) or None,
        "status": operation.status.value,
        "delivered": progress.delivered,
        "parked": progress.parked,
        "filtered": progress.filtered,
        "read": progress.read if operation.kind is OperationKind.SNAPSHOT else None,
        "total": progress.total,
        "per_sec": progress.per_sec,
        "left_secs": _left_secs(operation),
        "through": list(progress.through) or None,
        "reached": moment(progress.reached) if progress.reached else None,
        "from": operation.start.token if operation.start else None,
        "to": operation.until.token if operation.until else None,
        "match": dict(operation.match) or None,
        "collections": list(operation.collections) or None,
        "rate": operation.rate,
        "runner": operation.runner or "daemon",
        "requested_by": operation.requested_by,
        "created_at": created.isoformat() if created else None,
        "updated_at": operation.updated_at.isoformat() if operation.updated_at else None,
        "age_secs": round((now - created).total_seconds()) if created else None,
        "problem": operation.problem or None,
    }


def moment(time: ClusterTime) -> str:
    """A cluster time as people read it, to the second."""
    return datetime.fromtimestamp(time.seconds, UTC).isoformat()


def _left_secs(operation: Operation) -> int | None:
    """How long it will take at the present pace; None while that cannot be told."""
    progress = operation.progress
    if operation.status.is_over or not progress.per_sec or progress.total is None:
        return None
    return round(max(0, progress.total - progress.read) / progress.per_sec)


def _seconds(position: Position | None) -> int | None:
    return position.cluster_time.seconds if position and position.cluster_time else None
