"""Relaxed Extended JSON of a document, as fast as C allows and valid whatever the document holds.

The drivers' own printers are not used for whole documents. On an order of 485 bytes, bsonjs takes 15 µs and
writes 689 bytes; decoding and orjson take 8 µs and write 503 (a string of a megabyte: 18 ms and 0.14 ms).
bsonjs also writes 19.99 as 19.989999999999998437, breaks off in the middle of a document that is nested
deeper than 200 levels without saying so, and writes years beyond 9999 as text, which readers of Extended
JSON refuse. It still prints the rare types here, one value at a time.

What is not told apart, since the decoder does not: a value of the deprecated types undefined, symbol and
DBPointer reads as null, as a string and as a DBRef; of a field that a document holds twice, the last stays.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from math import isfinite, isnan
from typing import Any, Final

import bson
import bsonjs
import orjson
from bson.binary import Binary
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.errors import BSONError, InvalidDocument
from bson.int64 import Int64
from bson.objectid import ObjectId
from bson.raw_bson import RawBSONDocument
from bson.timestamp import Timestamp

from eventbus.canonical import integer_id
from eventbus.errors import EncodingError
from eventbus.model import Section

__all__ = ["WRITING", "decoded", "extended", "may_hold_nan", "non_finite", "relaxed_json"]


def relaxed_json(section: Section) -> bytes:
    """Compact UTF-8 JSON of a document, or of nothing.

    Args:
        section: Raw BSON, a decoded document, or None.

    Raises:
        EncodingError: The bytes are no BSON, or hold text that is not UTF-8, or a value has no JSON form.
    """
    if section is None:
        return b"null"
    if not isinstance(section, bytes):
        return _with_finite_numbers(section, _written(section))
    if len(section) <= _ID_DOCUMENT_SIZE:
        if section.startswith(_OBJECT_ID_FIELD, 4) and len(section) == _ID_DOCUMENT_SIZE:
            return b'{"_id":{"$oid":"%b"}}' % section[9:21].hex().encode()
        number = integer_id(section)
        if number is not None:
            return b'{"_id":%d}' % number
    document = decoded(section)
    text = _written(document)
    return _with_finite_numbers(document, text) if may_hold_nan(section) else text


_ID_DOCUMENT_SIZE: Final = 22
_OBJECT_ID_FIELD: Final = b"\x07_id\0"


def may_hold_nan(raw: bytes) -> bool:
    """Whether some bytes look like the end of a double that is NaN or infinite; ordinary text never does."""
    return (0x7F in raw or 0xFF in raw) and _NOT_FINITE.search(raw) is not None


_NOT_FINITE: Final = re.compile(rb"[\xf0-\xff][\x7f\xff]")

_DECODING: Final = bson.CodecOptions[dict[str, Any]](
    document_class=dict, tz_aware=False, datetime_conversion=bson.DatetimeConversion.DATETIME_AUTO
)
WRITING: Final = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS


def decoded(raw: bytes) -> dict[str, Any]:
    """The document, with every value in the driver's type for it.

    Raises:
        EncodingError: The bytes are no BSON, or hold text that is not UTF-8.
    """
    try:
        return bson.decode(raw, _DECODING)
    except BSONError as error:
        raise EncodingError(f"not valid BSON: {error}") from error
    except RecursionError as error:
        raise EncodingError("not valid BSON: nested too deeply") from error


def _written(document: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(document, extended, WRITING)
    except orjson.JSONEncodeError as error:
        raise EncodingError(f"no JSON form: {error.__cause__ or error}") from error


def _with_finite_numbers(document: Mapping[str, Any], text: bytes) -> bytes:
    """Written again if need be: orjson writes NaN and the infinities as null."""
    return _written(_finite(document)) if b"null" in text else text


def _finite(value: Any) -> Any:
    """The same value with NaN and the infinities spelled out."""
    match value:
        case float() if not isfinite(value):
            return non_finite(value)
        case Mapping():
            return {key: _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
        case _:
            return value


def non_finite(value: float) -> Any:
    """NaN or an infinity in Extended JSON."""
    return {"$numberDouble": "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"}


def extended(value: Any) -> Any:
    """What orjson is to write for a value that it does not know."""
    known = _BY_TYPE.get(type(value))
    return known(value) if known is not None else _rare(value)


def _object_id(value: ObjectId) -> Any:
    return {"$oid": value.binary.hex()}


def _datetime(value: datetime) -> Any:
    """Text from 1970 to 9999, else a number, as the specification of Extended JSON has it."""
    if value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    if value < _EPOCH:
        return {"$date": {"$numberLong": str((value - _EPOCH) // timedelta(milliseconds=1))}}
    text = orjson.dumps(value, option=orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z)
    if value.microsecond:
        text = text[:-5] + b'Z"' if value.microsecond >= 1000 else text[:-9] + b'Z"'
    return orjson.Fragment(b'{"$date":%b}' % text)


_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - BSON decodes to naive times, which are UTC


def _datetime_ms(value: DatetimeMS) -> Any:
    if 0 <= int(value) <= _LAST_AS_TEXT:
        return _datetime(value.as_datetime(_DECODING))
    return {"$date": {"$numberLong": str(int(value))}}


_LAST_AS_TEXT: Final = 253_402_300_799_999


def _decimal(value: Decimal128) -> Any:
    return orjson.loads(bsonjs.dumps(b"\x18\0\0\0\x13v\0%b\0" % value.bid, mode=bsonjs.RELAXED))["v"]


def _binary(value: bytes) -> Any:
    subtype = value.subtype if isinstance(value, Binary) else 0
    return {"$binary": {"base64": b64encode(value).decode(), "subType": f"{subtype:02x}"}}


def _timestamp(value: Timestamp) -> Any:
    return {"$timestamp": {"t": value.time, "i": value.inc}}


def _raw_document(value: RawBSONDocument) -> Any:
    return orjson.Fragment(relaxed_json(bytes(value.raw)))


_BY_TYPE: Final[dict[type, Callable[[Any], Any]]] = {
    ObjectId: _object_id,
    Int64: int,
    datetime: _datetime,
    DatetimeMS: _datetime_ms,
    Decimal128: _decimal,
    Binary: _binary,
    bytes: _binary,
    Timestamp: _timestamp,
    RawBSONDocument: _raw_document,
}


def _rare(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    try:
        raw = bson.encode({"v": value})
    except (InvalidDocument, OverflowError) as error:
        # the driver's own message would show the value
        raise EncodingError(f"a value of type {type(value).__name__}") from error
    return orjson.loads(bsonjs.dumps(raw, mode=bsonjs.RELAXED))["v"]
