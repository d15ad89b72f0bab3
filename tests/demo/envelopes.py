"""Events as the daemon publishes them, made by hand."""

from __future__ import annotations

from typing import Any

import orjson

from eventbus.demo.ledger import LAST_REV, Change, Ledger, canonical_id


def body(event_id: str, change: Change, **data: Any) -> bytes:
    """The event of a change, as bytes."""
    parts: dict[str, Any] = {"document": None, "before": None, "changed": None, "removed": None}
    if change.operation == "update":
        parts |= {"changed": {"rev": change.rev, "status": "shipped"}, "removed": []}
    elif change.operation != "delete":
        parts["document"] = {"_id": orjson.loads(change.document_id), "rev": change.rev, "status": "pending"}
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": event_id,
            "source": f"/mongodb/{change.database}/{change.collection}",
            "type": f"mongodb.{change.operation}",
            "data": {
                "operation": change.operation,
                "database": change.database,
                "collection": change.collection,
                "document_key": {"_id": orjson.loads(change.document_id)},
                **parts,
                **data,
            },
        }
    )


def life(document: str, *, database: str = "shop", collection: str = "orders") -> list[Change]:
    """A document's changes, one of each operation."""
    operations = [("insert", 1), ("update", 2), ("replace", 3), ("delete", LAST_REV)]
    return [
        Change(database, collection, canonical_id(document), operation, rev) for operation, rev in operations
    ]


def committed(changes: list[Change]) -> Ledger:
    """A ledger in which all of them are committed."""
    ledger = Ledger()
    ledger.begin(changes)
    ledger.commit(changes)
    return ledger
