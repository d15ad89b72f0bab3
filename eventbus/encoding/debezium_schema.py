"""The schema of Debezium's envelope, as Kafka Connect writes schemas in JSON."""

from __future__ import annotations

from typing import Any, Final

import orjson

__all__ = ["ENVELOPE_FIELDS", "connect_schema"]


def connect_schema(prefix: str) -> bytes:
    """The schema of the envelope in JSON.

    Args:
        prefix: The logical name, the database and the collection, with dots between them.
    """
    return b"%b%b}" % (_HEAD, orjson.dumps(f"{prefix}.Envelope"))


def _field(field: str, kind: str, *, optional: bool = False, **more: Any) -> dict[str, Any]:
    return {"type": kind, "optional": optional, **more, "field": field}


def _document(name: str) -> dict[str, Any]:
    return _field(name, "string", optional=True, name="io.debezium.data.Json", version=1)


_TRUNCATED: Final = {
    "type": "struct",
    "fields": [_field("field", "string"), _field("size", "int32")],
    "optional": False,
    "name": "io.debezium.connector.mongodb.changestream.truncatedarray",
    "version": 1,
}
_UPDATE: Final = [
    {
        "type": "array",
        "items": {"type": "string", "optional": False},
        "optional": True,
        "field": "removedFields",
    },
    _document("updatedFields"),
    {"type": "array", "items": _TRUNCATED, "optional": True, "field": "truncatedArrays"},
]
_SOURCE: Final = [
    _field("version", "string"),
    _field("connector", "string"),
    _field("name", "string"),
    _field("ts_ms", "int64"),
    _field(
        "snapshot",
        "string",
        optional=True,
        name="io.debezium.data.Enum",
        version=1,
        parameters={"allowed": "true,last,false,incremental"},
        default="false",
    ),
    _field("db", "string"),
    _field("sequence", "string", optional=True),
    _field("collection", "string"),
    _field("ord", "int32"),
    _field("lsid", "string", optional=True),
    _field("txnNumber", "int64", optional=True),
    _field("wallTime", "int64", optional=True),
]
_TRANSACTION: Final = [
    _field("id", "string"),
    _field("total_order", "int64"),
    _field("data_collection_order", "int64"),
]
ENVELOPE_FIELDS: Final = [
    _document("before"),
    _document("after"),
    _field(
        "updateDescription",
        "struct",
        optional=True,
        name="io.debezium.connector.mongodb.changestream.updatedescription",
        version=1,
        fields=_UPDATE,
    ),
    _field("source", "struct", name="io.debezium.connector.mongo.Source", fields=_SOURCE),
    _field("op", "string", optional=True),
    _field("ts_ms", "int64", optional=True),
    _field("transaction", "struct", optional=True, name="event.block", version=1, fields=_TRANSACTION),
]
_HEAD: Final = b'{"type":"struct","fields":%b,"optional":false,"name":' % orjson.dumps(ENVELOPE_FIELDS)
