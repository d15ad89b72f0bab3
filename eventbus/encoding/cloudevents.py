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
     "traceparent": "00-4bf9…-00f0…-01",     extension: the trace that the document says it belongs to
     "data": {"operation": …, "database": …, "collection": …, "document_key": …,
              "document": …, "before": …, "changed": …, "removed": …}}

``data`` always has its eight keys, with null for what the change does not carry; documents are relaxed
Extended JSON. Behind them stands what else the source tells of the change, where it does: ``transaction``,
``description``, ``truncated_arrays``, ``disambiguated_paths``. The bytes derive from the change alone:
nothing here may depend on when or by whom it is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeAlias
from urllib.parse import quote

import orjson

from eventbus.encoding.json import relaxed_json
from eventbus.encoding.subject import subject_attribute
from eventbus.encoding.traces import TraceOf
from eventbus.errors import EncodingError
from eventbus.model import Event, Section

__all__ = ["CloudEventsEncoder", "SectionWriter", "section_written"]

SectionWriter: TypeAlias = Callable[[Section], bytes]
"""Writes a document in one of the JSON modes."""


class CloudEventsEncoder:
    """Encodes the events of one subscription; routes that share it share its work.

    Args:
        subscription: Name of the subscription.
        service: Name of the service that the subscription belongs to, if it is configured.
        replay: Id of the operation that sends these events once more, if one does.
        extensions: Further attributes of every envelope, by their names in CloudEvents.
        write: The JSON mode of the documents.
        trace_of: The trace that an event belongs to; None if none does.
    """

    content_type = "application/cloudevents+json"

    def __init__(
        self,
        subscription: str,
        service: str | None = None,
        replay: str | None = None,
        *,
        extensions: Mapping[str, str | int] | None = None,
        write: SectionWriter = relaxed_json,
        trace_of: TraceOf | None = None,
    ) -> None:
        self._write = write
        self._trace_of = trace_of
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

    def headers(self, event: Event) -> Sequence[tuple[str, bytes]]:  # noqa: ARG002 - all is in the body
        """See `eventbus.sdk.Encoder`."""
        return ()

    def attributes(self, event: Event) -> bytes:
        """The envelope without its data: a JSON object of all attributes."""
        kind = self._kind(event.operation, event.database, event.collection)
        return b"".join((*self._attributes(event, kind), b"}"))

    def data(self, event: Event) -> bytes:
        """What the envelope is about: a JSON object.

        Raises:
            EncodingError: A document in it has no JSON form; the text names it.
        """
        return b"".join(self._data(event, self._kind(event.operation, event.database, event.collection)))

    def _encode(self, event: Event) -> bytes:
        kind = self._kind(event.operation, event.database, event.collection)
        return b"".join((*self._attributes(event, kind), b',"data":', *self._data(event, kind), b"}"))

    def _attributes(self, event: Event, kind: _Kind) -> tuple[bytes, ...]:
        return (
            b'{"specversion":"1.0","id":"',
            event.id.encode(),
            kind.attributes,
            self._time(event.time_ms),
            subject_attribute(event.document_key),
            b',"clustertime":"%d.%d"' % event.cluster_time if event.cluster_time else b"",
            self._trace(event) if self._trace_of is not None else b"",
        )

    def _trace(self, event: Event) -> bytes:
        assert self._trace_of is not None
        found = self._trace_of(event)
        return b',"traceparent":"%b"' % found.encode() if found is not None else b""

    def _data(self, event: Event, kind: _Kind) -> tuple[bytes, ...]:
        write, before, changed = self._write, event.before, event.changed
        return (
            kind.data,
            section_written(write, "document_key", event.document_key),
            b',"document":',
            section_written(write, "document", event.document),
            b',"before":null' if before is None else b',"before":' + section_written(write, "before", before),
            b',"changed":null,"removed":'
            if changed is None
            else b',"changed":%b,"removed":' % section_written(write, "changed", changed),
            b"null" if changed is None and not event.removed else orjson.dumps(list(event.removed)),
            b"}" if event.details is None and not event.attributes else self._rest(event),
        )

    def _rest(self, event: Event) -> bytes:
        """The end of the data of a change with further keys in it, or with what stages have set."""
        rest = b"}" if event.details is None else self._details(event.details)
        if event.attributes:
            rest = b',"meta":%b%b' % (section_written(self._write, "meta", event.attributes), rest)
        return rest

    def _details(self, details: Section) -> bytes:
        """The rest of the data, for a change with further keys in it."""
        written = section_written(self._write, "details", details)
        return b",%b" % written[1:] if written != b"{}" else b"}"

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
                b'{"operation":%b,"database":%b,"collection":%b,"document_key":'
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
        return self._second[1] + _MILLISECONDS[milliseconds]


_MILLISECONDS: Final = tuple(b'.%03dZ"' % milliseconds for milliseconds in range(1000))
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


def section_written(write: SectionWriter, name: str, section: Section) -> bytes:
    """A part of a change in JSON.

    Raises:
        EncodingError: It has no JSON form; the text names the part.
    """
    if section is None:
        return b"null"
    try:
        return write(section)
    except EncodingError as error:
        raise EncodingError(f"{name}: {error}") from error
