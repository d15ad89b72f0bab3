"""Fields that get another path, all at once, wherever an event tells of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from eventbus.stages.changes import MISSING, found_at, has_sides, placed, value_in, without
from eventbus.stages.each import StageError
from eventbus.stages.targets import set_in

__all__ = ["Moves"]


class Moves:
    """Old and new paths. What is moved is taken out first, so fields may change places.

    Args:
        paths: New paths by old ones; no old one lies within another, nor a new one within another.
        keeps_old: Whether the fields also stay where they were.
    """

    def __init__(self, paths: Mapping[str, str], *, keeps_old: bool = False) -> None:
        self._paths = paths
        self._keeps_old = keeps_old

    def in_document(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """A document with its fields at their new paths.

        Raises:
            StageError: There is something at a new path already, or above it something that is no object.
        """
        found = [(old, new, value_in(document, old.split("."))) for old, new in self._paths.items()]
        taken = [move for move in found if move[2] is not MISSING]
        if not self._keeps_old:
            for old, _, _ in taken:
                document = without(document, old.split("."))
        for old, new, value in taken:
            names = new.split(".")
            if value_in(document, names) is not MISSING:
                raise StageError(f"{old}: {new} is there already")
            document = set_in(document, names, value, new)
        return document

    def in_changed(self, changed: Mapping[str, Any]) -> Mapping[str, Any]:
        """What an update set, by the new paths.

        Raises:
            StageError: As above.
        """
        taken = [
            (old, new + rest, value)
            for old, new in self._paths.items()
            for rest, value in found_at(changed, old)
        ]
        if not taken:
            return changed
        for old in self._paths:
            changed = _left(changed, old)
        for old, path, value in taken:
            if any(True for _ in found_at(changed, path)):
                raise StageError(f"{old}: {path} is there already")
            changed = placed(changed, path, value)
        return changed

    def in_removed(self, removed: Sequence[str]) -> list[str]:
        """The paths that an update removed, as they are called now; with a field goes what was moved out."""
        return list(dict.fromkeys(path for old in removed for path in self._gone(old)))

    def path(self, path: str) -> str:
        """The new path of what is at a path."""
        for old, new in self._paths.items():
            if path == old or path.startswith(f"{old}."):
                return new + path[len(old) :]
        return path

    def _gone(self, path: str) -> Iterator[str]:
        moved = self.path(path)
        if moved != path or not any(
            path == new or path.startswith(f"{new}.") for new in self._paths.values()
        ):
            yield moved  # what was called like something that is moved there now is told no more
        for old, new in self._paths.items():
            if old.startswith(f"{path}.") and not new.startswith(f"{path}."):
                yield new


def _left(changed: Mapping[str, Any], path: str) -> dict[str, Any]:
    """What an update set, without a field."""
    left = {}
    for key, value in changed.items():
        if path.startswith(f"{key}."):
            names = path[len(key) + 1 :].split(".")
            is_twofold = has_sides(value, names[0])
            left[key] = (
                {side: without(one, names) for side, one in value.items()}
                if is_twofold
                else without(value, names)
            )
        elif key != path and not key.startswith(f"{path}."):
            left[key] = value
    return left
