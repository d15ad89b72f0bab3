"""What it costs to encode an event, by envelope and JSON mode.

    python -m benchmarks.encode_event

An update of an order of about 500 bytes with its document. Each number is the best of some rounds, in
microseconds of processor time an event.
"""

from __future__ import annotations

import time
from datetime import datetime

import bson
from bson import Int64, ObjectId

from eventbus.encoding.cloudevents import CloudEventsEncoder
from eventbus.encoding.extended import canonical_extended_json
from eventbus.encoding.plain import plain_json
from eventbus.model import ClusterTime, Event
from eventbus.sdk import Encoder

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
    encoders: dict[str, Encoder] = {
        "cloudevents, relaxed": CloudEventsEncoder("s", "s"),
        "cloudevents, canonical": CloudEventsEncoder("s", "s", write=canonical_extended_json),
        "cloudevents, plain": CloudEventsEncoder("s", "s", write=plain_json),
    }
    for name, encoder in encoders.items():
        print(f"{name:32}{microseconds(encoder):8.1f} µs  {len(encoder.encode(events()[0])):6} bytes")


if __name__ == "__main__":
    main()
