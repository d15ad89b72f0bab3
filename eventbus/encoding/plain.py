"""Plain JSON: what people write by hand, without the types of BSON; docs/encoding.md has the form of each.

Whatever no reader of JSON could hold is text: integers beyond 2**53, decimals, NaN and the infinities.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from math import isfinite, isnan
from typing import Any, Final

import bson
import orjson
from bson.binary import Binary
from bson.code import Code
from bson.datetime_ms import DatetimeMS
from bson.dbref import DBRef
from bson.decimal128 import Decimal128
from bson.errors import InvalidDocument
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.raw_bson import RawBSONDocument
from bson.regex import Regex
from bson.timestamp import Timestamp

from eventbus.encoding.json import WRITING, decoded, may_hold_nan
from eventbus.errors import EncodingError
from eventbus.model import Section

__all__ = ["plain_json"]


def plain_json(section: Section) -> bytes:
    """Compact UTF-8 JSON of a document, or of nothing.

    Raises:
        EncodingError: The bytes are no BSON, or hold text that is not UTF-8, or a value has no JSON form.
    """
    if section is None:
        return b"null"
    if not isinstance(section, bytes):
        return _written(_safe(section))
    document = decoded(section)
    text = _written(document)
    is_suspect = b"null" in text and may_hold_nan(section)  # orjson writes NaN and the infinities as null
    return _written(_safe(document)) if is_suspect else text


def _written(document: Any) -> bytes:
    try:
        return orjson.dumps(document, _plain, WRITING)
    except orjson.JSONEncodeError as error:
        raise EncodingError(f"no JSON form: {error.__cause__ or error}") from error


def _safe(value: Any) -> Any:
    """The same value with those numbers as text that JSON does not have, or that its readers cannot hold."""
    match value:
        case float() if not isfinite(value):
            return "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case int() if not isinstance(value, bool):
            return _int(value)
        case RawBSONDocument() | DBRef():
            return value
        case Mapping():
            return {key: _safe(item) for key, item in value.items()}
        case list() | tuple():
            return [_safe(item) for item in value]
        case _:
            return value


def _plain(value: Any) -> Any:
    """What orjson is to write for a value that it does not know."""
    known = _BY_TYPE.get(type(value))
    if known is not None:
        return known(value)
    if isinstance(value, Mapping):
        return dict(value)
    try:  # a type that the driver knows how to store, such as a UUID of Python's own
        return bson.decode(bson.encode({"v": value}))["v"]
    except (InvalidDocument, OverflowError, ValueError) as error:
        # the driver's own message would show the value
        raise EncodingError(f"a value of type {type(value).__name__}") from error


def _int(value: int) -> int | str:
    return int(value) if -_LARGEST_SAFE <= value <= _LARGEST_SAFE else str(int(value))


_LARGEST_SAFE: Final = 2**53 - 1
"""Readers that hold numbers as doubles, as JavaScript does, round what is larger (RFC 8259, 6)."""


def _binary(value: bytes) -> str:
    if isinstance(value, Binary) and value.subtype == _UUID and len(value) == _UUID_BYTES:
        return str(value.as_uuid())
    return b64encode(value).decode()


_UUID: Final = 4
_UUID_BYTES: Final = 16


def _datetime(value: datetime) -> str:
    naive = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
    return naive.isoformat(timespec="milliseconds") + "Z"


def _moment(milliseconds: int) -> str:
    """ISO 8601 in UTC with milliseconds; years that have no four digits in its expanded form."""
    seconds, rest = divmod(milliseconds, 1000)
    days, seconds = divmod(seconds, 86_400)
    cycles, days = divmod(days, _DAYS_OF_400_YEARS)  # the calendar repeats itself
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=days, seconds=seconds)
    year = moment.year + 400 * cycles
    digits = f"{year:04d}" if 0 <= year <= 9999 else f"{year:+07d}"
    return f"{digits}{moment:-%m-%dT%H:%M:%S}.{rest:03d}Z"


_DAYS_OF_400_YEARS: Final = 146_097


def _timestamp(value: Timestamp) -> str:
    return f"{value.time}.{value.inc}"


def _regex(value: Regex[Any]) -> str:
    pattern = value.pattern if isinstance(value.pattern, str) else value.pattern.decode(errors="replace")
    flags = "".join(letter for letter, flag in _FLAGS if value.flags & flag)
    return f"/{pattern}/{flags}"


_FLAGS: Final = (("i", 2), ("l", 4), ("m", 8), ("s", 16), ("u", 32), ("x", 64))


def _code(value: Code) -> Any:
    return str(value) if value.scope is None else {"code": str(value), "scope": _safe(value.scope)}


def _dbref(value: DBRef) -> Any:
    return _safe(dict(value.as_doc()))


def _raw_document(value: RawBSONDocument) -> Any:
    return orjson.Fragment(plain_json(bytes(value.raw)))


_BY_TYPE: Final[dict[type, Callable[[Any], Any]]] = {
    ObjectId: str,
    Int64: _int,
    datetime: _datetime,
    DatetimeMS: lambda value: _moment(int(value)),
    Decimal128: str,
    Binary: _binary,
    bytes: _binary,
    Timestamp: _timestamp,
    Regex: _regex,
    Code: _code,
    DBRef: _dbref,
    MinKey: lambda _: "MinKey",
    MaxKey: lambda _: "MaxKey",
    RawBSONDocument: _raw_document,
}
