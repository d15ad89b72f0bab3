"""An event as conditions and stages see it: its parts by name, each document decoded once, on demand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from eventbus.encoding.json import decoded
from eventbus.model import Event, Section

__all__ = ["NAMES", "SECTIONS", "View", "Views"]

SECTIONS: Final = ("before", "changed", "document", "document_key", "meta")
"""Names of an event that have names within."""
NAMES: Final = (
    *SECTIONS,
    *("cluster_time", "collection", "database", "event_id", "key", "ns", "operation", "removed"),
    *("service", "subscription"),
)
"""All names that every event has."""

_CONSTANTS: Final = ("service", "subscription")
_MISSING: Final = object()
_OF_EVENT: Final[Mapping[str, Callable[[Event], Any]]] = {
    "operation": lambda event: event.operation,
    "database": lambda event: event.database,
    "collection": lambda event: event.collection,
    "ns": lambda event: f"{event.database}.{event.collection}" if event.collection else event.database,
    "event_id": lambda event: event.id,
    "key": lambda event: event.key.decode(),
    "removed": lambda event: list(event.removed),
    "cluster_time": lambda event: (
        datetime.fromtimestamp(event.cluster_time[0], UTC) if event.cluster_time else None
    ),
}


class View:
    """One event.

    Args:
        event: What is looked at.
        constants: What else has a name: the subscription and its service.
    """

    __slots__ = ("_constants", "_sections", "event")

    def __init__(self, event: Event, constants: Mapping[str, str | None] | None = None) -> None:
        self.event = event
        self._constants = constants or {}
        self._sections: dict[str, Mapping[str, Any] | None] = {}

    def section(self, name: str) -> Mapping[str, Any] | None:
        """A document of the event, decoded; nobody may change it.

        Raises:
            EncodingError: It is no BSON.
        """
        if name not in self._sections:
            section: Section = self.event.attributes if name == "meta" else getattr(self.event, name)
            self._sections[name] = decoded(section) if isinstance(section, bytes) else section
        return self._sections[name]

    def standing_for(self, document: Mapping[str, Any]) -> View:
        """The same event, seen with another document in place of its document."""
        if document is self._sections.get("document"):
            return self
        view = View(self.event, self._constants)
        view._sections = {**self._sections, "document": document}
        return view

    @property
    def has_looked(self) -> bool:
        """Whether any document was decoded."""
        return bool(self._sections)

    def at(self, names: tuple[str, ...]) -> Any:
        """The value of a path, in the driver's types; None if there is none.

        In ``changed`` a path reaches what was set at it, below it and above it.

        Raises:
            EncodingError: A document on the way is no BSON.
        """
        first, inner = names[0], names[1:]
        if first not in SECTIONS:
            value = self._scalar(first)
        else:
            value = self.section(first)
            if first == "changed" and inner and value:
                return _changed_at(value, ".".join(inner))
        return value_at(value, inner)

    def was_set(self, path: tuple[str, ...]) -> bool:
        """Whether an update set something at a path, be it to null.

        Raises:
            EncodingError: What it changed is no BSON.
        """
        return ".".join(path) in (self.section("changed") or {})

    def _scalar(self, name: str) -> Any:
        of_event = _OF_EVENT.get(name)
        if of_event is not None:
            return of_event(self.event)
        if name in _CONSTANTS:
            return self._constants.get(name)
        return (self.event.attributes or {}).get(name)


class Views:
    """The views of the events that were looked at last, so that whoever comes next need not decode again.

    Args:
        constants: See `View`.
        max_size: How many bytes of events they may be of, since what is decoded takes several times as much.
    """

    def __init__(self, constants: Mapping[str, str | None] | None = None, max_size: int = 4 << 20) -> None:
        self._constants = constants or {}
        self._max_size = max_size
        self._kept: dict[int, View] = {}
        self._size = 0

    def of(self, event: Event) -> View:
        """The view of an event."""
        view = self._kept.get(id(event))
        if view is None:  # a view holds its event, so while it is kept no other event has that identity
            self._size += event.size + 1024
            if self._size > self._max_size:
                self._kept.clear()
                self._size = event.size
            view = self._kept[id(event)] = View(event, self._constants)
        return view


def value_at(value: Any, names: tuple[str, ...]) -> Any:
    """The value at a path inside of a value; None if there is none."""
    for name in names:
        if isinstance(value, Mapping):
            value = value.get(name)
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value


def _changed_at(changed: Mapping[str, Any], path: str) -> Any:
    found = changed.get(path, _MISSING)
    if found is not _MISSING:
        return found
    below: dict[str, Any] = {}
    for key, value in changed.items():
        if key.startswith(f"{path}."):
            _put(below, key[len(path) + 1 :].split("."), value)
        elif path.startswith(f"{key}."):
            return value_at(value, tuple(path[len(key) + 1 :].split(".")))
    return below or None


def _put(into: dict[str, Any], names: list[str], value: Any) -> None:
    for name in names[:-1]:
        into = into.setdefault(name, {})
    into[names[-1]] = value
