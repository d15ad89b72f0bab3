"""Relaxed Extended JSON: valid for whatever MongoDB can hold, and what the C driver would write."""

# ruff: noqa: DTZ001 - BSON decodes to naive times, which are UTC

from __future__ import annotations

import struct
import uuid
from datetime import UTC, datetime, timedelta, timezone
from math import inf, nan
from typing import Any

import bson
import bsonjs
import orjson
import pytest
from bson import (
    SON,
    Binary,
    Code,
    DatetimeMS,
    DBRef,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)
from bson.raw_bson import RawBSONDocument
from hypothesis import given
from hypothesis import strategies as st

from eventbus.encoding.json import relaxed_json
from eventbus.errors import EncodingError

_OBJECT_ID = ObjectId("64b7f0c2a1b2c3d4e5f60718")


def _element(kind: int, payload: bytes, name: bytes = b"v") -> bytes:
    """Raw BSON of one field, however wrong its payload is."""
    content = bytes([kind]) + name + b"\0" + payload + b"\0"
    return struct.pack("<i", len(content) + 4) + content


def _milliseconds(value: int) -> bytes:
    return _element(0x09, struct.pack("<q", value))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (19.99, "19.99"),
        (1.0, "1.0"),
        (-0.0, "-0.0"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (5e-324, "5e-324"),
        (nan, '{"$numberDouble":"NaN"}'),
        (inf, '{"$numberDouble":"Infinity"}'),
        (-inf, '{"$numberDouble":"-Infinity"}'),
        (7, "7"),
        (Int64(7), "7"),
        (Int64(2**53 + 1), "9007199254740993"),
        (Int64(-(2**63)), "-9223372036854775808"),
        (Decimal128("1.10"), '{"$numberDecimal":"1.10"}'),
        (Decimal128("NaN"), '{"$numberDecimal":"NaN"}'),
        (Decimal128("-Infinity"), '{"$numberDecimal":"-Infinity"}'),
        ('"\\\n\x00\x7f\u2028é😀', '"\\"\\\\\\n\\u0000\x7f\u2028é😀"'),
        (True, "true"),
        (None, "null"),
        ([], "[]"),
        ({}, "{}"),
        ([1, [None, {"a": "null"}]], '[1,[null,{"a":"null"}]]'),
        (_OBJECT_ID, '{"$oid":"64b7f0c2a1b2c3d4e5f60718"}'),
        (b"\0\xff", '{"$binary":{"base64":"AP8=","subType":"00"}}'),
        (Binary(b"a", 128), '{"$binary":{"base64":"YQ==","subType":"80"}}'),
        (
            Binary.from_uuid(uuid.UUID("fd4c537a-dbb6-46b9-b659-b175d111c290")),
            '{"$binary":{"base64":"/UxTetu2Rrm2WbF10RHCkA==","subType":"04"}}',
        ),
        (Timestamp(5, 2), '{"$timestamp":{"t":5,"i":2}}'),
        (Regex('a"/', "im"), '{"$regularExpression":{"pattern":"a\\"/","options":"im"}}'),
        (Code("f()"), '{"$code":"f()"}'),
        (Code("f()", {"a": nan}), '{"$code":"f()","$scope":{"a":{"$numberDouble":"NaN"}}}'),
        (DBRef("c", 1, "d"), '{"$ref":"c","$id":1,"$db":"d"}'),
        (MinKey(), '{"$minKey":1}'),
        (MaxKey(), '{"$maxKey":1}'),
        (datetime(2024, 2, 29, 1, 2, 3, 456000), '{"$date":"2024-02-29T01:02:03.456Z"}'),
        (datetime(2024, 2, 29, 1, 2, 3), '{"$date":"2024-02-29T01:02:03Z"}'),
        (datetime(1970, 1, 1), '{"$date":"1970-01-01T00:00:00Z"}'),
        (datetime(1970, 1, 1, 0, 0, 0, 1000), '{"$date":"1970-01-01T00:00:00.001Z"}'),
        (DatetimeMS(253402300799999), '{"$date":"9999-12-31T23:59:59.999Z"}'),
        (DatetimeMS(253402300800000), '{"$date":{"$numberLong":"253402300800000"}}'),
        (DatetimeMS(-1), '{"$date":{"$numberLong":"-1"}}'),
        (DatetimeMS(-62135596800000), '{"$date":{"$numberLong":"-62135596800000"}}'),
        (DatetimeMS(-(2**63)), '{"$date":{"$numberLong":"-9223372036854775808"}}'),
    ],
    ids=repr,
)
def test_each_type_has_its_form(value: Any, expected: str) -> None:
    """Whether the document comes raw or decoded."""
    raw = bson.encode({"v": value})
    assert relaxed_json(raw).decode() == f'{{"v":{expected}}}'
    assert relaxed_json({"v": value}).decode() == f'{{"v":{expected}}}'
    assert relaxed_json(RawBSONDocument(raw)).decode() == f'{{"v":{expected}}}'


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (_element(0x06, b""), b'{"v":null}'),
        (_element(0x0E, struct.pack("<i", 4) + b"abc\0"), b'{"v":"abc"}'),
        (
            _element(0x0C, struct.pack("<i", 2) + b"c\0" + _OBJECT_ID.binary),
            b'{"v":{"$ref":"c","$id":{"$oid":"64b7f0c2a1b2c3d4e5f60718"}}}',
        ),
        (_element(0x01, struct.pack("<Q", 0xFFF8000000000001)), b'{"v":{"$numberDouble":"NaN"}}'),
        (b"\x13\0\0\0\x10a\0\1\0\0\0\x10a\0\2\0\0\0\0", b'{"a":2}'),
    ],
    ids=["undefined", "symbol", "DBPointer", "negative NaN with a payload", "a field twice"],
)
def test_what_only_raw_documents_hold(raw: bytes, expected: bytes) -> None:
    """The deprecated types, and what no driver would write."""
    assert relaxed_json(raw) == expected


