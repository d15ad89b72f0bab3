"""What an update set or removed, by path, for stages that move fields or make new ones.

A path of ``changed`` may end above a field, at it or below it; with ``delta: true`` each value has two sides,
an old and a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from eventbus.stages.targets import set_in

__all__ = ["MISSING", "found_at", "has_sides", "mapped_details", "placed", "value_in", "without"]

MISSING: Final = object()
"""What is at a path where nothing is; null is something."""

_SIDES: Final = frozenset({"old", "new"})
_PATHS_BY_FIELD: Final = "truncated_arrays"
_PATHS_BY_KEY: Final = "disambiguated_paths"


def value_in(value: Any, names: Sequence[str]) -> Any:
    """What is at a path within objects, or `MISSING`. It does not reach into arrays."""
    for name in names:
        if not isinstance(value, Mapping) or name not in value:
            return MISSING
        value = value[name]
    return value


def without(value: Any, names: Sequence[str]) -> Any:
    """The same value without what is at a path within objects."""
    if not isinstance(value, Mapping) or names[0] not in value:
        return value
    first, *rest = names
    if rest:
        return {**value, first: without(value[first], rest)}
    return {name: inner for name, inner in value.items() if name != first}


def has_sides(value: Any, below: str | None = None) -> bool:
    """Whether a value of ``changed`` has an old and a new side.

    Args:
        value: The value.
        below: The name that is looked for within it; fields may be called ``old`` and ``new``, too.
    """
    return isinstance(value, Mapping) and bool(value) and value.keys() <= _SIDES and below not in _SIDES


def found_at(changed: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    """What an update set at a field and below it.

    Yields:
        The rest of the path, such as ``.city``, and the value; of what was set above the field, its part.
    """
    for key, value in changed.items():
        if key == path:
            yield "", value
        elif key.startswith(f"{path}."):
            yield key[len(path) :], value
        elif path.startswith(f"{key}."):
            part = _part(value, path[len(key) + 1 :].split("."))
            if part is not MISSING:
                yield "", part


def _part(value: Any, names: Sequence[str]) -> Any:
    if not has_sides(value, names[0]):
        return value_in(value, names)
    parts = {side: value_in(one, names) for side, one in value.items()}
    return {side: part for side, part in parts.items() if part is not MISSING} or MISSING


def placed(changed: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """What an update set, and a value at one more path: within what was set above it, where there is such.

    Raises:
        StageError: What is above it is no object.
    """
    for key, above in changed.items():
        if path.startswith(f"{key}."):
            return {**changed, key: _put(above, path[len(key) + 1 :].split("."), value, path)}
    return {**changed, path: value}


def _put(above: Any, names: list[str], value: Any, path: str) -> Any:
    if not has_sides(above, names[0]):
        return set_in(above, names, value, path)
    values = value if has_sides(value) else {"new": value}
    return {
        side: set_in(one, names, values[side], path) if side in values else one for side, one in above.items()
    }


def mapped_details(details: Mapping[str, Any], mapped: Callable[[str], str | None]) -> dict[str, Any]:
    """What else is told of a change, its paths as they are called now.

    Args:
        details: See `eventbus.model.Event`.
        mapped: The new path of a path; None if it is no more.
    """
    found = dict(details)
    if _PATHS_BY_FIELD in found:
        arrays = [{**one, "field": mapped(one["field"])} for one in found[_PATHS_BY_FIELD]]
        found[_PATHS_BY_FIELD] = [one for one in arrays if one["field"] is not None]
    if _PATHS_BY_KEY in found:
        paths = ((path, mapped(path), steps) for path, steps in found[_PATHS_BY_KEY].items())
        found[_PATHS_BY_KEY] = {
            new: steps if new == path else _steps(new, steps) for path, new, steps in paths if new is not None
        }
    return found


def _steps(path: str, steps: Sequence[Any]) -> list[Any]:
    """The steps of a new path: what is the same at the end is as it was, a name of digits or an index."""
    names: list[Any] = path.split(".")
    for back in range(1, min(len(names), len(steps)) + 1):
        if str(steps[-back]) != names[-back]:
            break
        names[-back] = steps[-back]
    return names
