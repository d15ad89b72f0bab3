"""What becomes of an event by what a function returned for it, and by what it did to what it was shown."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import bson

from eventbus.canonical import canonical_value
from eventbus.encoding.json import decoded
from eventbus.expressions.change import Change
from eventbus.sdk import Event, Filtered, Parked, Slot, View

__all__ = ["slot_of"]

_EXPECTED = "expected the event, a dict or None"


def slot_of(view: View, change: Change, returned: Any, names: Collection[str]) -> Slot:
    """The slot that an event becomes.

    Args:
        view: The event.
        change: It, as it was shown to the function.
        returned: What the function returned.
        names: Those that it may set.
    """
    event = view.event
    if returned is None:
        return Filtered(event)
    parts: dict[str, Any] = dict(change.looked_at)
    if isinstance(returned, Change):
        if returned is not change:
            return Parked(event, "returned another event than it was given")
    elif isinstance(returned, Mapping):
        parts["document"] = returned
    else:
        return Parked(event, f"returned {_kind(returned)}: {_EXPECTED}")
    try:
        return event.revised(**_taken(view, parts, names)) if parts else event
    except _NotTaken as error:
        return Parked(event, str(error))


class _NotTaken(Exception):
    """A part cannot be as the function left it; the text shows no value of a document."""


def _taken(view: View, parts: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The parts of the event that the function leaves, as BSON: nobody else holds on to them."""
    taken: dict[str, Any] = {}
    for name, part in parts.items():
        if name == "meta":
            taken["attributes"] = _attributes(view.event, part, names)
        else:
            taken[name] = _section(view, name, part)
    return taken


def _attributes(event: Event, meta: Any, names: Collection[str]) -> Mapping[str, Any] | None:
    attributes = decoded(_encoded("meta", meta))
    if not attributes.keys() <= {*(event.attributes or ()), *names}:
        raise _NotTaken("meta has a name that is not among those of sets")
    return attributes or None


def _section(view: View, name: str, part: Any) -> bytes | None:
    before = view.section(name)
    if before is None:
        if part is None:
            return None
        raise _NotTaken(f"{name} is set, and the event has none")
    raw = _encoded(name, part)
    if name == "changed" or "_id" not in before:
        return raw
    if "_id" in part and not _is_same(part["_id"], before["_id"]):
        raise _NotTaken(f"{name}: _id names the document: it stays as it is")
    return _encoded(name, {**part, "_id": before["_id"]})


def _encoded(name: str, part: Any) -> bytes:
    if not isinstance(part, Mapping):
        raise _NotTaken(f"{name} became {_kind(part)}: expected a dict")
    try:
        return bson.encode(dict(part))
    except Exception as error:  # a value of the user's own may raise anything
        raise _NotTaken(f"{name}: no document can hold it: {type(error).__name__}") from error


def _is_same(one: Any, other: Any) -> bool:
    return canonical_value(one) == canonical_value(other)


def _kind(value: Any) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"
