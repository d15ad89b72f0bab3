"""Values of BSON as MongoDB compares them: numbers exactly and across their types, others never."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from math import isnan
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Final, Literal, TypeAlias

from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.objectid import ObjectId
from bson.timestamp import Timestamp

from eventbus.canonical import canonical_value
from eventbus.expressions.values import kind_of
from eventbus.stages.moments import to_millis

__all__ = ["Incomparable", "Op", "comparable", "compare"]

Op: TypeAlias = Literal["eq", "ne", "gt", "gte", "lt", "lte"]

_OPERATORS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "eq": eq,
    "ne": ne,
    "gt": gt,
    "gte": ge,
    "lt": lt,
    "lte": le,
}
_ONLY_EQUAL: Final = frozenset({"eq", "ne"})


class Incomparable(Exception):
    """Two values cannot be compared; the text says what they are, and does not show them."""


def compare(ours: Any, op: Op, theirs: Any) -> bool:
    """Whether a comparison of two values holds.

    Raises:
        Incomparable: They are of different types, or have no order, or one is not a number (NaN).
    """
    our_kind, our_value = comparable(ours)
    their_kind, their_value = comparable(theirs)
    if our_kind != their_kind:
        raise Incomparable(f"{our_kind} and {their_kind}")
    if our_value is not None and their_value is not None:
        return _OPERATORS[op](our_value, their_value)
    if op not in _ONLY_EQUAL:
        raise Incomparable(f"{our_kind} has no order")
    return _OPERATORS[op](canonical_value(ours), canonical_value(theirs))


def comparable(value: Any) -> tuple[str, Any]:
    """What a value is, and what stands for it in comparisons within its type; None if it has no order.

    Raises:
        Incomparable: It is NaN.
    """
    match value:
        case bool() | str():
            return kind_of(value), value
        case int() | float() | Decimal128():
            number = value.to_decimal() if isinstance(value, Decimal128) else value
            if (
                number.is_nan()
                if isinstance(number, Decimal)
                else isinstance(number, float) and isnan(number)
            ):
                raise Incomparable("NaN is no number that could be compared")
            return kind_of(value), number  # of different types Python compares them exactly
        case datetime() | DatetimeMS():
            return kind_of(value), to_millis(value)
        case Timestamp():
            return "a timestamp", (value.time, value.inc)
        case ObjectId():
            return "an ObjectId", value.binary
        case _:
            return kind_of(value), None
