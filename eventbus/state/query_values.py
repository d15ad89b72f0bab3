"""The values that a query compares with: read from relaxed Extended JSON, and put into an order.

Values are compared only with values of their own kind, as MongoDB does it; numbers of all types are one kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from math import isnan
from typing import Any, Final, TypeAlias

from bson import Binary, Decimal128, Int64, ObjectId, Timestamp, json_util
from bson.binary import UuidRepresentation
from bson.codec_options import DatetimeConversion
from bson.datetime_ms import DatetimeMS
from bson.errors import BSONError
from bson.json_util import JSONOptions

__all__ = ["Comparable", "Kind", "comparable", "decoded"]

Comparable: TypeAlias = tuple[str, Any]
"""The kind of a value, and what orders it among its kind."""

_EXTENDED_JSON: Final = JSONOptions(
    tz_aware=True,
    uuid_representation=UuidRepresentation.UNSPECIFIED,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)
_LARGEST: Final = 2**63 - 1


class Kind(StrEnum):
    """What a field holds; the value says how to write one."""

    TEXT = "a text"
    NUMBER = "a number"
    TIME = 'a time, such as {"$date": "2026-01-31T12:00:00Z"}'
    CLUSTER_TIME = 'a cluster time, such as {"$timestamp": {"t": 1767225600, "i": 1}}'
    TRUTH = "true or false"
    ANY = "a text, a number, true, false, an {$oid}, a {$date}, a {$uuid} or another single value"


_KINDS: Final = {
    Kind.TEXT: "text",
    Kind.NUMBER: "number",
    Kind.TIME: "time",
    Kind.CLUSTER_TIME: "timestamp",
    Kind.TRUTH: "truth",
}


def decoded(raw: Any, kind: Kind) -> Any:
    """A value that both stores can compare with fields of a kind; None stays None.

    Raises:
        ValueError: It is no such value.
    """
    try:
        value = _decoded(raw)
    except (ValueError, TypeError, ArithmeticError, KeyError, BSONError) as error:
        raise ValueError(f"{kind.value} is expected, and this is no Extended JSON: {error}") from None
    if value is None:
        return None
    order = comparable(value)
    if order is None or _KINDS.get(kind, order[0]) != order[0] or not _is_storable(value):
        raise ValueError(f"{kind.value} is expected")
    return value


def comparable(value: Any) -> Comparable | None:
    """What puts a value into its order; None for what nothing is compared with, such as documents and NaN."""
    place = _ORDERS.get(type(value))
    return None if place is None else place(value)


def _decoded(raw: Any) -> Any:
    if isinstance(raw, Mapping):
        return json_util.object_hook({name: _decoded(value) for name, value in raw.items()}, _EXTENDED_JSON)
    return raw


def _number(value: float | Decimal128) -> Comparable | None:
    number: float | Decimal = value.to_decimal() if isinstance(value, Decimal128) else value
    is_nan = number.is_nan() if isinstance(number, Decimal) else isnan(number)
    return None if is_nan else ("number", number)


def _binary(value: bytes) -> Comparable:
    return "binary", (len(value), value.subtype if isinstance(value, Binary) else 0, bytes(value))


def _is_storable(value: Any) -> bool:
    """Whether BSON has it: no half surrogate pairs, no number beyond 64 bits."""
    if isinstance(value, str):
        return not any("\ud800" <= char <= "\udfff" for char in value)
    return not isinstance(value, int) or -_LARGEST - 1 <= value <= _LARGEST


_ORDERS: Final[Mapping[type, Callable[[Any], Comparable | None]]] = {
    bool: lambda value: ("truth", value),
    **dict.fromkeys((int, float, Int64, Decimal128), _number),
    str: lambda value: ("text", value),
    **dict.fromkeys((bytes, Binary), _binary),
    ObjectId: lambda value: ("id", value.binary),
    datetime: lambda value: ("time", int(DatetimeMS(value))),
    DatetimeMS: lambda value: ("time", int(value)),
    Timestamp: lambda value: ("timestamp", (value.time, value.inc)),
}
"""By exact type: code, for one, is a text to Python only."""
