"""Writes a dead letter's event and message as bytes, and reads them back as they were.

Raw BSON stays the bytes that the server sent, so a document that nobody can decode is kept as well. Nothing
here has a limit of size: cutting into pieces is the stores' business. The fields that people search are not
here but in the row (see `eventbus.state.letters`).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import bson

from eventbus.errors import EventbusError
from eventbus.model import ClusterTime, Event, PositionKind, Section
from eventbus.state.values import OPTIONS, decode_text, encode_text, pack, unpack

__all__ = ["Content", "decode_content", "encode_content"]

_VERSION: Final = 1
_SECTIONS: Final = ("document_key", "document", "before", "changed")
_TEXTS: Final = ("token", "operation", "database", "collection")


class Content(NamedTuple):
    """What of a dead letter lies in its payload.

    Args:
        event: The event as it was parked.
        key: The bytes that the store takes for its key.
        body: The encoded message, if there was one.
    """

    event: Event
    key: bytes
    body: bytes | None


def encode_content(event: Event, key: bytes, *, own_key: bool, body: bytes | None) -> bytes:
    """The payload.

    Args:
        event: What was parked.
        key: The bytes that the store takes for its key.
        own_key: Whether `key` is the event's own; otherwise it has none that can be computed.
        body: The encoded message, if there was one.
    """
    fields: dict[str, Any] = {
        "version": _VERSION,
        "id": event.id,
        "texts": [encode_text(getattr(event, name)) for name in _TEXTS],
        "cluster_time": list(event.cluster_time) if event.cluster_time else None,
        "time_ms": event.time_ms,
        "sections": [_packed(getattr(event, name)) for name in _SECTIONS],
        "removed": [encode_text(path) for path in event.removed],
        "size": event.size,
        "fragment": event.fragment,
        "kind": event.kind.value,
        "attributes": _packed(event.attributes),
        "extra": event.extra,
        "details": _packed(event.details),
        "key": key,
        "own_key": own_key,
        "body": body,
    }
    return bson.encode(fields, codec_options=OPTIONS)


def decode_content(payload: bytes) -> Content:
    """What `encode_content` was given.

    Raises:
        EventbusError: A newer eventbus has written it.
    """
    fields = bson.decode(payload, OPTIONS)
    if fields["version"] != _VERSION:
        raise EventbusError(f"a newer eventbus wrote this dead letter, in form {fields['version']}")
    texts: dict[str, Any] = dict(zip(_TEXTS, map(decode_text, fields["texts"]), strict=True))
    sections: dict[str, Any] = dict(zip(_SECTIONS, map(_unpacked, fields["sections"]), strict=True))
    attributes = _unpacked(fields["attributes"])
    assert not isinstance(attributes, bytes)
    event = Event(
        **texts,
        **sections,
        cluster_time=ClusterTime(*fields["cluster_time"]) if fields["cluster_time"] else None,
        time_ms=fields["time_ms"],
        removed=tuple(map(decode_text, fields["removed"])),
        size=fields["size"],
        key=fields["key"] if fields["own_key"] else None,
        fragment=fields["fragment"],
        kind=PositionKind(fields["kind"]),
        attributes=attributes,
        extra=fields["extra"],
        details=_unpacked(fields.get("details")),  # older ones have none
        id=fields.get("id"),  # written since an event may have an id that is not its token's
    )
    return Content(event, fields["key"], fields["body"])


def _packed(section: Section) -> dict[str, bytes] | None:
    if section is None:
        return None
    return {"raw": bytes(section)} if isinstance(section, bytes) else {"values": pack(section)}


def _unpacked(packed: dict[str, bytes] | None) -> Section:
    if packed is None:
        return None
    return packed["raw"] if "raw" in packed else unpack(packed["values"])
