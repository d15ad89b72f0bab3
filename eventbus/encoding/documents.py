"""A change as one BSON document: the change event of MongoDB's drivers, and the data of our own envelope.

Documents inside stay the bytes that the server sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import bson
from bson.binary import Binary
from bson.datetime_ms import DatetimeMS
from bson.errors import BSONError, InvalidDocument
from bson.raw_bson import RawBSONDocument
from bson.timestamp import Timestamp

from eventbus.encoding.json import decoded
from eventbus.errors import EncodingError
from eventbus.model import Event, Section

__all__ = ["change_event", "data_document", "raw_document"]


def change_event(event: Event) -> bytes:
    """The change as ``watch`` gives it, in raw BSON.

    https://www.mongodb.com/docs/manual/reference/change-events/

    Raises:
        EncodingError: A document in it is none.
    """
    details = _details(event)
    transaction = details.get("transaction", {})
    token: dict[str, Any] = {"_data": event.token}
    if event.extra is not None:
        token["_typeBits"] = Binary(event.extra)
    to, changed = _to(event)
    fields = {
        "_id": token,
        "operationType": event.operation,
        "clusterTime": Timestamp(*event.cluster_time) if event.cluster_time else None,
        "wallTime": DatetimeMS(event.time_ms) if event.time_ms else None,
        "fullDocument": _inner(event.document),
        "ns": _namespace(event),
        "to": to,
        "documentKey": _inner(event.document_key),
        "updateDescription": _update(event, changed, details),
        "operationDescription": details.get("description"),
        "fullDocumentBeforeChange": _inner(event.before),
        "lsid": transaction.get("session"),
        "txnNumber": transaction.get("number"),
    }
    return _encoded({name: value for name, value in fields.items() if value is not None})


def data_document(event: Event) -> bytes:
    """What ``data`` is in the default envelope, in raw BSON.

    Raises:
        EncodingError: A document in it is none.
    """
    has_update = event.changed is not None or event.removed
    return _encoded(
        {
            "operation": event.operation,
            "database": event.database or None,
            "collection": event.collection or None,
            "document_key": _inner(event.document_key),
            "document": _inner(event.document),
            "before": _inner(event.before),
            "changed": _inner(event.changed),
            "removed": list(event.removed) if has_update else None,
            **({"meta": event.attributes} if event.attributes else {}),
            **_details(event),
        }
    )


def raw_document(section: Section) -> bytes:
    """A document as raw BSON.

    Raises:
        EncodingError: It is none.
    """
    return section if isinstance(section, bytes) else _encoded(section or {})


def _encoded(fields: Mapping[str, Any]) -> bytes:
    try:
        return bson.encode(fields)
    except (InvalidDocument, BSONError, OverflowError) as error:
        # the driver's own message would show the value
        raise EncodingError(f"no BSON form: {type(error).__name__}") from error


def _inner(section: Section) -> Mapping[str, Any] | None:
    if not isinstance(section, bytes):
        return section
    try:
        return RawBSONDocument(section)
    except BSONError as error:
        raise EncodingError(f"not valid BSON: {error}") from error


def _details(event: Event) -> Mapping[str, Any]:
    if event.details is None:
        return {}
    return decoded(event.details) if isinstance(event.details, bytes) else event.details


def _to(event: Event) -> tuple[Any, Section]:
    """Where a collection was renamed to, and what an update changed: they share a place in the event."""
    if event.operation != _RENAME or event.changed is None:
        return None, event.changed
    changed = decoded(event.changed) if isinstance(event.changed, bytes) else event.changed
    return changed.get("to"), None


_RENAME: Final = "rename"


def _namespace(event: Event) -> dict[str, str] | None:
    names = {"db": event.database, "coll": event.collection}
    return {key: name for key, name in names.items() if name} or None


def _update(event: Event, changed: Section, details: Mapping[str, Any]) -> dict[str, Any] | None:
    if changed is None and not event.removed:
        return None
    described = {
        "updatedFields": _inner(changed) or {},
        "removedFields": list(event.removed),
        "truncatedArrays": details.get("truncated_arrays", []),
    }
    disambiguated = details.get("disambiguated_paths")
    return described | {"disambiguatedPaths": disambiguated} if disambiguated else described
