"""Canonical Extended JSON: every value with its BSON type, so that readers get back just what was stored.

bsonjs is not used for whole documents here either, since it breaks off silently in what is nested deeper than
200 levels (see `eventbus.encoding.json`): on an order of 496 bytes it takes 15 µs of processor time, this 24
and the driver's own printer 42.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any, Final

import orjson
from bson.code import Code
from bson.datetime_ms import DatetimeMS
from bson.dbref import DBRef
from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument

from eventbus.encoding.json import WRITING, decoded, extended, non_finite
from eventbus.errors import EncodingError
from eventbus.model import Section

__all__ = ["canonical_extended_json"]


def canonical_extended_json(section: Section) -> bytes:
    """Compact UTF-8 JSON of a document, or of nothing.

    Raises:
        EncodingError: The bytes are no BSON, or hold text that is not UTF-8, or a value has no JSON form.
    """
    if section is None:
        return b"null"
    document = decoded(section) if isinstance(section, bytes) else section
    try:
        return orjson.dumps(_typed(document), extended, WRITING)
    except RecursionError as error:
        raise EncodingError("no JSON form: nested too deeply") from error
    except orjson.JSONEncodeError as error:
        raise EncodingError(f"no JSON form: {error.__cause__ or error}") from error


def _typed(value: Any) -> Any:
    """The same value with the types spelled out that JSON does not tell apart."""
    known = _BY_TYPE.get(type(value))
    if known is not None:
        return known(value)
    if isinstance(value, Mapping):
        return {key: _typed(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_typed(item) for item in value]
    return value


def _document(value: dict[str, Any]) -> Any:
    return {key: _typed(item) for key, item in value.items()}


def _list(value: list[Any]) -> Any:
    return [_typed(item) for item in value]


def _int(value: int) -> Any:
    name = "$numberInt" if -(2**31) <= value < 2**31 else "$numberLong"
    return {name: str(value)}


def _int64(value: int) -> Any:
    return {"$numberLong": str(int(value))}


def _float(value: float) -> Any:
    return {"$numberDouble": repr(value)} if isfinite(value) else non_finite(value)


def _datetime(value: datetime) -> Any:
    aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    return {"$date": _int64((aware - _EPOCH) // timedelta(milliseconds=1))}


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _datetime_ms(value: DatetimeMS) -> Any:
    return {"$date": _int64(int(value))}


def _code(value: Code) -> Any:
    if value.scope is None:
        return {"$code": str(value)}
    return {"$code": str(value), "$scope": _typed(dict(value.scope))}


def _dbref(value: DBRef) -> Any:
    return _typed(dict(value.as_doc()))


def _raw_document(value: RawBSONDocument) -> Any:
    return orjson.Fragment(canonical_extended_json(bytes(value.raw)))


_BY_TYPE: Final[dict[type, Callable[[Any], Any]]] = {
    dict: _document,
    list: _list,
    int: _int,
    Int64: _int64,
    float: _float,
    datetime: _datetime,
    DatetimeMS: _datetime_ms,
    Code: _code,
    DBRef: _dbref,
    RawBSONDocument: _raw_document,
}
