"""Which fields a message has: the same ones in every part of a change, as MongoDB itself would project."""

from __future__ import annotations

from typing import Any

import bson
import orjson
import pytest

from eventbus.encoding.projection import Projection
from tests.encoding.changes import OBJECT_ID, change, encoder

DOCUMENT = {
    "_id": OBJECT_ID,
    "status": "paid",
    "card": {"number": "4111", "brand": "v"},
    "items": [{"sku": "x", "price": 1}, 7, [{"sku": "y", "price": 2}]],
    "note": None,
}


def _document(**options: Any) -> Any:
    event = change(document=bson.encode(DOCUMENT))
    return orjson.loads(encoder(envelope="document", **options).encode(event))


def test_only_the_fields_that_are_named() -> None:
    """And _id, as MongoDB projects: into arrays of documents as well."""
    assert _document(json="plain", fields=["card.brand", "items.sku", "status.x", "nobody"]) == {
        "_id": str(OBJECT_ID),
        "card": {"brand": "v"},
        "items": [{"sku": "x"}, [{"sku": "y"}]],
    }
    assert list(_document(fields=["card.brand", "card"])["card"]) == ["number", "brand"]


def test_all_fields_but_those_that_are_named() -> None:
    """_id stays in any case."""
    assert _document(json="plain", without=["card.number", "items.price", "note", "_id", "status.x"]) == {
        "_id": str(OBJECT_ID),
        "status": "paid",
        "card": {"brand": "v"},
        "items": [{"sku": "x"}, 7, [{"sku": "y"}]],
    }


def test_a_place_in_an_array_is_left_out() -> None:
    """A path may name it, and the others stay where they are."""
    left = _document(json="plain", without=["items.1", "items.2.0.sku", "items.3"])
    assert left["items"] == [{"sku": "x", "price": 1}, None, [{"price": 2}]]


@pytest.mark.parametrize(
    ("options", "changed", "removed", "truncated"),
    [
        (
            {"fields": ["card.brand", "items.sku"]},
            {"card.brand": "m", "card": {"brand": "m"}, "items.0.sku": "z", "items.1": {"sku": "z"}},
            ["card", "items.0", "card.brand"],
            ["items"],
        ),
        (
            {"without": ["card.brand", "items.sku"]},
            {"status": "x", "card": {"number": 1}, "items.1": {"price": 1}, "card.number": 1, "items.0.n": 0},
            ["status", "card", "items.0"],
            ["items", "status"],
        ),
    ],
)
def test_what_an_update_tells_is_projected_by_its_paths(
    options: dict[str, Any], changed: dict[str, Any], removed: list[str], truncated: list[str]
) -> None:
    """A path may end above, at or below one that was named, and have indexes of arrays in it."""
    everything = {
        "status": "x",
        "card.brand": "m",
        "card": {"brand": "m", "number": 1},
        "items.0.sku": "z",
        "items.1": {"sku": "z", "price": 1},
        "card.number": 1,
        "items.0.n": 0,
    }
    details = {
        "truncated_arrays": [{"field": "items", "newSize": 1}, {"field": "status", "newSize": 0}],
        "disambiguated_paths": {"card.brand": ["card.brand"], "status": ["status"]},
    }
    event = change(changed=everything, removed=["status", "card", "items.0", "card.brand"], details=details)
    data = orjson.loads(encoder(**options).encode(event))["data"]
    assert data["changed"] == changed
    assert data["removed"] == removed
    assert [array["field"] for array in data["truncated_arrays"]] == truncated
    assert list(data["disambiguated_paths"]) == (["card.brand"] if "fields" in options else ["status"])


def test_a_field_that_became_something_else_is_not_told() -> None:
    """Of ``card: 7`` nothing is ``card.brand``."""
    event = change(changed={"card": 7}, before=bson.encode({"_id": 1, "card": 7}), document=None)
    data = orjson.loads(encoder(fields=["card.brand"]).encode(event))["data"]
    assert (data["changed"], data["before"], data["document"]) == ({}, {"_id": 1}, None)
    data = orjson.loads(encoder(without=["card.brand"]).encode(event))["data"]
    assert data["changed"] == {"card": 7}


def test_the_event_stays_the_same_one() -> None:
    """Id, key, position and attributes; a change without a document keeps what it tells."""
    event = change(key=b"k", extra=b"x", fragment=2, attributes={"urgency": "high"}, size=9)
    less = Projection(["status"])(event)
    assert (less.id, less.key, less.position) == (event.id, b"k", event.position)
    assert (less.size, less.attributes, less.document_key) == (9, event.attributes, event.document_key)
    rename = change(operation="rename", document_key=None, changed={"to": {"db": "a", "coll": "b"}})
    assert Projection(["status"])(rename).changed == {"to": {"db": "a", "coll": "b"}}


@pytest.mark.parametrize("envelope", ["cloudevents", "debezium", "change"])
def test_every_envelope_is_projected(envelope: str) -> None:
    """What was left out is nowhere in the message."""
    event = change(document=bson.encode(DOCUMENT), before=bson.encode(DOCUMENT))
    body = encoder(envelope=envelope, without=["card"]).encode(event)
    assert b"4111" not in body
    assert b"paid" in body
