"""From events to the lines of a bulk request. No I/O.

https://www.elastic.co/guide/en/elasticsearch/reference/current/docs-bulk.html
"""

from __future__ import annotations

import json
from typing import Any, Final

from eventbus.sdk import (
    Encoded,
    Encoder,
    EncodingError,
    Event,
    KeyTemplate,
    Message,
    Operation,
    Rejected,
)
from eventbus_elasticsearch.naming import IndexName
from eventbus_elasticsearch.options import ElasticsearchOptions

__all__ = ["Actions", "version_of"]

_MOST_BYTES_OF_ID: Final = 512
_ROUTING: Final = "routing"
_DECODER: Final = json.JSONDecoder()
_WITH_DOCUMENT: Final = frozenset({Operation.INSERT, Operation.UPDATE, Operation.REPLACE, Operation.READ})


class Actions:
    """Makes messages, and of each what the server is asked to do.

    A message has the index as its target, the id as its key, and as its headers what decides on the shard.
    """

    def __init__(self, options: ElasticsearchOptions) -> None:
        self.index = IndexName(options.index)
        self.operation = options.operation
        self.is_versioned = options.operation == "index" and options.version != "none"
        self._mirrors = options.operation != "create"
        self._deletes = options.deletes == "mirror"
        self._pipeline = options.pipeline
        self._id = KeyTemplate(options.id or ("{document_key._id}" if self._mirrors else "{event_id}"))
        self._routing = KeyTemplate(options.routing) if options.routing is not None else None

    def encode(self, event: Event, encoder: Encoder) -> Encoded:
        """See `eventbus.sdk.Sink`. What concerns no document of an index that mirrors them has no target."""
        is_delete = self._mirrors and event.operation == Operation.DELETE
        if (self._mirrors and event.is_own) or (is_delete and not self._deletes):
            return Message(event, b"")
        body = b"" if is_delete else _body(event, encoder)
        if self._mirrors and not is_delete and event.operation not in _WITH_DOCUMENT:
            return Rejected(f"{event.operation} concerns no single document")
        if self.is_versioned and event.cluster_time is None:
            return Rejected("the source tells no cluster time to make a version of: write `version: none`")
        return self._placed(event, body)

    def _placed(self, event: Event, body: bytes) -> Encoded:
        try:
            index = self.index.of(event)
        except ValueError as error:
            return Rejected(str(error))
        identity = self._id.render(event)
        headers: tuple[tuple[str, bytes], ...] = ()
        if index is None:
            return Rejected("no index: the event has no value for a name in `index`")
        if identity is None:
            return Rejected("no id: the event has no value for a name in `id`")
        if len(identity.encode()) > _MOST_BYTES_OF_ID:
            return Rejected(f"the id has more than {_MOST_BYTES_OF_ID} bytes")
        if self._routing is not None:
            routing = self._routing.render(event)
            if routing is None:
                return Rejected("no routing: the event has no value for a name in `routing`")
            headers = ((_ROUTING, routing.encode()),)
        told = (
            body or json.dumps({"_id": identity}, ensure_ascii=False).encode()
        )  # for people: it is not sent
        return Message(event, told, key=identity.encode(), target=index, headers=headers)

    def name_of(self, message: Message) -> str:
        """What is done about a message: the name under which the server answers."""
        is_delete = self._mirrors and message.event.operation == Operation.DELETE
        return "delete" if is_delete else self.operation

    def lines(self, message: Message) -> bytes:
        """The lines of a message: what is to be done, and but for a delete the document."""
        name = self.name_of(message)
        line = json.dumps({name: self._settings(name, message)}, ensure_ascii=False).encode()
        if name == "delete":
            return b"%b\n" % line
        if name == "update":
            return b'%b\n{"doc_as_upsert":true,"doc":%b}\n' % (line, message.body)
        return b"%b\n%b\n" % (line, message.body)

    def _settings(self, name: str, message: Message) -> dict[str, Any]:
        settings: dict[str, Any] = {"_index": message.target, "_id": (message.key or b"").decode()}
        for header, value in message.headers:
            settings[header] = value.decode()
        version = version_of(message.event) if self.is_versioned else None
        if version is not None:
            settings |= {"version": version, "version_type": "external_gte"}
        if name == "update":
            settings["retry_on_conflict"] = 3
        elif self._pipeline is not None and name != "delete":
            settings["pipeline"] = self._pipeline
        return settings


def version_of(event: Event) -> int | None:
    """The cluster time of a change as one number below 2**63 that grows with it, until the year 2106."""
    time = event.cluster_time
    return None if time is None else time.seconds << 31 | min(time.increment, (1 << 31) - 1)


def _body(event: Event, encoder: Encoder) -> bytes:
    """A JSON object of one line, without the field ``_id``, which the server keeps for itself.

    Raises:
        EncodingError: The encoder makes none.
    """
    body = encoder.encode(event)
    if not body.startswith(b"{") or b"\n" in body:
        raise EncodingError("the encoded event is no JSON object of one line")
    return _without_id(body) if b'"_id"' in body else body


def _without_id(body: bytes) -> bytes:
    """The object without its field ``_id``: cut out, so that all else stays as it was written.

    Raises:
        EncodingError: It is no JSON.
    """
    text = body.decode()
    begin = _after_spaces(text, 1)
    try:
        while text[begin] != "}":
            name, at = _DECODER.raw_decode(text, begin)
            at = _after_spaces(text, _after_spaces(text, at) + 1)
            end = _after_spaces(text, _DECODER.raw_decode(text, at)[1])
            is_last = text[end] != ","
            if name == "_id":
                rest = text[end:] if is_last else text[_after_spaces(text, end + 1) :]
                before = text[:begin].rstrip(", ") if is_last else text[:begin]
                return (before + rest).encode()
            begin = end if is_last else _after_spaces(text, end + 1)
    except (ValueError, IndexError):
        raise EncodingError("the encoded event is no JSON object") from None
    return body


def _after_spaces(text: str, at: int) -> int:
    while text[at] in " \t\r":
        at += 1
    return at
