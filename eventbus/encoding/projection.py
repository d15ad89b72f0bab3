"""Which fields of documents a message has: an event in, an event with less in its documents out.

Its id, its key and the key of its document stay as they are; and ``_id`` stays in every document.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from eventbus.encoding.json import decoded
from eventbus.model import Event, Section

__all__ = ["Projection", "Tree", "by_sides", "named", "only", "part_of", "tree_of", "within_document"]

_DOCUMENTS: Final = ("document", "fullDocument")
"""What the document of an event is called, in conditions and in MQL."""
_SIDES: Final = frozenset({"old", "new"})
_PATHS_BY_FIELD: Final = "truncated_arrays"
_PATHS_BY_KEY: Final = "disambiguated_paths"


class Projection:
    """Keeps some fields, or all but some.

    Args:
        fields: Paths to keep, such as ``payment.status``; empty to keep all but `without`.
        without: Paths to leave out.
    """

    def __init__(self, fields: Sequence[str] = (), without: Sequence[str] = ()) -> None:
        self._keeps = bool(fields)
        self._tree = tree_of([*fields, "_id"] if fields else [path for path in without if path != "_id"])

    def __call__(self, event: Event) -> Event:
        """The event with what is left of its documents."""
        return Event(
            token=event.token,
            operation=event.operation,
            database=event.database,
            collection=event.collection,
            cluster_time=event.cluster_time,
            time_ms=event.time_ms,
            document_key=event.document_key,
            document=self._document(event.document),
            before=self._document(event.before),
            changed=self._changed(event.changed) if event.document_key is not None else event.changed,
            removed=[path for path in event.removed if self._part(path) is not _NOTHING],
            size=event.size,
            key=event.key,
            fragment=event.fragment,
            kind=event.kind,
            attributes=event.attributes,
            extra=event.extra,
            id=event.id,
            snapshot=event.snapshot,
            details=self._details(event.details),
        )

    def _document(self, section: Section) -> Section:
        if section is None:
            return None
        return only(_of(section), self._tree) if self._keeps else _without(_of(section), self._tree)

    def _changed(self, section: Section) -> Section:
        """What an update set, by path: a path may end above, at or below one that was asked for."""
        if section is None:
            return None
        kept: dict[str, Any] = {}
        for path, value in _of(section).items():
            part = self._part(path)
            if part is _ALL:
                kept[path] = value
            elif part is not _NOTHING and not self._keeps:
                kept[path] = _without_in(_without_on_sides(value, part), part)
            elif part is not _NOTHING and isinstance(value, Mapping | list):
                kept[path] = by_sides(value, part, _only_in)
        return kept

    def _part(self, path: str) -> Tree:
        """What of the value at a path is kept, or left out: nothing, all, or what a tree says."""
        part = part_of(self._tree, path)
        if part is None:
            return _NOTHING if self._keeps else _ALL
        if not part:
            return _ALL if self._keeps else _NOTHING
        return part

    def _details(self, details: Section) -> Section:
        """What else is told: of the paths in it those that are left."""
        if details is None:
            return None
        found = dict(_of(details))
        if _PATHS_BY_FIELD in found:
            arrays = found[_PATHS_BY_FIELD]
            found[_PATHS_BY_FIELD] = [one for one in arrays if self._part(one["field"]) is not _NOTHING]
        if _PATHS_BY_KEY in found:
            paths = found[_PATHS_BY_KEY].items()
            found[_PATHS_BY_KEY] = {path: one for path, one in paths if self._part(path) is not _NOTHING}
        return found


class Tree(dict[str, "Tree"]):
    """Names of fields, and what is meant of each; nothing further means the whole field."""


_ALL: Final = Tree()
_NOTHING: Final = Tree()


def part_of(tree: Tree, path: str) -> Tree | None:
    """What of the value at a path of an update is meant: a tree, an empty one for all of it; or None.

    A name of digits may be a field's, or the place of an item in an array, which paths reach without it, too.
    """
    ats = [tree]
    for depth, name in enumerate(path.split(".")):
        ahead = [at[name] for at in ats if name in at]
        if not all(ahead):
            return Tree()
        if depth and name.isdecimal():
            ahead += ats
        if not ahead:
            return None
        ats = ahead
    return _united(ats)


def named(tree: Tree, name: str) -> Tree | None:
    """What of the value of a field is meant, as `part_of` has it: the name of a field may have dots in it."""
    return part_of(tree, name) if "." in name else tree.get(name)


def _united(trees: Sequence[Tree]) -> Tree:
    """All that several trees mean, none of which means the whole."""
    if len(trees) == 1:
        return trees[0]
    union = Tree()
    for name in dict.fromkeys(name for tree in trees for name in tree):
        parts = [tree[name] for tree in trees if name in tree]
        union[name] = _united(parts) if all(parts) else Tree()
    return union


def by_sides(value: Any, tree: Tree, then: Callable[[Any, Tree], Any]) -> Any:
    """Do something with a value of `changed`; with ``delta: true`` it has two, an old and a new one."""
    if isinstance(value, Mapping) and value and value.keys() <= _SIDES and not _SIDES & tree.keys():
        return {side: then(one, tree) for side, one in value.items()}
    return then(value, tree)


def within_document(path: str) -> str:
    """A path as users write it, where paths begin within the document.

    Written as in a condition, `document.email` would be the path of nothing: what is to be hidden would be
    sent, and nobody would see why. A field that is called `document` itself has the name twice.

    Raises:
        ValueError: It begins with the name of the document.
    """
    first, _, rest = path.partition(".")
    if first not in _DOCUMENTS or not rest:
        return path
    if rest.split(".")[0] != first:
        raise ValueError(
            f"a path begins within the document: write {rest}"
            f" (or {first}.{path}, where documents have a field called {first})"
        )
    return rest


def tree_of(paths: Sequence[str]) -> Tree:
    """The names of paths, from the outermost."""
    root = Tree()
    whole = set(paths)
    for path in whole:
        names = path.split(".")
        if any(".".join(names[:length]) in whole for length in range(1, len(names))):
            continue  # a field above it is meant as a whole
        at = root
        for name in names:
            at = at.setdefault(name, Tree())
    return root


def _of(section: bytes | Mapping[str, Any]) -> Mapping[str, Any]:
    return decoded(section) if isinstance(section, bytes) else section


def only(document: Mapping[str, Any], tree: Tree) -> dict[str, Any]:
    """The fields of a document that a tree names."""
    kept = {}
    for name, value in document.items():
        part = tree.get(name)
        if part is None and "." in name:
            part = named(tree, name)
        if part is None:
            continue
        if not part:
            kept[name] = value
        elif isinstance(value, Mapping | list):
            kept[name] = _only_in(value, part)
    return kept


def _only_in(value: Any, tree: Tree) -> Any:
    """As MongoDB projects, into the documents of arrays as well: of other values nothing is kept.

    Unlike there a name of digits is also a place in an array; an item of which all is meant is kept.
    """
    if isinstance(value, Mapping):
        return only(value, tree)
    if isinstance(value, list):
        parts = [_part_of_item(tree, place) for place in range(len(value))] if _has_places(tree) else None
        if parts is None:
            return [_only_in(item, tree) for item in value if isinstance(item, Mapping | list)]
        return [
            _only_in(item, part) if part else item
            for item, part in zip(value, parts, strict=True)
            if isinstance(item, Mapping | list) or not part
        ]
    return None


def _has_places(tree: Tree) -> bool:
    return any(name.isdecimal() for name in tree)


def _part_of_item(tree: Tree, place: int) -> Tree:
    """What is meant of an item of an array: what is of each, and what is at its place; all if it is empty."""
    here = tree.get(str(place))
    if here is None:
        return tree
    return _united([tree, here]) if here else here


def _without(document: Mapping[str, Any], tree: Tree) -> dict[str, Any]:
    kept = {}
    for name, value in document.items():
        part = tree.get(name)
        if part is None and "." in name:
            part = named(tree, name)
        if part is None:
            kept[name] = value
        elif part:
            kept[name] = _without_in(value, part)
    return kept


def _without_on_sides(value: Any, tree: Tree) -> Any:
    """The same with less on its old and its new side; if fields may be called so, nobody can tell."""
    if isinstance(value, Mapping) and value.keys() <= _SIDES:
        return {side: _without_in(one, tree) for side, one in value.items()}
    return value


def _without_in(value: Any, tree: Tree) -> Any:
    """A value without what is meant; an item that is left out is null, and the others keep their places."""
    if isinstance(value, Mapping):
        return _without(value, tree)
    if isinstance(value, list) and _has_places(tree):
        parts = [_part_of_item(tree, place) for place in range(len(value))]
        return [_without_in(item, part) if part else None for item, part in zip(value, parts, strict=True)]
    if isinstance(value, list):
        return [_without_in(item, tree) for item in value]
    return value
