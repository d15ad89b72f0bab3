"""Avro in the wire format of Confluent's schema registry: a zero, the schema's id in four bytes, the record.

https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final

import orjson

from eventbus.encoding.cloudevents import CloudEventsEncoder
from eventbus.encoding.debezium_schema import ENVELOPE_FIELDS
from eventbus.errors import EncodingError
from eventbus.model import Event

__all__ = ["RegisteredSchema", "avro_body", "cloudevents_record", "cloudevents_schema", "debezium_schema"]

_MAGIC: Final = b"\0"


class RegisteredSchema:
    """A schema, and what the registry calls it.

    Args:
        subject: Under which it is registered.
        definition: The schema.
    """

    def __init__(self, subject: str, definition: Mapping[str, Any]) -> None:
        self.subject = subject
        self.text = json.dumps(definition)
        self.id: int | None = None
        """The registry's number; None until it was asked."""
        self.definition = definition


def avro_body(
    schema: RegisteredSchema, record: Callable[[Event], Mapping[str, Any]]
) -> Callable[[Event], bytes]:
    """Writes records of a schema, behind its id.

    Args:
        schema: The schema; it has an id by the time of the first event.
        record: What a record holds.
    """
    fastavro = import_module("fastavro")
    parsed = fastavro.parse_schema(dict(schema.definition))

    def body(event: Event) -> bytes:
        assert schema.id is not None, "the registry comes first"
        out = io.BytesIO()
        out.write(_MAGIC + schema.id.to_bytes(4, "big"))
        try:
            fastavro.schemaless_writer(out, parsed, record(event))
        except (ValueError, TypeError, OverflowError) as error:
            # its own message would show the value
            raise EncodingError(f"no Avro form: {type(error).__name__}") from error
        return out.getvalue()

    return body


def cloudevents_schema() -> Mapping[str, Any]:
    """The schema of CloudEvents' own Avro format.

    https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/avro-format.md
    """
    inner = {"type": "map", "values": "CloudEventData"}, {"type": "array", "items": "CloudEventData"}
    data = {
        "type": "record",
        "name": "CloudEventData",
        "doc": "Representation of a JSON Value",
        "fields": [
            {
                "name": "value",
                "type": {"type": "map", "values": ["null", "boolean", *inner, "double", "string"]},
            }
        ],
    }
    of_data = {"type": "map", "values": ["null", "boolean", data, "double", "string"]}
    attributes = {"type": "map", "values": ["null", "boolean", "int", "string", "bytes"]}
    return {
        "namespace": "io.cloudevents",
        "type": "record",
        "name": "CloudEvent",
        "version": "1.0",
        "doc": "Avro Event Format for CloudEvents",
        "fields": [
            {"name": "attribute", "type": attributes},
            {"name": "data", "type": ["bytes", "null", "boolean", of_data, inner[1], "double", "string"]},
        ],
    }


def cloudevents_record(envelope: CloudEventsEncoder) -> Callable[[Event], Mapping[str, Any]]:
    """Records of that schema; their data are the bytes of JSON, as ``datacontenttype`` says."""

    def record(event: Event) -> Mapping[str, Any]:
        return {"attribute": orjson.loads(envelope.attributes(event)), "data": envelope.data(event)}

    return record


def debezium_schema(name: str) -> Mapping[str, Any]:
    """The schema of Debezium's envelope as Confluent's converter writes it; its records are the payloads.

    Args:
        name: The logical name; one schema is for all collections, so theirs are not in it.
    """
    namespace = "".join(letter if letter.isalnum() else "_" for letter in name)
    fields = [_field(field) for field in ENVELOPE_FIELDS]
    return {"type": "record", "name": "Envelope", "namespace": namespace, "fields": fields}


def _field(field: Mapping[str, Any]) -> Mapping[str, Any]:
    kind = _type(field)
    if field["optional"]:
        return {"name": field["field"], "type": ["null", kind], "default": None}
    return {"name": field["field"], "type": kind}


def _type(schema: Mapping[str, Any]) -> Any:
    """The Avro type for one of Kafka Connect."""
    match schema["type"]:
        case "struct":
            namespace, _, name = schema["name"].rpartition(".")
            fields = [_field(field) for field in schema["fields"]]
            return {"type": "record", "name": name, "namespace": namespace, "fields": fields}
        case "array":
            return {"type": "array", "items": _type(schema["items"])}
        case "int32":
            return "int"
        case "int64":
            return "long"
        case _:
            return _text(schema)


def _text(schema: Mapping[str, Any]) -> Any:
    """A string, with the name that says what is in it."""
    if "name" not in schema:
        return "string"
    return {"type": "string", "connect.version": schema["version"], "connect.name": schema["name"]}
