"""From a change as it is written to an event as the source would give it; and what it would never give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import bson
from pydantic import BaseModel

from eventbus.cases.models import Given
from eventbus.config.nodes import Path
from eventbus.config.starts import start_time
from eventbus.model import ClusterTime, Event, Operation
from eventbus.sources.mongodb.delta import delta_of
from eventbus.sources.mongodb.extended_json import bson_values
from eventbus.suggestions import listed

__all__ = ["Origin", "checked_events"]

_BEGINNING: Final = "2026-01-01T00:00:00Z"
_OWN: Final = "eventbus."
_SECTIONS: Final = ("document_key", "document", "before", "changed", "details")

Wrong: TypeAlias = Callable[[Path, str], None]
"""Takes what is wrong with the changes of a case: where, and what."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a source's options say of the changes that it gives; of a source without them, nothing.

    Args:
        options: What users wrote under ``source``.
    """

    options: BaseModel

    def option(self, name: str) -> Any:
        """One of them; None if the source has none of that name."""
        return getattr(self.options, name, None)


def checked_events(given: Sequence[Given], origin: Origin, wrong: Wrong) -> list[Event]:
    """The changes of a case as events.

    Args:
        given: What was written.
        origin: What the source says of its changes.
        wrong: Takes what no source would give.
    """
    events = []
    for index, change in enumerate(given):
        made = _Change(index, change, origin, wrong).event()
        if made is not None:
            events.append(made)
    return events


class _Change:
    def __init__(self, index: int, given: Given, origin: Origin, wrong: Wrong) -> None:
        self._index = index
        self._given = given
        self._origin = origin
        self._is_wrong = False
        self._note = wrong

    def event(self) -> Event | None:
        """The event; None if anything is wrong with it, which is noted."""
        given = self._given
        sections = {name: self._section(name) for name in _SECTIONS}
        database, collection = self._namespace()
        self._check_source(database, collection)
        sections["document_key"] = sections["document_key"] or self._key(sections)
        if given.operation == Operation.UPDATE and sections["changed"] is None:
            sections["changed"] = bson.encode({})
        time = self._time()
        if self._is_wrong:
            return None
        number = self._index + 1
        event = Event(
            token=f"82{number:016X}",
            operation=given.operation,
            database=database,
            collection=collection,
            cluster_time=ClusterTime(time, number),
            time_ms=time * 1000,
            removed=given.removed,
            size=sum(len(section) for section in sections.values() if section is not None),
            attributes=self._values("meta", given.meta),
            id=given.id,
            document_key=sections["document_key"],
            document=sections["document"],
            before=sections["before"],
            changed=sections["changed"],
            details=sections["details"],
        )
        has_delta = self._origin.option("delta") is True and given.operation == Operation.UPDATE
        return event.revised(changed=delta_of(event)) if has_delta else event

    def _section(self, name: str) -> bytes | None:
        values = self._values(name, getattr(self._given, name))
        return bson.encode(values) if values is not None else None

    def _values(self, name: str, written: dict[str, Any] | None) -> dict[str, Any] | None:
        """A document with the types of BSON."""
        if written is None:
            return None
        try:
            return bson_values(written)
        except ValueError as error:
            self._wrong(name, str(error))
            return None

    def _namespace(self) -> tuple[str, str]:
        collections: Sequence[str] = self._origin.option("collections") or ()
        collection = self._given.collection or (collections[0] if len(collections) == 1 else "")
        if not collection and self._given.operation in set(Operation):
            self._wrong("collection", "which collection? The source names no single one")
        return self._given.database or self._origin.option("database") or "", collection

    def _key(self, sections: dict[str, bytes | None]) -> bytes | None:
        if self._given.operation not in set(Operation):
            return None
        for name in ("document", "before"):
            found = bson.decode(sections[name] or bson.encode({}))
            if "_id" in found:
                return bson.encode({"_id": found["_id"]})
        self._wrong("document_key", "which document? Give a document_key, or an _id in document or before")
        return None

    def _time(self) -> int:
        written = self._given.cluster_time or _BEGINNING
        try:
            time = start_time(written)
        except ValueError:
            time = None
        if time is None or not 0 <= time < 1 << 32:
            self._wrong("cluster_time", "expected a time such as 2026-01-31T12:00:00Z")
            return 0
        return time

    def _check_source(self, database: str, collection: str) -> None:
        """What the server, or the reader, would leave out is no part of a change."""
        given, option = self._given, self._origin.option
        if given.operation.startswith(_OWN):
            return
        operations, collections = option("operations"), option("collections")
        is_known = operations is None or given.operation in {*operations, Operation.READ} or "*" in operations
        if not is_known:
            self._wrong("operation", f"the source does not read it (operations: {listed(operations)})")
        if option("database") not in {None, database}:
            self._wrong("database", f"the source reads {option('database')} alone")
        if collections and collection not in collections:
            self._wrong("collection", f"the source does not read it (collections: {listed(collections)})")
        is_update = given.operation == Operation.UPDATE
        if is_update and given.document is not None and option("full_document") == "default":
            self._wrong("document", "the source gives none of an update: its full_document is default")
        if given.before is not None and option("before") == "off":
            self._wrong("before", "the source gives none: its before is off")

    def _wrong(self, name: str, message: str) -> None:
        self._is_wrong = True
        self._note((self._index, name), message)
