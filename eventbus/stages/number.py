"""Rounds numbers, puts them into other currencies, compares them with others, and sorts them into ranges."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Final, Self

from bson.decimal128 import Decimal128
from pydantic import Field, model_validator

from eventbus.sdk import Options, StageContext
from eventbus.stages.fields import Around, FieldPaths, FieldStage, OnInvalid, UnfitValue, has_one_field
from eventbus.stages.numbers import Mode, WrittenNumber, exchanged, number_in, percentage, rounded, typed
from eventbus.stages.targets import FieldPath, Target, names_set

__all__ = ["Band", "Currency", "Number", "NumberOptions", "Rounding"]

_RESULTS: Final = ("currency", "percentage_of", "ranges")


class Rounding(Options):
    """How results are rounded."""

    digits: Annotated[int, Field(ge=-30, le=30)] = 0
    """How many digits behind the point are left; -3 rounds to thousands."""
    mode: Mode = "half_even"
    """Where to: `half_even`, `half_up` and `half_down` to the nearest, and a half to the even digit, away
    from 0 or towards it; `up` away from 0, `down` towards it; `ceiling`; `floor`."""


class Currency(Options):
    """From which currency into which."""

    from_: str | None = Field(default=None, alias="from")
    """The code of the amount's currency, such as `USD`."""
    from_field: FieldPath | None = None
    """In place of it: the field that holds the code."""
    to: str
    """The code of the currency of the result."""
    rates: Annotated[dict[str, Annotated[WrittenNumber, Field(gt=0)]], Field(min_length=1)]
    """By code: how much of each currency one unit of the same base is worth: `{EUR: 1, USD: "1.0842"}`."""

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if (self.from_ is None) == (self.from_field is None):
            raise ValueError("say where the amount's currency is told: from, or from_field")
        for code in (self.from_, self.to):
            if code is not None and code not in self.rates:
                raise ValueError(f"rates has no {code}")
        return self


class Band(Options):
    """One range."""

    below: WrittenNumber
    """Numbers below this one that no earlier range has."""
    label: Any
    """What the result is for them."""


class NumberOptions(Options):
    """What is made of which numbers."""

    fields: FieldPaths
    """Paths of numbers, which reach into arrays."""
    round: Rounding | None = None
    """How the number, or the result of one of the next two, is rounded."""
    currency: Currency | None = None
    """From which currency into which; the result is a Decimal128."""
    percentage_of: FieldPath | None = None
    """The field of which it is a part, in hundredths."""
    ranges: Annotated[list[Band], Field(min_length=1)] | None = None
    """A label for each range, the lowest first."""
    otherwise: Any = None
    """With `ranges`: the label of what lies in none."""
    target: Target | None = None
    """Where the result goes, of one field: a field such as `document.share`, or a name; by default its own
    place."""
    on_invalid: OnInvalid = "fail"
    """What becomes of a value that is no number, or has no result: `fail` makes the event a dead letter,
    `null` puts null there, `keep` leaves it."""

    @model_validator(mode="after")
    def _has_one_result(self) -> Self:
        results = [name for name in _RESULTS if getattr(self, name) is not None]
        if len(results) > 1:
            raise ValueError(f"expected one of {', '.join(_RESULTS)}, got {' and '.join(results)}")
        if not results and self.round is None:
            raise ValueError(f"say what is made of it: round, {', '.join(_RESULTS)}")
        if self.ranges is not None and self.round is not None:
            raise ValueError("a label of ranges cannot be rounded")
        if self.ranges is None and self.otherwise is not None:
            raise ValueError("otherwise belongs to ranges")
        self._check_ranges()
        has_one_field(self.fields, self.target)
        return self

    def _check_ranges(self) -> None:
        bounds = [band.below for band in self.ranges or ()]
        if bounds != sorted(set(bounds)):
            raise ValueError("the ranges must go up: each below a larger number than the one before")


class Number(FieldStage):
    """Makes something of numbers.

    Args:
        options: What, of which.
        context: What every stage is given.
    """

    name = "number"
    Options = NumberOptions

    def __init__(self, options: NumberOptions, context: StageContext) -> None:
        super().__init__(context, options.fields, options.target, options.on_invalid)
        self._rounding = options.round
        self._currency = options.currency
        self._whole = options.percentage_of
        self._ranges = options.ranges
        self._otherwise = options.otherwise

    @staticmethod
    def sets(options: NumberOptions) -> Iterator[str]:
        """The name that its events have from there on, if it is one."""
        return names_set([options.target] if options.target is not None else [])

    def made(self, value: Any, around: Around) -> Any:
        """See `FieldStage`."""
        number = number_in(value)
        if self._ranges is not None:
            labels = (band.label for band in self._ranges if number < band.below)
            return next(labels, self._otherwise)
        if self._currency is not None:
            return typed(self._rounded(_exchanged(number, self._currency, around)), Decimal128)
        if self._whole is not None:
            return self._percentage(value, number, self._whole, around)
        result = self._rounded(number)
        return value if result == number and not isinstance(value, Decimal128) else typed(result, value)

    def _percentage(self, value: Any, number: Decimal, path: str, around: Around) -> Any:
        beside = around.beside(path)
        try:
            whole = number_in(beside)
        except UnfitValue:
            raise UnfitValue(f"{path}, of which it is a part, is no finite number") from None
        if whole == 0:
            raise UnfitValue(f"{path}, of which it is a part, is 0")
        is_exact = isinstance(value, Decimal128) or isinstance(beside, Decimal128)
        return typed(self._rounded(percentage(number, whole)), Decimal128 if is_exact else 0.0)

    def _rounded(self, number: Decimal) -> Decimal:
        rounding = self._rounding
        return number if rounding is None else rounded(number, rounding.digits, rounding.mode)


def _exchanged(amount: Decimal, currency: Currency, around: Around) -> Decimal:
    code = currency.from_ if currency.from_field is None else around.beside(currency.from_field)
    if not isinstance(code, str):
        raise UnfitValue(f"{currency.from_field} names no currency")
    if code not in currency.rates:
        raise UnfitValue(f"{currency.from_field} names a currency that rates has not")
    return exchanged(amount, currency.rates[code], currency.rates[currency.to])
