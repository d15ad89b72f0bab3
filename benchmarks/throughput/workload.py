"""What is read: a backlog of inserts and updates, or inserts at a steady pace from a process of its own.

    python -m benchmarks.throughput.workload URI COLLECTION PER_SECOND SECONDS

writes at that pace and prints how many it wrote. Each of those documents says when it was sent.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from bson import Int64, ObjectId, Timestamp, encode
from pymongo import MongoClient, UpdateOne
from pymongo.write_concern import WriteConcern

__all__ = [
    "COLLECTION",
    "CUSTOMERS",
    "DATABASE",
    "SENT_AT",
    "documents_of",
    "make_backlog",
    "make_customers",
    "order_of",
    "sent_at",
    "writing",
]

DATABASE: Final = "bench"
COLLECTION: Final = "orders"
CUSTOMERS: Final = "customers"
SENT_AT: Final = "sent_at"
"""The field of a live document that says when it was sent, in nanoseconds since 1970."""
PLACED: Final = datetime(2026, 3, 14, 15, 9, tzinfo=UTC)
_SIZE: Final = 500
_CUSTOMERS: Final = 5000
_AT_ONCE: Final = 5000
_GROUPS_PER_SEC: Final = 100
_SENT_AT_FIELD: Final = b"\x12sent_at\0"


def documents_of(events: int) -> int:
    """How many of so many changes are inserts; the others are updates of the first documents."""
    return events * 4 // 5


def make_backlog(uri: str, events: int) -> Timestamp:
    """Have that many changes in the oplog.

    Returns:
        The operation time before the first of them.
    """
    inserts = documents_of(events)
    with MongoClient[dict[str, Any]](uri) as client:
        before = client.admin.command("ping")["operationTime"]
        orders = client[DATABASE].get_collection(COLLECTION, write_concern=WriteConcern(1))
        for first in range(0, inserts, _AT_ONCE):
            orders.insert_many([order_of(number) for number in range(first, min(first + _AT_ONCE, inserts))])
        for first in range(0, events - inserts, _AT_ONCE):
            last = min(first + _AT_ONCE, events - inserts)
            orders.bulk_write(
                [
                    UpdateOne({"_id": _id(number)}, {"$set": {"status": "paid", "paid_by": "card"}})
                    for number in range(first, last)
                ]
            )
        return before  # type: ignore[no-any-return]


def make_customers(uri: str) -> None:
    """Have a document for every customer that an order names."""
    with MongoClient[dict[str, Any]](uri) as client:
        client[DATABASE].drop_collection(CUSTOMERS)
        client[DATABASE][CUSTOMERS].insert_many(
            [{"_id": f"customer-{number}", "tier": "gold", "since": number} for number in range(_CUSTOMERS)]
        )


@contextmanager
def writing(uri: str, collection: str, *, per_sec: int, secs: float) -> Iterator[subprocess.Popen[str]]:
    """A process that writes at that pace while the body runs, for so long at most."""
    arguments = [uri, collection, str(per_sec), str(secs)]
    with subprocess.Popen(
        [sys.executable, "-m", __name__, *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def sent_at(raw: bytes) -> int:
    """When a live document was sent, in nanoseconds since 1970; 0 if it does not say."""
    at = raw.find(_SENT_AT_FIELD)
    return int.from_bytes(raw[at + 9 : at + 17], "little") if at >= 0 else 0


def order_of(number: int, **further: Any) -> dict[str, Any]:
    order: dict[str, Any] = {
        "_id": _id(number),
        **further,
        "customer": f"customer-{number % _CUSTOMERS}",
        "status": "placed",
        "placed": PLACED,
        "total": number % 997 + 0.5,
        "items": [{"sku": f"sku-{number % 300}", "count": number % 5 + 1}],
        "note": "",
    }
    order["note"] = "x" * (_SIZE - len(encode(order)))
    return order


def _id(number: int) -> ObjectId:
    return ObjectId(number.to_bytes(12, "big"))


def _write(uri: str, collection: str, per_sec: int, secs: float) -> int:
    groups, size = int(secs * _GROUPS_PER_SEC), per_sec // _GROUPS_PER_SEC
    with MongoClient[dict[str, Any]](uri) as client:
        target = client[DATABASE][collection]
        begun = time.monotonic()
        for group in range(groups):
            orders = [order_of(group * size + number, **{SENT_AT: Int64(0)}) for number in range(size)]
            time.sleep(max(0.0, begun + group / _GROUPS_PER_SEC - time.monotonic()))
            now = Int64(time.time_ns())
            target.insert_many([{**order, SENT_AT: now} for order in orders])
    return groups * size


if __name__ == "__main__":
    address, name, pace, duration = sys.argv[1:]
    print(json.dumps(_write(address, name, int(pace), float(duration))))
