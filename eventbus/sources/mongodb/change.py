"""One change as the server sends it, made an `Event` without decoding the documents in it.

Field names: https://www.mongodb.com/docs/manual/reference/change-events/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from eventbus.errors import ConfigurationError
from eventbus.model import Event, Operation, PositionKind
from eventbus.sources.mongodb.classify import CLASSIFIED, Classified
from eventbus.sources.mongodb.elements import DOCUMENT, INT64, NULL, Element, document, elements, strings
from eventbus.sources.mongodb.namespaces import Namespaces
from eventbus.sources.mongodb.tokens import place_in_transaction, position_of

__all__ = ["INVALIDATE", "event_of", "key_of", "names_in", "section"]

INVALIDATE: Final = "invalidate"
_CLASSIFIED: Final = CLASSIFIED.encode()
_NO_DOCUMENT: Final = document({})
_WITH_DOCUMENT: Final = frozenset(Operation)


def event_of(
    fields: Mapping[bytes, Element],
    namespaces: Namespaces,
    classified: Classified,
    *,
    size: int,
    fragment: int = 0,
) -> Event:
    """The event of a change.

    Args:
        fields: The elements of the change; those that we do not know are left out.
        namespaces: Where names are remembered.
        classified: Where the names are remembered that the server gave changes.
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
    update = elements(section(fields, b"updateDescription") or _NO_DOCUMENT)
    changed, removed = _what_changed(fields, update)
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
        attributes=names_in(fields, classified),
        details=_details(fields, update, position.token),
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


def names_in(fields: Mapping[bytes, Element], classified: Classified) -> Mapping[str, Any] | None:
    """The names that the server gave a change; None if there are none.

    Raises:
        ConfigurationError: The stages of ``source.pipeline`` made something else of them.
    """
    names = section(fields, _CLASSIFIED)
    return None if names is None else classified[names]


def _namespace(fields: Mapping[bytes, Element], operation: str, namespaces: Namespaces) -> tuple[str, str]:
    ns = fields.get(b"ns")
    if ns is not None:
        return namespaces[ns.value]
    if operation in _WITH_DOCUMENT:
        raise _missing(b"ns")
    return "", ""  # an invalidate concerns the stream itself


def _what_changed(
    fields: Mapping[bytes, Element], update: Mapping[bytes, Element]
) -> tuple[bytes | None, tuple[str, ...]]:
    """What an update set and removed; for a rename, where it went."""
    if target := section(fields, b"to"):
        return document({b"to": Element(DOCUMENT, target)}), ()
    removed = update.get(b"removedFields")
    return section(update, b"updatedFields"), strings(removed.value) if removed else ()


def _details(fields: Mapping[bytes, Element], update: Mapping[bytes, Element], token: str) -> bytes | None:
    """What the server tells of few changes: their transaction, what was done to a collection, odd paths."""
    found = {
        name: element
        for name, element in (
            (b"transaction", _transaction(fields, token)),
            (b"description", fields.get(b"operationDescription")),
            (b"truncated_arrays", update.get(b"truncatedArrays")),
            (b"disambiguated_paths", update.get(b"disambiguatedPaths")),
        )
        if element is not None and element.value != _NO_DOCUMENT
    }
    return document(found) if found else None


def _transaction(fields: Mapping[bytes, Element], token: str) -> Element | None:
    """Which transaction a change belongs to, and where in it."""
    session, number = fields.get(b"lsid"), fields.get(b"txnNumber")
    if session is None or number is None:
        return None
    found = {b"session": session, b"number": number}
    index = place_in_transaction(token)
    if index is not None:
        found[b"index"] = Element(INT64, index.to_bytes(8, "little"))
    return Element(DOCUMENT, document(found))


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
