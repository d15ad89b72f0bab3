"""A value as one of another type, by rules that lose nothing silently: what does not fit is an error."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, DecimalException
from math import isfinite, isnan
from typing import Any, Final, Literal, TypeAlias

from bson import json_util
from bson.code import Code
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.errors import BSONError
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.timestamp import Timestamp

from eventbus.encoding.json import relaxed_json
from eventbus.expressions.values import kind_of, to_cel
from eventbus.sdk import EncodingError
from eventbus.stages.fields import UnfitValue
from eventbus.stages.moments import from_iso, from_millis, naive, to_iso, to_millis

__all__ = ["Kind", "converted", "decimal_of"]

Kind: TypeAlias = Literal[
    "string", "int", "double", "decimal", "bool", "date", "object_id", "array", "object"
]

_LARGEST: Final = 2**63 - 1
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,5})?")
_WORDS: Final = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
_JSON: Final = json_util.JSONOptions(tz_aware=False)
_OPENING: Final = '{"v":'


def converted(value: Any, kind: Kind) -> Any:
    """A value that is not null, as one of another type.

    Raises:
        UnfitValue: It has no such form, or would lose some of what it says.
    """
    try:
        result = _BY_KIND[kind](value)
    except (ValueError, OverflowError, DecimalException, BSONError, EncodingError, RecursionError):
        result = None
    if result is None:
        raise UnfitValue(f"{kind_of(value)} cannot become {kind}")
    return result


def decimal_of(value: Any) -> Decimal | None:
    """A number as people wrote it: 19.99 is 19.99. None for what is no number, or not a finite one."""
    match value:
        case bool():
            return None
        case int():
            return Decimal(value)
        case float():
            exact = Decimal(repr(value))
        case Decimal128():
            exact = value.to_decimal()
        case _:
            return None
    return exact if exact.is_finite() else None


def _by_type(value: Any, ways: Sequence[tuple[tuple[type, ...], Callable[[Any], Any]]]) -> Any:
    """What the first way gives that is meant for such a value; None if there is none."""
    return next((way(value) for types, way in ways if isinstance(value, types)), None)


def _string(value: Any) -> str | None:
    text: str | None = _by_type(value, _STRINGS)
    return text


def _not_finite(value: float) -> str:
    return "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _int(value: Any) -> int | None:
    if isinstance(value, int):
        return int(value) if isinstance(value, bool) else value
    if isinstance(value, str):
        text = value.strip()
        return _of_64_bits(int(text)) if _WHOLE.fullmatch(text) else None
    if isinstance(value, _TIMES):
        return to_millis(_date(value))
    number = decimal_of(value)
    if number is None or abs(number) > _LARGEST + 1 or number != number.to_integral_value():
        return None
    return _of_64_bits(int(number))


def _of_64_bits(number: int) -> int | None:
    return number if -_LARGEST - 1 <= number <= _LARGEST else None


def _double(value: Any) -> float | None:
    match value:
        case bool() | int() | float():
            return float(value)
        case Decimal128():
            exact = value.to_decimal()
            number = float(exact)
            return number if isfinite(number) or not exact.is_finite() else None
        case str():
            text = value.strip()
            number = float(text) if _NUMBER.fullmatch(text) else float("inf")
            return number if isfinite(number) else None
        case _ if isinstance(value, _TIMES):
            return float(to_millis(_date(value)))
        case _:
            return None


def _decimal(value: Any) -> Decimal128 | None:
    match value:
        case Decimal128():
            return value
        case bool() | int():
            return Decimal128(Decimal(int(value)))
        case float():
            return Decimal128(repr(value))
        case str():
            text = value.strip()
            return Decimal128(text) if _NUMBER.fullmatch(text) else None
        case _ if isinstance(value, _TIMES):
            return Decimal128(Decimal(to_millis(_date(value))))
        case _:
            return None


def _bool(value: Any) -> bool | None:
    match value:
        case bool():
            return value
        case int() | float():
            return value != 0
        case Decimal128():
            return value.to_decimal() != 0
        case str():
            return _WORDS.get(value.strip().lower())
        case _:
            return None


def _date(value: Any) -> Any:
    return None if isinstance(value, bool) else _by_type(value, _DATES)


def _of_number(value: Any) -> datetime | None:
    number = decimal_of(value)
    return from_millis(number) if number is not None else None


def _of_timestamp(value: Timestamp) -> datetime:
    return datetime(1970, 1, 1) + timedelta(seconds=value.time)  # noqa: DTZ001 - BSON's times are naive


def _object_id(value: Any) -> ObjectId | None:
    if isinstance(value, ObjectId):
        return value
    return ObjectId(value.strip()) if isinstance(value, str) else None


def _array(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    found = _of_json(value, "[")
    return found if isinstance(found, list) else [value]


def _object(value: Any) -> Mapping[str, Any] | None:
    found = value if isinstance(value, Mapping) else _of_json(value, "{")
    return found if isinstance(found, Mapping) else None


def _of_json(value: Any, opening: str) -> Any:
    """What a text of Extended JSON says; None if it is none."""
    if not isinstance(value, str) or not value.lstrip().startswith(opening):
        return None
    try:
        return json_util.loads(value, json_options=_JSON)
    except (ValueError, TypeError, KeyError, ArithmeticError, BSONError, RecursionError):
        return None


_TIMES: Final = (datetime, DatetimeMS, Timestamp)
_STRINGS: Final = (
    ((Code, ObjectId, bytes, Regex), lambda value: str(to_cel(value))),
    ((str,), lambda value: value),
    ((bool,), lambda value: "true" if value else "false"),
    ((int,), lambda value: str(int(value))),
    ((float,), lambda value: repr(value) if isfinite(value) else _not_finite(value)),
    ((Decimal128,), str),
    ((datetime,), to_iso),
    ((Timestamp,), lambda value: to_iso(_of_timestamp(value))),
    ((Mapping, list), lambda value: relaxed_json({"v": value}).decode()[len(_OPENING) : -1]),
)
_DATES: Final = (
    ((datetime,), naive),
    ((DatetimeMS,), lambda value: value),
    ((int, float, Decimal128), _of_number),
    ((str,), lambda value: from_iso(value, UTC)),
    ((ObjectId,), lambda value: naive(value.generation_time)),
    ((Timestamp,), _of_timestamp),
)
_BY_KIND: Final[Mapping[Kind, Callable[[Any], Any]]] = {
    "string": _string,
    "int": _int,
    "double": _double,
    "decimal": _decimal,
    "bool": _bool,
    "date": _date,
    "object_id": _object_id,
    "array": _array,
    "object": _object,
}
