"""Rules about a field of the document."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeAlias

from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.objectid import ObjectId

from eventbus.canonical import canonical_value
from eventbus.expressions.patterns import is_found
from eventbus.expressions.values import kind_of
from eventbus.sdk import View
from eventbus.stages.validate.bounds import bound_for, bound_of
from eventbus.stages.validate.comparing import Incomparable, Op, compare
from eventbus.stages.validate.options import FieldRule, Length

__all__ = ["FieldCheck"]

_TYPES: Final[Mapping[str, type | tuple[type, ...]]] = {
    "string": str,
    "int": int,
    "double": float,
    "decimal": Decimal128,
    "number": (int, float, Decimal128),
    "bool": bool,
    "date": (datetime, DatetimeMS),
    "object_id": ObjectId,
    "array": list,
    "object": Mapping,
}


_Way: TypeAlias = Callable[[Any], str | None]
"""Says what is wrong with a value that is there."""


class FieldCheck:
    """Looks at every value of a field.

    Args:
        options: What the field must be like.
    """

    def __init__(self, options: FieldRule) -> None:
        self._path = options.path
        self._names = options.path.split(".")
        self._missing = "is missing" if options.required else None
        self._ways = list(_ways(options))

    def failure(self, view: View) -> str | None:
        """Why an event does not keep the rule; None if it does.

        Raises:
            EncodingError: The document cannot be read.
        """
        for value in _values(view.section("document"), self._names):
            wrong = self._missing if value is None else self._wrong(value)
            if wrong is not None:
                return f"{self._path} {wrong}"
        return None

    def _wrong(self, value: Any) -> str | None:
        return next((wrong for way in self._ways if (wrong := way(value)) is not None), None)


def _ways(options: FieldRule) -> Iterator[_Way]:
    """All that is asked of a value, what it is first."""
    if options.type is not None:
        yield partial(_wrong_type, options.type)
    if options.one_of:
        yield partial(_not_among, {canonical_value(value) for value in options.one_of})
    if options.min is not None:
        yield partial(_beyond, "gte", bound_of(options.min, options.type), "is less than min")
    if options.max is not None:
        yield partial(_beyond, "lte", bound_of(options.max, options.type), "is more than max")
    if options.matches is not None:
        yield partial(_unlike, options.matches)
    if options.length is not None:
        yield partial(_wrong_length, options.length)


def _values(value: Any, names: Sequence[str]) -> Iterator[Any]:
    """All values of a field; None for each place where it is missing. An array on the way has many places."""
    if not names:
        yield value
    elif isinstance(value, Mapping):
        yield from _values(value.get(names[0]), names[1:])
    elif isinstance(value, list) and names[0].isdecimal():
        index = int(names[0])
        yield from _values(value[index] if index < len(value) else None, names[1:])
    elif isinstance(value, list):
        for item in value:
            yield from _values(item, names)
    else:
        yield None


def _wrong_type(type_name: str, value: Any) -> str | None:
    is_so = type_name == "bool" if isinstance(value, bool) else isinstance(value, _TYPES[type_name])
    return None if is_so else f"is {kind_of(value)}, and not of type {type_name}"


def _not_among(allowed: Collection[bytes], value: Any) -> str | None:
    return None if canonical_value(value) in allowed else "is none of those in one_of"


def _beyond(op: Op, bound: Any, says: str, value: Any) -> str | None:
    try:
        return None if compare(value, op, bound_for(value, bound)) else says
    except Incomparable as error:
        return f"does not go with its bounds: {error}"


def _unlike(pattern: str, value: Any) -> str | None:
    if not isinstance(value, str):
        return f"is {kind_of(value)}, and no text that could match"
    return None if is_found(pattern, value) else "does not match"


def _wrong_length(length: Length, value: Any) -> str | None:
    if not isinstance(value, str | list):
        return f"is {kind_of(value)}, and has no length"
    if length.min is not None and len(value) < length.min:
        return "is too short"
    return "is too long" if length.max is not None and len(value) > length.max else None
