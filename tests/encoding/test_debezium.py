"""The debezium envelope, read by a consumer that knows nothing but Debezium's documentation.

https://debezium.io/documentation/reference/stable/connectors/mongodb.html#mongodb-data-change-events
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import bson
import pytest
from bson import Binary, Int64, json_util

from eventbus.errors import EncodingError, NoForm
from eventbus.model import Event
from tests.encoding.changes import OBJECT_ID, change, encoder, read


@dataclass
class Mirror:
    """Keeps a copy of collections from the values of Debezium's topics, with or without schemas."""

    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    positions: list[tuple[int, int]] = field(default_factory=list)

    def consume(self, value: bytes) -> dict[str, Any]:
        envelope: dict[str, Any] = json.loads(value)
        if "schema" in envelope:
            _conforms(envelope["payload"], envelope["schema"])
            envelope = envelope["payload"]
        source = envelope["source"]
        assert source["connector"] == "mongodb"
        collection = self.documents.setdefault(f"{source['db']}.{source['collection']}", {})
        match envelope["op"]:
            case "c" | "r" | "u" if envelope["after"] is not None:
                after = json_util.loads(envelope["after"])
                collection[str(after["_id"])] = after
            case "u":
                updated = json_util.loads(envelope["updateDescription"]["updatedFields"])
                (document,) = collection.values()
                document |= updated
                for name in envelope["updateDescription"]["removedFields"] or []:
                    document.pop(name, None)
            case "d":
                collection.clear()
            case other:
                raise AssertionError(other)
        self.positions.append((source["ts_ms"], source["ord"]))
        return envelope


def _conforms(value: Any, schema: dict[str, Any]) -> None:
    """By the rules of Kafka Connect's schemas."""
    if value is None:
        assert schema["optional"], schema
        return
    match schema["type"]:
        case "struct":
            assert value.keys() == {entry["field"] for entry in schema["fields"]}
            for entry in schema["fields"]:
                _conforms(value[entry["field"]], entry)
        case "array":
            for item in value:
                _conforms(item, schema["items"])
        case "string":
            assert isinstance(value, str)
        case "int32" | "int64" as kind:
            assert type(value) is int
            assert abs(value) < 2 ** (int(kind[3:]) - 1)
        case other:
            raise AssertionError(other)


INSERT = change(operation="insert", changed=None, removed=(), token="82A1")
UPDATE = change(document=None, before=bson.encode({"_id": OBJECT_ID, "note": "x"}), token="82A2")
REPLACE = change(operation="replace", changed=None, removed=(), document=bson.encode({"_id": OBJECT_ID}))
DELETE = change(operation="delete", changed=None, removed=(), document=None, token="82A4")


@pytest.mark.parametrize("schema", [False, True])
def test_a_consumer_of_debezium_mirrors_the_collection(schema: bool) -> None:
    """Inserts, updates without their document, replacements, deletes."""
    mirror = Mirror()
    written = encoder(envelope="debezium", schema=schema)

    def consume(event: Event) -> dict[str, Any]:
        return mirror.consume(written.encode(event))

    orders = mirror.documents.setdefault("shop.orders", {})
    assert consume(INSERT)["op"] == "c"
    assert orders[str(OBJECT_ID)] == read(INSERT.document)
    update = consume(UPDATE)
    assert (update["op"], update["after"]) == ("u", None)
    assert json_util.loads(update["before"]) == {"_id": OBJECT_ID, "note": "x"}
    assert update["updateDescription"]["removedFields"] == ["note"]
    assert consume(REPLACE)["updateDescription"] is None
    assert orders[str(OBJECT_ID)] == {"_id": OBJECT_ID}
    deleted = consume(DELETE)
    assert (deleted["op"], deleted["before"], deleted["after"]) == ("d", None, None)
    assert orders == {}
    assert consume(change(operation="read", changed=None, removed=()))["source"]["snapshot"] == "true"
    assert mirror.positions == [(1_700_000_000_000, 7)] * 5


def test_the_source_tells_where_the_change_is_from() -> None:
    """Its transaction too, and which arrays were cut short; documents keep their types in canonical mode."""
    details = {
        "transaction": {"session": {"id": Binary(b"\1" * 16, 4)}, "number": Int64(3), "index": Int64(1)},
        "truncated_arrays": [{"field": "items", "newSize": 2}],
    }
    written = encoder(envelope="debezium", json="canonical", schema=True).encode(change(details=details))
    envelope = Mirror().consume(written)
    source = envelope["source"]
    assert json_util.loads(source["lsid"])["id"] == Binary(b"\1" * 16, 4)
    assert {name: source[name] for name in ("name", "db", "collection", "txnNumber", "wallTime")} == {
        "name": "order-events",
        "db": "shop",
        "collection": "orders",
        "txnNumber": 3,
        "wallTime": 1_700_000_000_045,
    }
    assert source["snapshot"] == "false"
    assert envelope["updateDescription"]["truncatedArrays"] == [{"field": "items", "size": 2}]
    assert '"cents":{"$numberLong":"1999"}' in envelope["after"]
    assert json.loads(written)["schema"]["name"] == "order-events.shop.orders.Envelope"


def test_the_same_change_gives_the_same_bytes() -> None:
    """No clock is asked: ts_ms is the change's own."""
    first, second = (encoder(envelope="debezium").encode(change()) for _ in range(2))
    assert first == second
    assert json.loads(first)["ts_ms"] == 1_700_000_000_045


@pytest.mark.parametrize("operation", ["drop", "rename", "invalidate", "eventbus.watermark"])
def test_what_concerns_no_document_has_no_form(operation: str) -> None:
    """Debezium tells of no such changes, so they are left out and not parked."""
    with pytest.raises(NoForm, match=operation):
        encoder(envelope="debezium").encode(change(operation=operation, document_key=None))


def test_a_document_that_cannot_be_read_is_named() -> None:
    """So that people know where to look."""
    with pytest.raises(EncodingError, match="before: not valid BSON"):
        encoder(envelope="debezium").encode(change(before=b"\x0e\0\0\0\x02v\0\x02\0\0\0\xff\0\0"))
