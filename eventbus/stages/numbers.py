"""Arithmetic on numbers of documents as people write them: 19.99 is 19.99, and a result is rounded once."""

from __future__ import annotations

import decimal
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, TypeAlias

from bson.decimal128 import Decimal128
from pydantic import BeforeValidator, WithJsonSchema

from eventbus.expressions.values import kind_of
from eventbus.stages.conversion import decimal_of
from eventbus.stages.fields import UnfitValue

__all__ = ["Mode", "WrittenNumber", "exchanged", "number_in", "percentage", "rounded", "typed"]

Mode: TypeAlias = Literal["half_even", "half_up", "half_down", "up", "down", "ceiling", "floor"]

_MODES: Final[Mapping[Mode, str]] = {
    "half_even": decimal.ROUND_HALF_EVEN,
    "half_up": decimal.ROUND_HALF_UP,
    "half_down": decimal.ROUND_HALF_DOWN,
    "up": decimal.ROUND_UP,
    "down": decimal.ROUND_DOWN,
    "ceiling": decimal.ROUND_CEILING,
    "floor": decimal.ROUND_FLOOR,
}
_DIGITS: Final = 34
"""So many a Decimal128 has."""
_FINE: Final = decimal.Context(
    prec=3 * _DIGITS, traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow]
)
"""Products of numbers of 34 digits are exact in it."""
_OF_DECIMAL128: Final = decimal.Context(prec=_DIGITS, rounding=decimal.ROUND_HALF_EVEN, Emin=-6143, Emax=6144)
_LARGEST: Final = 2**63


def _written(value: Any) -> Decimal:
    exact = decimal_of(value)
    if isinstance(value, str):
        try:
            exact = Decimal(value)
        except decimal.InvalidOperation:
            exact = None
    if exact is None or not exact.is_finite() or len(exact.as_tuple().digits) > _DIGITS:
        raise ValueError(f"expected a number of at most {_DIGITS} digits, got {value!r}")
    return exact


WrittenNumber = Annotated[
    Decimal,
    BeforeValidator(_written),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number"},
                {"type": "string", "pattern": r"^[+-]?[0-9]*\.?[0-9]+([eE][+-]?[0-9]+)?$"},
            ]
        }
    ),
]
"""A number of a configuration, exactly as it is written; in quotes no digit is lost."""


def number_in(value: Any) -> Decimal:
    """A number of a document as it is written.

    Raises:
        UnfitValue: It is none, or not a finite one.
    """
    exact = decimal_of(value)
    if exact is None:
        raise UnfitValue(f"{kind_of(value)} is no finite number")
    return exact


def exchanged(amount: Decimal, rate: Decimal, into: Decimal) -> Decimal:
    """An amount in another currency.

    Args:
        amount: In the one currency.
        rate: How much of that currency is worth one unit of some base.
        into: How much of the other currency is.
    """
    return _FINE.divide(_FINE.multiply(amount, into), rate)


def percentage(part: Decimal, whole: Decimal) -> Decimal:
    """How many hundredths of a whole, which is not 0, a part is."""
    return _FINE.divide(_FINE.multiply(part, Decimal(100)), whole)


def rounded(number: Decimal, digits: int, mode: Mode) -> Decimal:
    """A number with so many digits behind the point; before it, if they are negative."""
    step = Decimal(1).scaleb(-digits)
    try:
        return number.quantize(step, rounding=_MODES[mode], context=_FINE)
    except decimal.InvalidOperation:
        return number  # one of so many digits before the point that there are none behind it


def typed(number: Decimal, like: Any) -> Any:
    """A result in the type of a number of a document.

    Raises:
        UnfitValue: It has no place there.
    """
    match like:
        case int():
            if abs(number) >= _LARGEST:
                raise UnfitValue("the result has more than 64 bits")
            return int(number)
        case float():
            return float(number)
        case _:
            return _decimal128(number)


def _decimal128(number: Decimal) -> Decimal128:
    context = _OF_DECIMAL128.copy()
    context.clear_traps()
    fitted = context.create_decimal(number)
    if not fitted.is_finite():
        raise UnfitValue("the result is too large for Decimal128")
    return Decimal128(fitted)
