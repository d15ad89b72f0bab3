"""What is read: so many inserts of 500 bytes of BSON, and a quarter of that in updates, made once."""

from __future__ import annotations

from typing import Any, Final

from bson import ObjectId, Timestamp, encode
from pymongo import MongoClient, UpdateOne
from pymongo.write_concern import WriteConcern

__all__ = ["COLLECTION", "DATABASE", "make"]

DATABASE: Final = "bench"
COLLECTION: Final = "orders"
_SIZE: Final = 500
_AT_ONCE: Final = 5000


def _order(number: int) -> dict[str, Any]:
    order: dict[str, Any] = {
        "_id": _id(number),
        "customer": f"customer-{number % 5000}",
        "status": "placed",
        "total": number % 997 + 0.5,
        "items": [{"sku": f"sku-{number % 300}", "count": number % 5 + 1}],
        "note": "",
    }
    order["note"] = "x" * (_SIZE - len(encode(order)))
    return order


def _id(number: int) -> ObjectId:
    return ObjectId(number.to_bytes(12, "big"))


def make(uri: str, events: int) -> Timestamp:
    """Have that many changes in the oplog.

    Returns:
        The operation time before the first of them.
    """
    inserts = events * 4 // 5
    with MongoClient[dict[str, Any]](uri) as client:
        before = client.admin.command("ping")["operationTime"]
        orders = client[DATABASE].get_collection(COLLECTION, write_concern=WriteConcern(1))
        for first in range(0, inserts, _AT_ONCE):
            orders.insert_many([_order(number) for number in range(first, min(first + _AT_ONCE, inserts))])
        for first in range(0, events - inserts, _AT_ONCE):
            last = min(first + _AT_ONCE, events - inserts)
            orders.bulk_write(
                [
                    UpdateOne({"_id": _id(number)}, {"$set": {"status": "paid", "paid_by": "card"}})
                    for number in range(first, last)
                ]
            )
        return before  # type: ignore[no-any-return]
