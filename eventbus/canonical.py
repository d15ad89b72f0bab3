"""Canonical JSON of a key: equal keys give equal bytes, whatever BSON types their numbers have.

MongoDB holds that 1, 1.0, NumberLong(1) and NumberDecimal("1") are one ``_id``. Ordering is promised for a
key, so all of them must give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Context, Decimal
from typing import Any

import bson
import bsonjs
import orjson
from bson.decimal128 import Decimal128
from bson.errors import InvalidBSON

__all__ = ["EXACT_IN_JSON", "canonical_json", "canonical_value", "integer_id"]

_OBJECT_ID = 0x07


def canonical_json(value: object) -> bytes:
    """Canonical bytes of a value, or of a document given as raw BSON.

    Args:
        value: Raw BSON of a document, or any value that BSON can hold.

    Returns:
        Compact UTF-8 JSON. Numbers that MongoDB compares as equal are written alike; other BSON types are
        written as canonical Extended JSON. What cannot be decoded is written as ``{"$bson": hexadecimal}``.
    """
    if isinstance(value, bytes):
        return _of_raw(value)
    return orjson.dumps(_plain(value))


def canonical_value(value: object) -> bytes:
    """Canonical bytes of one value, binary data included, in the same form as within a document."""
    return orjson.dumps(_plain(value))


def integer_id(raw: bytes) -> int | None:
    """The ``_id`` of a raw document that holds nothing else, if it is an integer: found without decoding."""
    size = len(raw)
    if size == _INT32_SIZE and raw.startswith(_INT32_FIELD, 4):
        return int.from_bytes(raw[9:13], "little", signed=True)
    if size == _INT64_SIZE and raw.startswith(_INT64_FIELD, 4):
        return int.from_bytes(raw[9:17], "little", signed=True)
    return None


_INT32_SIZE, _INT32_FIELD = 14, b"\x10_id\0"
_INT64_SIZE, _INT64_FIELD = 18, b"\x12_id\0"


def _of_raw(raw: bytes) -> bytes:
    if len(raw) == 22 and raw[4] == _OBJECT_ID and raw[5:9] == b"_id\0":
        return b'{"_id":{"$oid":"%b"}}' % raw[9:21].hex().encode()
    number = integer_id(raw)
    if number is not None and -EXACT_IN_JSON <= number <= EXACT_IN_JSON:
        return b'{"_id":%d}' % number
    try:
        return orjson.dumps(_plain(bson.decode(raw, _OPTIONS)))
    except (InvalidBSON, orjson.JSONEncodeError):
        # The server stores text that is not UTF-8, and deep nesting. Such a key must have its order, too.
        return orjson.dumps({"$bson": raw.hex()})


_OPTIONS: bson.CodecOptions[dict[str, Any]] = bson.CodecOptions(
    document_class=dict, tz_aware=True, datetime_conversion=bson.DatetimeConversion.DATETIME_MS
)


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | str():
            return value
        case int() | float() | Decimal128() | Decimal():
            return _number(value)
        case Mapping():
            return {key: _plain(item) for key, item in value.items()}
        case Sequence() if not isinstance(value, bytes):
            return [_plain(item) for item in value]
        case _:
            wrapped = bsonjs.dumps(bson.encode({"v": value}), mode=bsonjs.CANONICAL)
            return orjson.loads(wrapped)["v"]


def _number(value: float | Decimal | Decimal128) -> object:
    """One form for each number, chosen by its exact value and not by its type."""
    exact = value.to_decimal() if isinstance(value, Decimal128) else Decimal(value)
    if not exact.is_finite():
        return {"$number": "NaN" if exact.is_nan() else str(exact)}
    if abs(exact) <= EXACT_IN_JSON and exact == exact.to_integral_value():
        return int(exact)
    approximate = float(exact)
    if exact != exact.to_integral_value() and Decimal(approximate) == exact:
        return approximate
    return {"$number": str(exact.normalize(_CONTEXT))}


EXACT_IN_JSON = 2**53
"""Up to here, and down to its negative, every reader of JSON has integers as they are."""
_CONTEXT = Context(prec=800)  # more digits than any double or Decimal128 has
