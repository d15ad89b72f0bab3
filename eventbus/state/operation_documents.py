"""Operations as BSON documents, which both stores keep."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from bson import json_util
from bson.json_util import RELAXED_JSON_OPTIONS
from bson.timestamp import Timestamp

from eventbus.model import ClusterTime
from eventbus.state.operations import Operation, OperationKind, OperationStatus, Progress
from eventbus.state.position_documents import entry_of, position_of

__all__ = ["LIVE", "moved_fields", "operation_document", "operation_of"]

LIVE: Final = [status.value for status in OperationStatus if not status.is_over]


def operation_document(operation: Operation) -> dict[str, Any]:
    """All of it but its id and its times, which only the store knows."""
    return {
        "kind": operation.kind.value,
        "subscription": operation.subscription,
        "route": operation.route,
        "start": entry_of(operation.start) if operation.start else None,
        "until": entry_of(operation.until) if operation.until else None,
        "routes": list(operation.routes),
        "match": json_util.dumps(operation.match, json_options=RELAXED_JSON_OPTIONS),
        "collections": list(operation.collections),
        "rate": operation.rate,
        "runner": operation.runner,
        "requested_by": operation.requested_by,
        "only_forward": operation.only_forward,
        **moved_fields(operation),
    }


def moved_fields(operation: Operation) -> dict[str, Any]:
    """What of it changes."""
    progress = operation.progress
    return {
        "status": operation.status.value,
        "progress": {
            "delivered": progress.delivered,
            "parked": progress.parked,
            "filtered": progress.filtered,
            "total": progress.total,
            "reached": Timestamp(*progress.reached) if progress.reached else None,
            "read": progress.read,
            "per_sec": progress.per_sec,
            "through": list(progress.through),
        },
        "problem": operation.problem,
    }


def operation_of(
    operation_id: str, document: Mapping[str, Any], created_at: datetime, updated_at: datetime
) -> Operation:
    """The operation that `operation_document` was given."""
    return Operation(
        operation_id,
        OperationKind(document["kind"]),
        document["subscription"],
        document["route"],
        start=position_of(document["start"] or {}),
        until=position_of(document["until"] or {}),
        routes=tuple(document["routes"]),
        match=json.loads(document["match"]),
        collections=tuple(document.get("collections", ())),
        rate=document["rate"],
        runner=document["runner"],
        requested_by=document["requested_by"],
        only_forward=document.get("only_forward", False),
        status=OperationStatus(document["status"]),
        progress=_progress(document["progress"]),
        problem=document["problem"],
        created_at=created_at,
        updated_at=updated_at,
    )


def _progress(document: Mapping[str, Any]) -> Progress:
    reached: Timestamp | None = document["reached"]
    fields = {name: document[name] for name in ("delivered", "parked", "filtered", "total")}
    return Progress(
        **fields,
        reached=ClusterTime(reached.time, reached.inc) if reached else None,
        read=document.get("read", 0),
        per_sec=document.get("per_sec"),
        through=tuple(document.get("through", ())),
    )
