"""Least and greatest values as they are written, and what they stand for."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from math import isnan
from typing import Annotated, Any, TypeAlias

from bson.decimal128 import Decimal128
from pydantic import StrictFloat, StrictInt, StrictStr

from eventbus.stages.moments import from_iso

__all__ = ["Bound", "bound_for", "bound_of", "kind_of_bound"]

Bound: TypeAlias = Annotated[StrictInt | StrictFloat | StrictStr, "a number or a text"]

_NUMBERS = frozenset({"int", "double", "decimal", "number"})


def kind_of_bound(name: str, bound: Bound, type_name: str | None) -> str:
    """What a bound is.

    Args:
        name: ``min`` or ``max``.
        bound: What was written.
        type_name: The type that the field must have, if one was written.

    Raises:
        ValueError: It does not go with that type.
    """
    is_text = isinstance(bound, str)
    if isinstance(bound, float) and isnan(bound):
        raise ValueError(f"{name} is no number")
    match type_name:
        case None:
            return "a text" if is_text else "a number"
        case "date":
            try:
                from_iso(str(bound), UTC)
            except (ValueError, OverflowError):
                raise ValueError(f'{name} must be a date, such as "2024-05-01T00:00:00Z"') from None
            return "a date"
        case "string":
            if not is_text:
                raise ValueError(f"{name} must be a text, since type is string (put it in quotes)")
            return "a text"
        case _ if type_name in _NUMBERS:
            if is_text:
                raise ValueError(f"{name} must be a number, since type is {type_name}")
            return "a number"
        case _:
            raise ValueError(f"{name} is for numbers, texts and dates, and type is {type_name}")


def bound_of(bound: Bound, type_name: str | None) -> Any:
    """The value that a bound stands for."""
    return from_iso(str(bound), UTC) if type_name == "date" else bound


def bound_for(value: Any, bound: float | str | datetime) -> Any:
    """What a value is compared with: 0.1 is the nearest double to a double, and exact to a decimal."""
    if isinstance(value, Decimal128) and isinstance(bound, float):
        return Decimal128(Decimal(repr(bound)))
    return bound
