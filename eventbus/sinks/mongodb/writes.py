"""From messages to the writes of a bulk. No I/O.

The guard is one expression in the update itself, so that nothing can come between looking and writing: where
the document knows a later token than the event's, it is replaced with itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

import bson
import bsonjs
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo import DeleteOne, InsertOne, ReplaceOne, UpdateOne
from pymongo.collation import Collation

from eventbus.model import Section
from eventbus.sdk import Encoder, EncodingError, Event, Message, Operation

__all__ = ["GUARD", "MARKED_UNTIL", "Inserts", "Mirror", "Write"]

Write: TypeAlias = InsertOne[Any] | ReplaceOne[Any] | UpdateOne | DeleteOne

GUARD: Final = "_eventbus"
"""The field that a guarded document has besides its own."""
MARKED_UNTIL: Final = f"{GUARD}.until"
"""When the marker of a deleted document is to go."""

_TOKEN: Final = f"${GUARD}.token"
_BY_BYTES: Final = Collation("simple")
"""Tokens are compared by their bytes, whatever language the collection is in."""
_WITH_DOCUMENT: Final = frozenset({Operation.INSERT, Operation.UPDATE, Operation.REPLACE, Operation.READ})


class Inserts:
    """Every event is a document of its own: what the encoder made of it, and as ``_id`` the event's id."""

    names: Sequence[str] = ("_id",)
    """What says which document is meant."""
    is_repeatable = True
    """Whether a document that is there already is of an earlier try of the same write."""

    def concerns(self, event: Event) -> bool:  # noqa: ARG002 - all of them
        """Whether there is anything to be done for an event."""
        return True

    def body(self, event: Event, encoder: Encoder) -> bytes:
        """The event as BSON.

        Raises:
            EncodingError: The encoder makes no object of it.
        """
        text = encoder.encode(event)
        try:
            return bson.encode({"_id": event.id} | bson.decode(bsonjs.loads(text), _DECODING))
        except (ValueError, BSONError) as error:
            raise EncodingError("the encoded event is no object in Extended JSON") from error

    def write(self, message: Message) -> Write:
        """The write of a message."""
        return InsertOne(RawBSONDocument(message.body))


class Mirror:
    """The documents that the events are about.

    Args:
        fields: Paths whose values say which document is meant; none for its ``_id``.
        deletes: Whether a deleted document is deleted there, too.
        marker_secs: How long a marker of a deleted document stays; None without guard.
    """

    is_repeatable = False

    def __init__(self, fields: Sequence[str], *, deletes: bool, marker_secs: float | None) -> None:
        self.names = fields or ("_id",)
        self._fields = fields
        self._deletes = deletes
        self._marker_secs = marker_secs

    def concerns(self, event: Event) -> bool:
        """Whether it is a change of a document, and not one that is to be ignored."""
        is_ignored = event.operation == Operation.DELETE and not self._deletes
        return not is_ignored and not event.operation.startswith("eventbus.")

    def body(self, event: Event, encoder: Encoder) -> bytes:  # noqa: ARG002 - documents stay what they are
        """The document after the change as BSON; of a delete what is known of it.

        Raises:
            EncodingError: There is no document, or it does not say which one is meant.
        """
        if event.operation == Operation.DELETE:
            known = _raw(event.before) if self._fields and event.before is not None else None
            body = known if known is not None else _raw(event.document_key)
        elif event.operation in _WITH_DOCUMENT:
            body = _raw(event.document)
        else:
            raise EncodingError(f"{event.operation} concerns no single document")
        if body is None:
            raise EncodingError(
                "there is no full document: see full_document and lookup_missing of the source"
            )
        self._which(RawBSONDocument(body))
        return body

    def write(self, message: Message) -> Write:
        """The write of a message."""
        document = RawBSONDocument(message.body)
        which = self._which(document)
        if message.event.operation == Operation.DELETE:
            return self._delete(which, message.event)
        if self._marker_secs is None and not self._fields:
            return ReplaceOne(which, document, upsert=True)
        if self._marker_secs is None:
            return UpdateOne(which, [{"$replaceWith": self._result(document)}], upsert=True)
        return self._guarded(which, message.event, self._result(document))

    def _delete(self, which: Mapping[str, Any], event: Event) -> Write:
        if self._marker_secs is None:
            return DeleteOne(which)
        until = datetime.now(UTC) + timedelta(seconds=self._marker_secs)
        kept = {"_id": "$_id"} | {
            path.partition(".")[0]: f"${path.partition('.')[0]}" for path in self._fields
        }
        return self._guarded(which, event, kept, {"until": until})

    def _guarded(
        self, which: Mapping[str, Any], event: Event, result: Any, further: Mapping[str, Any] | None = None
    ) -> Write:
        mark = {GUARD: {"$literal": {"id": event.id, "token": event.token, **(further or {})}}}
        is_later = {"$gt": [_TOKEN, {"$literal": event.token}]}
        new = {"$mergeObjects": [result, mark]}
        update = [{"$replaceWith": {"$cond": [is_later, "$$ROOT", new]}}]
        return UpdateOne(which, update, upsert=True, collation=_BY_BYTES)

    def _result(self, document: RawBSONDocument) -> Any:
        """What is to be there: the document, or what is there with the document's fields."""
        if not self._fields:
            return {"$literal": document}
        own = {name: value for name, value in document.items() if name != "_id"}
        return {"$mergeObjects": ["$$ROOT", {"$literal": own}]}

    def _which(self, document: RawBSONDocument) -> dict[str, Any]:
        if not self._fields:
            return {"_id": {"$eq": document["_id"]}}
        return {path: {"$eq": _at(document, path)} for path in self._fields}


def _at(document: Mapping[str, Any], path: str) -> Any:
    value: Any = document
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    if value is None:
        raise EncodingError(f"{path} is null or missing; of a delete it is known from before images alone")
    return value


def _raw(section: Section) -> bytes | None:
    """BSON of a part of an event.

    Raises:
        EncodingError: It is none.
    """
    if section is None:
        return None
    try:
        raw = section if isinstance(section, bytes) else bson.encode(section)
        RawBSONDocument(raw).get("_id")  # reads the whole
    except BSONError as error:
        raise EncodingError(f"not valid BSON: {error}") from error
    return raw


_DECODING: Final = bson.CodecOptions[dict[str, Any]](
    document_class=dict, tz_aware=True, datetime_conversion=bson.DatetimeConversion.DATETIME_AUTO
)