def test_nothing_is_null() -> None:
    """A section that the change does not have."""
    assert relaxed_json(None) == b"null"


def test_the_usual_key_has_a_short_way() -> None:
    """And documents that only look like it do not take it."""
    assert relaxed_json(bson.encode({"_id": _OBJECT_ID})) == b'{"_id":{"$oid":"64b7f0c2a1b2c3d4e5f60718"}}'
    other = bson.encode({"_ix": _OBJECT_ID})
    assert len(other) == 22
    assert relaxed_json(other) == b'{"_ix":{"$oid":"64b7f0c2a1b2c3d4e5f60718"}}'


def test_null_beside_numbers_that_are_not_finite() -> None:
    """Nothing else becomes a number, and no number becomes null."""
    document = {"a": None, "b": [nan, {"c": -inf, "d": None}], "e": "null", "f": (1, inf)}
    expected = {
        "a": None,
        "b": [{"$numberDouble": "NaN"}, {"c": {"$numberDouble": "-Infinity"}, "d": None}],
        "e": "null",
        "f": [1, {"$numberDouble": "Infinity"}],
    }
    assert orjson.loads(relaxed_json(document)) == expected
    assert orjson.loads(relaxed_json(bson.encode(document))) == expected


def test_what_stages_may_leave_in_a_decoded_document() -> None:
    """Zones, microseconds, other mappings, and raw documents inside."""
    document = {
        "zone": datetime(2024, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))),
        "utc": datetime(2024, 1, 1, tzinfo=UTC),
        "fine": datetime(2024, 1, 1, 0, 0, 0, 123999),
        "finer": datetime(2024, 1, 1, 0, 0, 0, 999),
        "son": SON([("b", 1), ("a", Int64(2))]),
        "raw": RawBSONDocument(bson.encode({"x": None, "y": nan})),
    }
    assert orjson.loads(relaxed_json(document)) == {
        "zone": {"$date": "2024-01-01T00:00:00Z"},
        "utc": {"$date": "2024-01-01T00:00:00Z"},
        "fine": {"$date": "2024-01-01T00:00:00.123Z"},
        "finer": {"$date": "2024-01-01T00:00:00Z"},
        "son": {"b": 1, "a": 2},
        "raw": {"x": None, "y": {"$numberDouble": "NaN"}},
    }


class Secretive:
    def __repr__(self) -> str:
        return "hunter2"


@pytest.mark.parametrize(
    "section",
    [
        _element(0x02, struct.pack("<i", 4) + b"a\xffb\0"),
        _element(0x02, struct.pack("<i", 4) + b"\xed\xa0\x80\0"),
        _element(0x10, struct.pack("<i", 1), name=b"\xff"),
        _element(0x55, b""),
        bson.encode({"a": 1})[:-2],
        bson.encode({"a": 1}) + b"\0",
        b"",
        {"v": "\ud800"},
        {"v": 2**64},
        {"v": Secretive()},
        {1: "a key that is no string"},
    ],
    ids=lambda section: repr(section)[:40],
)
def test_what_has_no_json_form_is_an_error_with_a_reason(section: Any) -> None:
    """And the reason shows nothing of the content."""
    with pytest.raises(EncodingError, match=r"^(not valid BSON|no JSON form): .+") as caught:
        relaxed_json(section)
    assert "hunter2" not in str(caught.value)


def _nested(depth: int) -> bytes:
    document: dict[str, Any] = {}
    for _ in range(depth):
        document = {"a": document}
    return bson.encode(document)


def test_nesting_is_whole_or_an_error() -> None:
    """MongoDB stores 180 levels; the C driver's printer breaks off at 200 without a word."""
    assert orjson.loads(relaxed_json(_nested(200)))
    for depth in (300, 5000):
        with pytest.raises(EncodingError):
            relaxed_json(_raw_nested(depth))


def _raw_nested(depth: int) -> bytes:
    raw = b"\x05\0\0\0\0"
    for _ in range(depth):
        raw = _element(0x03, raw, name=b"a")
    return raw


_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1).map(Int64)
    | st.integers(-(2**31), 2**31 - 1)
    | st.floats()
    | st.text()
    | st.binary()
    | st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31)).map(
        lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000)
    )
    | st.binary(min_size=12, max_size=12).map(ObjectId)
    | st.binary(min_size=16, max_size=16).map(Decimal128.from_bid)
    | st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)).map(lambda pair: Timestamp(*pair))
)
_names = st.text().filter(lambda name: "\0" not in name)
_documents = st.dictionaries(
    _names,
    st.recursive(_scalars, lambda inner: st.lists(inner) | st.dictionaries(_names, inner), max_leaves=8),
)


@given(_documents)
def test_any_document_says_what_the_c_driver_says(document: dict[str, Any]) -> None:
    """Only the spelling differs, not the value."""
    raw = bson.encode(document)
    expected = orjson.loads(bsonjs.dumps(raw, mode=bsonjs.RELAXED))
    assert orjson.loads(relaxed_json(raw)) == expected
    assert orjson.loads(relaxed_json(document)) == expected


@given(_documents.map(bson.encode), st.data())
def test_any_bytes_give_json_or_an_error(raw: bytes, data: st.DataObject) -> None:
    """Whatever is damaged on the way: no other exception, no text that is not JSON."""
    damaged = bytearray(raw)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        text = relaxed_json(bytes(damaged))
    except EncodingError:
        return
    orjson.loads(text)
