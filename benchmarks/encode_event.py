"""What it costs to encode an event, by envelope and JSON mode.

    python -m benchmarks.encode_event

An update of an order of about 500 bytes with its document. Each number is the best of some rounds, in
microseconds of processor time an event.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import bson
from bson import Int64, ObjectId

from eventbus.config.encoding import EncodingPolicy
from eventbus.encoding.choice import Origin, encoder_of
from eventbus.model import ClusterTime, Event
from eventbus.sdk import Carries, Encoder

OPTIONS: Sequence[dict[str, Any]] = (
    {},
    {"json": "canonical"},
    {"json": "plain"},
    {"mode": "binary"},
    {"envelope": "debezium"},
    {"envelope": "debezium", "schema": True},
    {"envelope": "change"},
    {"envelope": "change", "format": "bson"},
    {"envelope": "document"},
    {"envelope": "document", "format": "bson"},
    {"without": ["items"]},
    {"body": {"id": "{document._id}", "text": "{operation} of {document.customer}"}},
    {"claim_check": {}},
)
ROUNDS = 15
EVENTS = 2000


def order() -> bytes:
    items = [{"sku": f"sku-{number}", "count": number, "price": number * 1.25} for number in range(5)]
    fields = {"customer": "c1", "status": "new", "note": "n" * 150, "items": items, "total": Int64(5)}
    return bson.encode({"_id": ObjectId(), **fields, "at": datetime(2026, 8, 1)})  # noqa: DTZ001 - BSON's own


def events() -> list[Event]:
    document = order()
    key = bson.encode({"_id": bson.decode(document)["_id"]})
    changed = bson.encode({"status": "paid"})
    return [
        Event(
            token=f"8264B7F0C2{number:08X}",
            operation="update",
            database="shop",
            collection="orders",
            cluster_time=ClusterTime(1_700_000_000, number),
            time_ms=1_700_000_000_000 + number,
            document_key=key,
            document=document,
            changed=changed,
        )
        for number in range(EVENTS)
    ]


def microseconds(encoder: Encoder) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        fresh = events()
        begun = time.process_time()
        for event in fresh:
            encoder.encode(event)
            encoder.headers(event)
        best = min(best, (time.process_time() - begun) / EVENTS)
    return best * 1e6


def main() -> None:
    headers = Carries(attributes="ce_", tombstones=True)
    for options in OPTIONS:
        encoding = EncodingPolicy.model_validate(options)
        encoder = encoder_of(encoding, Origin("orders", "orders"), headers)
        name = ", ".join(f"{key}: {value}" for key, value in options.items()) or "default"
        size = len(encoder.encode(events()[0]))
        print(f"{name:45}{microseconds(encoder):8.1f} µs  {size:6} bytes")


if __name__ == "__main__":
    main()
