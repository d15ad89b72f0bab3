"""Identifiers of every kind make a message: the subject is for people and must stop none."""

from __future__ import annotations

import json
from typing import Any

import bson
import pytest

from eventbus.encoding.cloudevents import CloudEventsEncoder
from eventbus.model import Event


@pytest.mark.parametrize(
    ("identifier", "subject"),
    [
        (bson.Binary(b"12345", 0), '{"$binary":{"base64":"MTIzNDU=","subType":"00"}}'),
        (bson.Binary(b"1" * 16, 3), '{"$binary":{"base64":"MTExMTExMTExMTExMTExMQ==","subType":"03"}}'),
        (bson.Binary(b"1" * 16, 4), "31313131-3131-3131-3131-313131313131"),
        (bson.Binary(b"short", 4), '{"$binary":{"base64":"c2hvcnQ=","subType":"04"}}'),
        (bson.Binary(b"x", 128), '{"$binary":{"base64":"eA==","subType":"80"}}'),
    ],
    ids=["generic", "legacy UUID", "UUID", "UUID of a wrong length", "user-defined"],
)
def test_binary_ids(identifier: Any, subject: str) -> None:
    """None of them is taken for a document."""
    event = Event(
        token="82",
        operation="insert",
        database="shop",
        collection="orders",
        document_key=bson.encode({"_id": identifier}),
        document=bson.encode({"_id": identifier}),
    )
    body = json.loads(CloudEventsEncoder("orders").encode(event))
    assert body["subject"] == subject
    assert event.key
