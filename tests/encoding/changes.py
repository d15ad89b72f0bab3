"""Changes to encode, and encoders as a configuration asks for them."""

from __future__ import annotations

from typing import Any

import bson
from bson import Int64, ObjectId

from eventbus.config.encoding import EncodingPolicy
from eventbus.encoding.choice import Origin, contradictions, encoder_of
from eventbus.model import ClusterTime, Event, Section
from eventbus.sdk import Carries, Encoder

__all__ = ["HTTP", "KAFKA", "LINES", "OBJECT_ID", "PLAIN_SINK", "change", "encoder", "read"]

OBJECT_ID = ObjectId("64b7f0c2a1b2c3d4e5f60718")
KAFKA = Carries(attributes="ce_", tombstones=True)
HTTP = Carries(attributes="ce-")
LINES = Carries(any_bytes=False)
PLAIN_SINK = Carries()


def change(**parts: Any) -> Event:
    """An update, but for what is said of it."""
    defaults: dict[str, Any] = {
        "token": "8264B7F0C2",
        "operation": "update",
        "database": "shop",
        "collection": "orders",
        "cluster_time": ClusterTime(1_700_000_000, 7),
        "time_ms": 1_700_000_000_045,
        "document_key": bson.encode({"_id": OBJECT_ID}),
        "document": bson.encode({"_id": OBJECT_ID, "status": "paid", "total": 19.99, "cents": Int64(1999)}),
        "changed": bson.encode({"status": "paid"}),
        "removed": ["note"],
    }
    return Event(**defaults | parts)


def encoder(carries: Carries = PLAIN_SINK, replay: str | None = None, **options: Any) -> Encoder:
    """The encoder of an encoding as users write it; it must be a possible one."""
    encoding = EncodingPolicy.model_validate(options)
    assert list(contradictions(encoding, carries)) == []
    return encoder_of(encoding, Origin("order-events", "orders", replay), carries)


def read(section: Section) -> dict[str, Any]:
    """A document that was given raw."""
    assert isinstance(section, bytes)
    return bson.decode(section)
