"""The default envelope: one change as one CloudEvents 1.0 object in JSON, in structured mode.

::

    {"specversion": "1.0",
     "id": "0d9e…",                          the event's id: the same change always has the same
     "source": "/mongodb/shop/orders",       database and collection, percent-encoded
     "type": "mongodb.update",               what happened, with MongoDB's name of the operation
     "datacontenttype": "application/json",
     "subscription": "order-events",         extension: which subscription published it
     "service": "orders",                    extension: its service, where one is configured
     "replay": "a1b2c3d4",                   extension: which operation sends it once more, if one does
     "time": "2026-08-01T12:00:00.123Z",     when the server recorded the change, where it says so
     "subject": "64b7f…",                    the document's _id as text, where there is a document
     "clustertime": "1754049600.7",          extension: the cluster's logical clock, seconds.increment
     "data": {"operation": …, "database": …, "collection": …, "document_key": …,
              "document": …, "before": …, "changed": …, "removed": …}}

``data`` always has its eight keys, with null for what the change does not carry; documents are relaxed
Extended JSON. Behind them stands what else the source tells of the change, where it does: ``transaction``,
``description``, ``truncated_arrays``, ``disambiguated_paths``. The bytes derive from the change alone:
nothing here may depend on when or by whom it is sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import bson
import orjson
from bson.errors import BSONError

from eventbus.canonical import canonical_value
from eventbus.encoding.json import relaxed_json
from eventbus.errors import EncodingError
from eventbus.model import Event, Section

__all__ = ["CloudEventsEncoder"]


class CloudEventsEncoder:
    """Encodes the events of one subscription; routes that share it share its work.

    Args:
        subscription: Name of the subscription.
        service: Name of the service that the subscription belongs to, if it is configured.
        replay: Id of the operation that sends these events once more, if one does.
        extensions: Further attributes of every envelope, by their names in CloudEvents.
    """

    content_type = "application/cloudevents+json"

    def __init__(
        self,
        subscription: str,
        service: str | None = None,
        replay: str | None = None,
        *,
        extensions: Mapping[str, str | int] | None = None,
    ) -> None:
        self._constant = b',"datacontenttype":"application/json","subscription":' + orjson.dumps(subscription)
        if service is not None:
            self._constant += b',"service":' + orjson.dumps(service)
        if replay is not None:
            self._constant += b',"replay":' + orjson.dumps(replay)
        for name, value in (extensions or {}).items():
            self._constant += b",%b:%b" % (orjson.dumps(name), orjson.dumps(value))
        self._by_kind: dict[tuple[str, str, str], _Kind] = {}
        self._second = (-1, b"")

    def encode(self, event: Event) -> bytes:
        """The event as bytes; see the module for their form.

        Raises:
            EncodingError: A document in it has no JSON form; the text names it.
        """
        body = event.encoded(self)
        if body is None:
            body = self._encode(event)
            event.keep_encoded(self, body)
        return body

    def _encode(self, event: Event) -> bytes:
        kind = self._kind(event.operation, event.database, event.collection)
        return b"".join(
            (
                b'{"specversion":"1.0","id":"',
                event.id.encode(),
                kind.attributes,
                self._time(event.time_ms),
                _subject(event.document_key),
                b',"clustertime":"%d.%d"' % event.cluster_time if event.cluster_time else b"",
                kind.data,
                _section("document_key", event.document_key),
                b',"document":',
                _section("document", event.document),
                b',"before":',
                _section("before", event.before),
                b',"changed":',
                _section("changed", event.changed),
                b',"removed":',
                b"null" if event.changed is None and not event.removed else orjson.dumps(list(event.removed)),
                b"}}" if event.details is None else _details(event.details),
            )
        )

    def _kind(self, operation: str, database: str, collection: str) -> _Kind:
        """What all changes of one operation on one collection have in common."""
        kind = self._by_kind.get((operation, database, collection))
        if kind is None:
            if len(self._by_kind) >= _MOST_KINDS:  # a cluster's collections are not bounded
                self._by_kind.clear()
            source = "/".join(
                ["/mongodb", *(quote(name, safe="") for name in (database, collection) if name)]
            )
            kind = self._by_kind[operation, database, collection] = _Kind(
                b'","source":%b,"type":%b' % (orjson.dumps(source), orjson.dumps(_type_of(operation)))
                + self._constant,
                b',"data":{"operation":%b,"database":%b,"collection":%b,"document_key":'
                % (orjson.dumps(operation), _name(database), _name(collection)),
            )
        return kind

    def _time(self, time_ms: int) -> bytes:
        """The attribute for the change's wall-clock time; nothing where the server recorded none."""
        if not 0 < time_ms <= _LAST_MS:
            return b""
        second, milliseconds = divmod(time_ms, 1000)
        if self._second[0] != second:
            text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            self._second = (second, b',"time":"' + text.encode())
        return b'%b.%03dZ"' % (self._second[1], milliseconds)


_LAST_MS: Final = 253_402_300_799_999


def _type_of(operation: str) -> str:
    """MongoDB's name of the operation under its own name; what the daemon itself says has a full name."""
    return operation if operation.startswith("eventbus.") else f"mongodb.{operation}"


class _Kind(NamedTuple):
    attributes: bytes
    data: bytes


_MOST_KINDS: Final = 4096


def _name(name: str) -> bytes:
    return orjson.dumps(name or None)


def _section(name: str, section: Section) -> bytes:
    try:
        return relaxed_json(section)
    except EncodingError as error:
        raise EncodingError(f"{name}: {error}") from error


def _details(details: Section) -> bytes:
    """The rest of the envelope, for a change with further keys in its data."""
    written = _section("details", details)
    return b",%b}" % written[1:] if written != b"{}" else b"}}"


def _subject(document_key: Section) -> bytes:
    """The attribute for the document's ``_id``; nothing for a change without a document."""
    if isinstance(document_key, bytes) and _is_object_id(document_key):
        return b',"subject":"%b"' % document_key[9:21].hex().encode()
    text = _readable(document_key)
    return b',"subject":' + orjson.dumps(text) if text else b""


def _is_object_id(document_key: bytes) -> bool:
    """Whether the raw document is nothing but an ``_id`` of the usual type."""
    return len(document_key) == 22 and document_key[4:9] == b"\x07_id\0"


def _readable(document_key: Section) -> str:
    """The ``_id`` as people write it: strings as they are, ObjectId and UUID in digits, else as JSON."""
    match _identifier(document_key):
        case None:
            return ""
        case str() as text:
            return text if _NOT_ALLOWED.search(text) is None else json.dumps(text)
        case bson.ObjectId() as object_id:
            return str(object_id)
        case bson.Binary(subtype=4) as binary if len(binary) == _UUID_BYTES:
            return str(binary.as_uuid())
        case value:
            text = canonical_value(value).decode()
            return text if _NOT_ALLOWED.search(text) is None else json.dumps(orjson.loads(text))


_UUID_BYTES: Final = 16


def _identifier(document_key: Section) -> Any:
    """The value of ``_id``; None if there is none, or none that can be read: then `_section` says why."""
    if not isinstance(document_key, bytes):
        return None if document_key is None else document_key.get("_id")
    try:
        return bson.decode(document_key, _DECODING).get("_id")
    except BSONError:
        return None


_NOT_ALLOWED: Final = re.compile("[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")
"""What the CloudEvents type String excludes, of the first plane; such a text is written escaped."""

_DECODING: Final = bson.CodecOptions[dict[str, Any]](
    document_class=dict, datetime_conversion=bson.DatetimeConversion.DATETIME_MS
)
