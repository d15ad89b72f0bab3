"""Events that hardly anybody thinks of, and how the contract of stages compares what came of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any, Final

import bson
from bson import Binary, Decimal128, Int64, MaxKey, ObjectId, Regex, Timestamp

from eventbus.sdk import EncodingError, Event, Filtered, Parked, Slot, View
from eventbus.testing.harness import Changes

__all__ = ["UNTOLD", "copies", "in_bson", "odd_events", "sections_of", "told"]

UNTOLD: Final = "a-value-that-nobody-may-read"
"""The text of strange documents: no reason may show it."""

_SECTIONS: Final = ("document_key", "document", "before", "changed", "details")
_DOCUMENTS: Final = ("document", "before", "changed")
_NOT_BSON: Final = b"\x0c\x00\x00\x00\x10n\x00\x01\x00\x00"
_ODD_VALUES: Final[tuple[Any, ...]] = (
    *(None, True, -1, 0, Int64(2**63 - 1), 1e308, float("nan"), Decimal128("NaN"), Decimal128("1E+6000")),
    *(
        "",
        UNTOLD,
        " \u00df\u0130\ud7ff\U0001f600 ",
        [],
        [None],
        [[1], {"a": 1}],
        {},
        {"": {"$x": 1}, "a.b": 2},
    ),
    *(ObjectId(bytes(12)), Binary(bytes(3), 0), Binary(bytes(16), 4), Regex("("), Timestamp(1, 2), MaxKey()),
    *(datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)),
)


def odd_events(events: Sequence[Event], changes: Changes) -> list[Event]:
    """Changes without what others have, with what is no BSON, and like some events but of other types."""
    found = [
        changes.change("odd", document={}),
        changes.change("odd", operation="delete", document=None),
        changes.change("odd", operation="drop", document=None, document_key=None),
        changes.change("odd", document=None, changed={}, removed=["a", "a.b.0.c"]),
        changes.change("odd", document=_NOT_BSON),
        changes.change("odd", document=None, before=b"", changed=b"\x00"),
    ]
    for event in events:
        found += [
            changes.change("odd", operation=event.operation, **_with(event, value)) for value in _ODD_VALUES
        ]
    return found


def _with(event: Event, value: Any) -> dict[str, Any]:
    """The documents of an event with a value in place of each of theirs; in BSON if they are."""
    return {name: _replaced(getattr(event, name), value) for name in _DOCUMENTS}


def _replaced(section: Any, value: Any) -> Any:
    if section is None:
        return None
    document = _decoded(section)
    odd = {name: (one if name == "_id" else deepcopy(value)) for name, one in document.items()}
    return bson.encode(odd) if isinstance(section, bytes) else odd


def in_bson(event: Event) -> Event:
    """The event as a source gives it: every document in raw BSON."""
    sections = {name: getattr(event, name) for name in _SECTIONS}
    return event.revised(
        **{name: bson.encode(part) for name, part in sections.items() if isinstance(part, Mapping)}
    )


def copies(events: Sequence[Event]) -> list[Event]:
    """The events as they would be read once more: equal, and sharing nothing."""
    return [event.revised(**{name: deepcopy(getattr(event, name)) for name in _SECTIONS}) for event in events]


def told(slot: Slot) -> tuple[Any, ...]:
    """All there is to say about a slot, to be compared with another."""
    event = slot.event
    sections = tuple(_comparable(getattr(event, name)) for name in _SECTIONS)
    parts = (event.token, event.operation, *sections, tuple(event.removed), _comparable(event.attributes))
    match slot:
        case Filtered():
            return ("dropped", *parts)
        case Parked():
            return ("parked", slot.reason, *parts)
        case Event():
            return ("event", *parts)


def sections_of(view: View) -> list[Any]:
    """The documents of an event as a view has them, to be compared."""
    found = []
    for name in (*_DOCUMENTS, "document_key"):
        try:
            found.append(_comparable(view.section(name)))
        except EncodingError:
            found.append(None)
    return found


def _comparable(section: Any) -> Any:
    """Bytes, since NaN is not equal to itself; of what no document can hold its text."""
    if not isinstance(section, Mapping):
        return section
    try:
        return bson.encode(section)
    except Exception:  # noqa: BLE001 - a stage may put anything there
        return repr(section)


def _decoded(section: bytes | Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(section, bytes):
        return section
    return bson.decode(section, _DECODING)


_DECODING: Final = bson.CodecOptions[dict[str, Any]](
    document_class=dict, datetime_conversion=bson.DatetimeConversion.DATETIME_AUTO
)
