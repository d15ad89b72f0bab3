"""One change as the server sends it, made an `Event` without decoding the documents in it.

Field names: https://www.mongodb.com/docs/manual/reference/change-events/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import bson
from bson.raw_bson import RawBSONDocument

from eventbus.errors import ConfigurationError
from eventbus.model import Event, Operation, PositionKind
from eventbus.sources.mongodb.elements import DOCUMENT, NULL, Element, elements, strings
from eventbus.sources.mongodb.namespaces import Namespaces
from eventbus.sources.mongodb.tokens import position_of

__all__ = ["INVALIDATE", "event_of", "key_of", "section"]

INVALIDATE: Final = "invalidate"
_WITH_DOCUMENT: Final = frozenset(Operation)


def event_of(
    fields: Mapping[bytes, Element], namespaces: Namespaces, *, size: int, fragment: int = 0
) -> Event:
    """The event of a change.

    Args:
        fields: The elements of the change; those that we do not know are left out.
        namespaces: Where names are remembered.
        size: Bytes of the change as it was read.
        fragment: Index of the last fragment, for a change that came in several.

    Raises:
        ConfigurationError: The stages of ``source.pipeline`` took away what no event can be without.
    """
    operation = _needed(fields, b"operationType").text
    kind = PositionKind.INVALIDATE if operation == INVALIDATE else PositionKind.EVENT
    position = position_of(_needed(fields, b"_id").value, kind)
    assert position.cluster_time is not None
    key = key_of(fields) if operation in _WITH_DOCUMENT else section(fields, b"documentKey")
    database, collection = _namespace(fields, operation, namespaces)
    changed, removed = _what_changed(fields)
    wall_time = fields.get(b"wallTime")
    return Event(
        token=position.token,
        extra=position.extra,
        kind=kind,
        operation=operation,
        database=database,
        collection=collection,
        cluster_time=position.cluster_time,
        time_ms=_signed(wall_time) if wall_time else position.cluster_time.seconds * 1000,
        document_key=key,
        document=section(fields, b"fullDocument"),
        before=section(fields, b"fullDocumentBeforeChange"),
        changed=changed,
        removed=removed,
        size=size,
        fragment=fragment,
    )


def key_of(fields: Mapping[bytes, Element]) -> bytes:
    """The key of a change's document.

    Raises:
        ConfigurationError: The stages of ``source.pipeline`` took it away.
    """
    key = section(fields, b"documentKey")
    if key is None:
        raise _missing(b"documentKey")
    return key


def section(fields: Mapping[bytes, Element], name: bytes) -> bytes | None:
    """One part of a change as raw BSON; None where it has none.

    Raises:
        ConfigurationError: The stages of ``source.pipeline`` made something else of it.
    """
    element = fields.get(name)
    if element is None or element.kind == NULL:
        return None
    if element.kind != DOCUMENT:
        raise ConfigurationError(f"source.pipeline: its stages turn {name.decode()} into no document")
    return element.value


def _namespace(fields: Mapping[bytes, Element], operation: str, namespaces: Namespaces) -> tuple[str, str]:
    ns = fields.get(b"ns")
    if ns is not None:
        return namespaces[ns.value]
    if operation in _WITH_DOCUMENT:
        raise _missing(b"ns")
    return "", ""  # an invalidate concerns the stream itself


def _what_changed(fields: Mapping[bytes, Element]) -> tuple[bytes | None, tuple[str, ...]]:
    """What an update set and removed; for a rename, where it went."""
    if target := section(fields, b"to"):
        return bson.encode({"to": RawBSONDocument(target)}), ()
    update = section(fields, b"updateDescription")
    if update is None:
        return None, ()
    parts = elements(update)
    removed = parts.get(b"removedFields")
    names = strings(removed.value) if removed else ()
    return section(parts, b"updatedFields"), names


def _needed(fields: Mapping[bytes, Element], name: bytes) -> Element:
    element = fields.get(name)
    if element is None:
        raise _missing(name)
    return element


def _missing(name: bytes) -> ConfigurationError:
    return ConfigurationError(
        f"source.pipeline: its stages remove {name.decode()}; "
        "they must keep _id, operationType, ns and documentKey as they are"
    )


def _signed(element: Element) -> int:
    return int.from_bytes(element.value, "little", signed=True)
