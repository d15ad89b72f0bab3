"""The envelope ``debezium``: what Debezium's connector for MongoDB writes, for consumers that expect it.

https://debezium.io/documentation/reference/stable/connectors/mongodb.html#mongodb-data-change-events

Documents are strings of JSON. What differs, since the same change must always give the same bytes: ``ts_ms``
of the envelope is not when somebody worked on the change but when it was made, and ``source.version`` has no
number. ``transaction`` is null, as it is there by default; ``source`` tells the session and the transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from eventbus.encoding.cloudevents import SectionWriter, section_written
from eventbus.encoding.debezium_schema import connect_schema
from eventbus.encoding.json import decoded
from eventbus.errors import NoForm
from eventbus.model import Event, Section

__all__ = ["DebeziumEnvelope"]

_OPS: Final = {"insert": "c", "update": "u", "replace": "u", "delete": "d", "read": "r"}


class DebeziumEnvelope:
    """Makes the envelope of a change.

    Args:
        name: The logical name of what is read, which Debezium calls ``topic.prefix``.
        write: The JSON mode of the documents.
    """

    def __init__(self, name: str, write: SectionWriter) -> None:
        self._name = name
        self._write = write

    def payload(self, event: Event) -> dict[str, Any]:
        """The envelope as JSON and Avro have it.

        Raises:
            NoForm: The change concerns no document, and Debezium tells of no such changes.
            EncodingError: A document has no JSON form.
        """
        op = _OPS.get(event.operation)
        if op is None or event.document_key is None:
            raise NoForm(f"{event.operation} concerns no document")
        details = _decoded(event.details)
        return {
            "before": self._text("before", event.before),
            "after": self._text("document", event.document),
            "updateDescription": self._update(event, details),
            "source": self._source(event, details.get("transaction", {})),
            "op": op,
            "ts_ms": event.time_ms,
            "transaction": None,
        }

    def body(self, event: Event) -> bytes:
        """The envelope alone, as Kafka Connect writes it with ``schemas.enable=false``."""
        return orjson.dumps(self.payload(event))

    def body_with_schema(self, event: Event) -> bytes:
        """The envelope beside its schema, as Kafka Connect writes it by default."""
        payload = self.payload(event)
        prefix = f"{self._name}.{event.database}.{event.collection}"
        return b'{"schema":%b,"payload":%b}' % (connect_schema(prefix), orjson.dumps(payload))

    def _update(self, event: Event, details: Mapping[str, Any]) -> dict[str, Any] | None:
        if event.changed is None and not event.removed:
            return None
        truncated = [
            {"field": array["field"], "size": array["newSize"]}
            for array in details.get("truncated_arrays", ())
        ]
        return {
            "removedFields": list(event.removed) or None,
            "updatedFields": self._text("changed", event.changed),
            "truncatedArrays": truncated or None,
        }

    def _source(self, event: Event, transaction: Mapping[str, Any]) -> dict[str, Any]:
        seconds, ordinal = event.cluster_time or (event.time_ms // 1000, 0)
        return {
            "version": "eventbus",
            "connector": "mongodb",
            "name": self._name,
            "ts_ms": seconds * 1000,
            "snapshot": "true" if event.operation == "read" else "false",
            "db": event.database,
            "sequence": None,
            "collection": event.collection,
            "ord": ordinal,
            "lsid": self._text("lsid", transaction.get("session")),
            "txnNumber": int(transaction["number"]) if "number" in transaction else None,
            "wallTime": event.time_ms,
        }

    def _text(self, name: str, section: Section) -> str | None:
        return None if section is None else section_written(self._write, name, section).decode()


def _decoded(details: Section) -> Mapping[str, Any]:
    return decoded(details) if isinstance(details, bytes) else details or {}
