"""A change as functions of users see it: plain attributes, and documents that they may change."""

from __future__ import annotations

from copy import deepcopy
from datetime import datetime
from typing import Any

from eventbus.encoding.json import decoded
from eventbus.expressions.view import View
from eventbus.model import Event, Section

__all__ = ["Change"]


class _Part:
    """A document of a change: a copy, made when it is first asked for."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, change: Change, owner: type) -> dict[str, Any] | None:
        looked_at = change.looked_at
        if self._name not in looked_at:
            looked_at[self._name] = _copied(getattr(change.event, self._name))
        part: dict[str, Any] | None = looked_at[self._name]
        return part

    def __set__(self, change: Change, value: dict[str, Any] | None) -> None:
        change.looked_at[self._name] = value


class _Meta:
    """What stages have set: a copy, made when it is first asked for."""

    def __get__(self, change: Change, owner: type) -> dict[str, Any]:
        if "meta" not in change.looked_at:
            change.looked_at["meta"] = deepcopy(dict(change.event.attributes or {}))
        meta: dict[str, Any] = change.looked_at["meta"]
        return meta

    def __set__(self, change: Change, value: dict[str, Any]) -> None:
        change.looked_at["meta"] = value


class Change:
    """One change. Documents are dictionaries with values in the driver's types, such as `bson.ObjectId`.

    Args:
        event: What it shows. Nobody may change it; the parts below are copies.
    """

    __slots__ = ("event", "looked_at")

    document = _Part()
    """The document after the change; None if the event has none."""
    before = _Part()
    """The document before the change; None if the event has none."""
    changed = _Part()
    """For an update, a map from changed path to new value."""
    meta = _Meta()
    """What stages have set, by name."""

    def __init__(self, event: Event) -> None:
        self.event = event
        self.looked_at: dict[str, Any] = {}
        """The parts that were asked for or set, by name; they may have been changed."""

    @property
    def operation(self) -> str:
        """``insert``, ``update``, ``replace``, ``delete``, ``read``, or the server's name of another."""
        return self.event.operation

    @property
    def database(self) -> str:
        """Name of the database."""
        return self.event.database

    @property
    def collection(self) -> str:
        """Name of the collection."""
        return self.event.collection

    @property
    def ns(self) -> str:
        """Database and collection with a dot between."""
        namespace: str = View(self.event).at(("ns",))
        return namespace

    @property
    def event_id(self) -> str:
        """The event's id, the same whenever it comes again."""
        return self.event.id

    @property
    def key(self) -> str:
        """The text by which its order is kept."""
        return self.event.key.decode()

    @property
    def document_key(self) -> dict[str, Any] | None:
        """A copy of the ``_id``, and the shard key, of the document."""
        return _copied(self.event.document_key)

    @property
    def removed(self) -> tuple[str, ...]:
        """The paths that an update removed."""
        return tuple(self.event.removed)

    @property
    def cluster_time(self) -> datetime | None:
        """When the change was committed."""
        time: datetime | None = View(self.event).at(("cluster_time",))
        return time


def _copied(section: Section) -> dict[str, Any] | None:
    if section is None:
        return None
    return decoded(section) if isinstance(section, bytes) else deepcopy(dict(section))
