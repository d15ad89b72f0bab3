"""Objects within objects made fields of one level, by the same names in documents and in updates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eventbus.encoding.projection import Tree, tree_of
from eventbus.stages.changes import MISSING, has_sides, value_in
from eventbus.stages.each import StageError

__all__ = ["Flattening"]

_ID = "_id"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where what is at a path goes.

    Args:
        path: Its new path.
        part: What lies below it that is flattened; empty for what is there itself, None for nothing.
        levels: How many more levels of it become one.
    """

    path: str
    part: Tree | None
    levels: int


class Flattening:
    """Makes names of paths.

    Args:
        separator: What stands between the names in a name.
        levels: How many levels become one with that of the field.
        paths: Which fields are flattened; none for all but ``_id``.
        has_indexes: Whether arrays are flattened too, by their indexes.
    """

    def __init__(self, separator: str, levels: int, paths: Sequence[str], *, has_indexes: bool) -> None:
        self._separator = separator
        self._levels = levels
        self._tree = tree_of(paths) if paths else None
        self._has_indexes = has_indexes

    def document(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """A document of which the fields are flat.

        Raises:
            StageError: Two fields would have one name.
        """
        return self._within(document, self._tree)

    def changed(self, changed: Mapping[str, Any]) -> dict[str, Any]:
        """What an update set, by the new names.

        Raises:
            StageError: As above.
        """
        pairs = [pair for path, value in changed.items() for pair in self._change(self._place(path), value)]
        return _collected(pairs)

    def removed(self, removed: Sequence[str], before: Mapping[str, Any] | None) -> list[str]:
        """The names of what an update removed; of an object those of its fields, if it is known."""
        names: list[str] = []
        for path in removed:
            place = self._place(path)
            value = value_in(before, path.split(".")) if before is not None else MISSING
            names += [place.path] if value is MISSING else [name for name, _ in self._change(place, value)]
        return list(dict.fromkeys(names))

    def path(self, path: str) -> str:
        """The new path of what is at a path."""
        return self._place(path).path

    def _within(self, document: Mapping[str, Any], tree: Tree | None) -> dict[str, Any]:
        pairs: list[tuple[str, Any]] = []
        for name, value in document.items():
            part = _part(tree, name)
            if part is None:
                pairs.append((name, value))
            elif part:
                pairs.append((name, self._below(value, part)))
            else:
                pairs += self._spread(name, value, self._levels)
        return _collected(pairs)

    def _below(self, value: Any, tree: Tree) -> Any:
        if isinstance(value, Mapping):
            return self._within(value, tree)
        if isinstance(value, list):
            return [self._below(item, tree) for item in value]
        return value

    def _spread(self, name: str, value: Any, levels: int) -> Iterator[tuple[str, Any]]:
        inner: Mapping[str, Any] = {}
        if levels > 0 and isinstance(value, Mapping):
            inner = value
        elif levels > 0 and self._has_indexes and isinstance(value, list):
            inner = {str(index): item for index, item in enumerate(value)}
        if not inner:
            yield name, value
        for below, one in inner.items():
            yield from self._spread(f"{name}{self._separator}{below}", one, levels - 1)

    def _change(self, place: _Place, value: Any) -> list[tuple[str, Any]]:
        if place.part is None:
            return [(place.path, value)]
        if place.part:
            return [(place.path, self._by_sides(value, place.part))]
        if not has_sides(value):
            return list(self._spread(place.path, value, place.levels))
        sides: dict[str, dict[str, Any]] = {}
        for side, one in value.items():
            for name, inner in self._spread(place.path, one, place.levels):
                sides.setdefault(name, {})[side] = inner
        return list(sides.items())

    def _by_sides(self, value: Any, tree: Tree) -> Any:
        if has_sides(value, next(iter(tree))):
            return {side: self._below(one, tree) for side, one in value.items()}
        return self._below(value, tree)

    def _place(self, path: str) -> _Place:
        names = path.split(".")
        at = self._tree
        for depth, name in enumerate(names):
            if at is not None and depth and name.isdecimal() and name not in at:
                continue  # an index of an array: paths reach into arrays without it
            part = _part(at, name)
            if part is None:
                return _Place(path, None, 0)
            if not part:
                return self._joined(names, depth)
            at = part
        return _Place(path, at, self._levels)

    def _joined(self, names: Sequence[str], depth: int) -> _Place:
        """Where a path goes of which the name at a depth is that of a field to be flattened."""
        joined, rest = names[depth], list(names[depth + 1 :])
        levels = self._levels
        while rest and levels > 0 and (self._has_indexes or not rest[0].isdecimal()):
            joined = f"{joined}{self._separator}{rest.pop(0)}"
            levels -= 1
        path = ".".join([*names[:depth], joined, *rest])
        return _Place(path, None if rest else Tree(), levels)


def _part(tree: Tree | None, name: str) -> Tree | None:
    """What is flattened of a field: an empty tree if it is itself, None if nothing is."""
    if tree is None:
        return None if name == _ID else Tree()
    return tree.get(name)


def _collected(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    collected: dict[str, Any] = {}
    for name, value in pairs:
        if name in collected:
            raise StageError(f"{name}: two fields would have this name")
        collected[name] = value
    return collected
