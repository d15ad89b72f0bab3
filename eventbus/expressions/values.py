"""Values of BSON as the expression language has them, and its results as values of BSON."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import isinf
from typing import Any, Final

from bson.binary import Binary
from bson.code import Code
from bson.datetime_ms import DatetimeMS
from bson.dbref import DBRef
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.timestamp import Timestamp

__all__ = ["kind_of", "to_bson", "to_cel"]

_LARGEST: Final = 2**63 - 1
_UUID: Final = 4
_UUID_BYTES: Final = 16


def to_cel(value: Any, *, nulls: bool = False) -> Any:
    """A value of a document as expressions see it.

    Args:
        value: As the driver decodes it.
        nulls: Whether fields inside of it that are null are kept; else they are as good as missing.
    """
    if type(value) in _AS_THEY_ARE:
        return value
    match value:
        case Mapping():
            fields = value.items()
            return {name: to_cel(inner, nulls=nulls) for name, inner in fields if nulls or inner is not None}
        case list() | tuple():
            return [to_cel(item, nulls=nulls) for item in value]
        case DBRef():
            return to_cel(dict(value.as_doc()), nulls=nulls)
        case _:
            return _BY_TYPE.get(type(value), str)(value)


_AS_THEY_ARE: Final = frozenset({type(None), bool, str, float, int})


def _datetime(value: datetime) -> datetime:
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


def _decimal(value: Decimal128) -> float | str:
    exact = value.to_decimal()
    approximate = float(exact)
    return str(exact) if isinf(approximate) and exact.is_finite() else approximate


def _binary(value: bytes) -> str:
    if isinstance(value, Binary) and value.subtype == _UUID and len(value) == _UUID_BYTES:
        return str(value.as_uuid())
    return b64encode(value).decode()


def _regex(value: Regex[Any]) -> str:
    return value.pattern if isinstance(value.pattern, str) else value.pattern.decode(errors="replace")


_BY_TYPE: Final[Mapping[type, Callable[[Any], Any]]] = {
    Int64: int,
    datetime: _datetime,
    ObjectId: str,
    Decimal128: _decimal,
    Decimal: lambda value: _decimal(Decimal128(value)),
    Binary: _binary,
    bytes: _binary,
    Timestamp: lambda value: datetime.fromtimestamp(value.time, UTC),
    DatetimeMS: int,  # of years that no timestamp has
    Regex: _regex,
    Code: str,
    MinKey: lambda _: "MinKey",
    MaxKey: lambda _: "MaxKey",
}


def to_bson(value: Any) -> Any:
    """A result as a document can hold it: the same bytes each time, for fields are in the order of names.

    Raises:
        ValueError: No document can hold it.
    """
    match value:
        case None | bool() | str() | float() | bytes() | datetime():
            return value
        case int():
            if not -_LARGEST - 1 <= value <= _LARGEST:
                raise ValueError("a whole number of more than 64 bits")
            return value
        case timedelta():
            return value.total_seconds()
        case Mapping():
            if not all(isinstance(name, str) for name in value):
                raise ValueError("a map whose keys are no texts")
            return {name: to_bson(value[name]) for name in sorted(value)}
        case list() | tuple():
            return [to_bson(item) for item in value]
        case _:
            raise ValueError(f"a value of type {type(value).__name__}")


def kind_of(value: Any) -> str:
    """What a value is, for messages, which must not show it."""
    for types, kind in _KINDS:
        if isinstance(value, types):
            return kind
    return f"a value of type {type(value).__name__}"


_KINDS: Final[tuple[tuple[tuple[type, ...], str], ...]] = (
    ((type(None),), "null"),
    ((bool,), "true or false"),
    ((str,), "text"),
    ((int, float, Decimal128), "a number"),
    ((datetime, DatetimeMS), "a date"),
    ((Mapping,), "an object"),
    ((list, tuple), "an array"),
)
