"""What an update changed, as old and new values: the update's paths, looked up in the image from before it.

Nothing is decoded: values are copied as the bytes that the server sent. At a path's dots documents and arrays
begin, unless a field's own name has dots. Where the server says which (``disambiguatedPaths``), its word is
taken, else the first reading under which there is a value.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from eventbus.model import Event, Section
from eventbus.sources.mongodb.elements import ARRAY, DOCUMENT, INT32, Element, document, elements

__all__ = ["delta_of"]

_NO_DOCUMENT: Final = document({})


def delta_of(event: Event) -> bytes:
    """The value of `Event.changed` with ``old`` and ``new`` for each path, as raw BSON.

    A path that was added has no ``old``, one that was removed has no ``new``. Elements that an array lost
    because it was cut short count as removed, each under its own path. Without an image nothing has ``old``.

    Args:
        event: An update as it was read.
    """
    details = elements(_raw(event.details))
    before = _Image(_raw(event.before), dict(_disambiguated(details.get(b"disambiguated_paths"))))
    changes = {path: _change(before.value(path), new) for path, new in elements(_raw(event.changed)).items()}
    for name in event.removed:
        path = name.encode()
        changes[path] = _change(before.value(path), None)
    for path, old in _cut_off(before, details.get(b"truncated_arrays")):
        changes[path] = _change(old, None)
    return document(changes)


class _Image:
    """A document in which paths are looked up; each part of it is taken apart once."""

    def __init__(self, raw: bytes, disambiguated: dict[bytes, tuple[bytes, ...]]) -> None:
        self._raw = raw
        self._disambiguated = disambiguated
        self._apart: dict[tuple[bytes, ...], dict[bytes, Element]] = {}

    def value(self, path: bytes) -> Element | None:
        """The value at a path; None if there is none."""
        parts = self._disambiguated.get(path)
        if parts is not None:
            return self._at((), self._raw, parts, most=1)
        parts = tuple(path.split(b"."))
        return self._at((), self._raw, parts, most=len(parts))

    def _at(
        self, place: tuple[bytes, ...], raw: bytes, parts: tuple[bytes, ...], *, most: int
    ) -> Element | None:
        """Look below `place`, where names consist of up to `most` parts."""
        fields = self._apart.get(place)
        if fields is None:
            fields = self._apart[place] = elements(raw)
        for count in range(1, min(most, len(parts)) + 1):
            name = b".".join(parts[:count])
            found, rest = fields.get(name), parts[count:]
            if found is not None and rest:
                inside = found.kind in {DOCUMENT, ARRAY}
                found = self._at((*place, name), found.value, rest, most=most) if inside else None
            if found is not None:
                return found
        return None


def _change(old: Element | None, new: Element | None) -> Element:
    sides = {b"old": old, b"new": new}
    return Element(DOCUMENT, document({name: value for name, value in sides.items() if value is not None}))


def _cut_off(before: _Image, truncated: Element | None) -> Iterator[tuple[bytes, Element]]:
    """The elements that arrays had beyond their new sizes."""
    for entry in elements(truncated.value).values() if truncated else ():
        parts = elements(entry.value)
        path, size = parts[b"field"].value[4:-1], int.from_bytes(parts[b"newSize"].value, "little")
        array = before.value(path)
        if array is not None and array.kind == ARRAY:
            for index, (name, old) in enumerate(elements(array.value).items()):
                if index >= size:
                    yield b"%b.%b" % (path, name), old


def _disambiguated(paths: Element | None) -> Iterator[tuple[bytes, tuple[bytes, ...]]]:
    """Each path that could be read in more than one way, and its parts: names, and places in arrays."""
    for path, parts in elements(paths.value).items() if paths else ():
        yield path, tuple(map(_part, elements(parts.value).values()))


def _part(element: Element) -> bytes:
    if element.kind == INT32:
        return b"%d" % int.from_bytes(element.value, "little")
    return element.value[4:-1]


def _raw(section: Section) -> bytes:
    return section if isinstance(section, bytes) else _NO_DOCUMENT
