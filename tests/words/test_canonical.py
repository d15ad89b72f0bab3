"""Keys: equal for MongoDB means equal bytes, different means different, and everything has a key."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import bson
import pytest
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.objectid import ObjectId
from bson.regex import Regex

from eventbus.canonical import canonical_json, canonical_value

ONE: list[Any] = [1, 1.0, Int64(1), Decimal128("1"), Decimal128("1.000"), Decimal128("10E-1")]
ALL_DIFFERENT: list[Any] = [
    1,
    0,
    -1,
    0.1,
    Decimal128("0.1"),  # not the number that the double 0.1 is
    2**53,
    2**53 + 1,
    float(2**62),
    2**62 + 1,
    1e300,
    Decimal128("1E+300"),
    float("inf"),
    float("-inf"),
    float("nan"),
    "1",
    "line\nbreak",
    True,
    None,
    b"1",
    ObjectId("6b0138c4895f994a280b345d"),
    "6b0138c4895f994a280b345d",
    Regex("a"),
    [1],
    {"a": 1},
    {"a": 1, "b": 2},
    {"b": 2, "a": 1},
]


def key(value: Any) -> bytes:
    """The key of a document with this `_id`."""
    return canonical_json(bson.encode({"_id": value}))


def test_equal_numbers_have_one_key() -> None:
    """Whatever their BSON types."""
    assert {key(number) for number in ONE} == {b'{"_id":1}'}
    assert key(0.0) == key(-0.0) == key(0)
    assert key(2**62) == key(float(2**62)) == key(Decimal128(str(2**62)))


def test_equal_numbers_inside_documents_too() -> None:
    """An `_id` may be a document."""
    assert key({"n": [1.0]}) == key({"n": [1]})


def test_different_values_have_different_keys() -> None:
    """No two of them meet on one key."""
    for one, other in combinations(ALL_DIFFERENT, 2):
        assert key(one) != key(other), (one, other)


def test_an_object_id_takes_the_short_way_to_the_same_bytes() -> None:
    """The way without decoding must not show."""
    value = ObjectId("6b0138c4895f994a280b345d")
    assert key(value) == canonical_json({"_id": value}) == b'{"_id":{"$oid":"6b0138c4895f994a280b345d"}}'


@pytest.mark.parametrize(
    "raw",
    [
        bson.encode({"_id": "text"}).replace(b"text", b"\xff\xfe\xff\xfe"),
        bson.encode({"_id": {"text": 1}}).replace(b"text", b"\xff\xfe\xff\xfe"),
    ],
    ids=["value", "name"],
)
def test_what_is_not_utf8_has_a_key_all_the_same(raw: bytes) -> None:
    """The server stores such text; its changes must have an order."""
    assert canonical_json(raw) == b'{"$bson":"%b"}' % raw.hex().encode()


@pytest.mark.parametrize("subtype", [0, 3, 4, 128])
def test_one_value_may_be_binary(subtype: int) -> None:
    """And is not taken for a raw document."""
    value = bson.Binary(b"12345", subtype)
    assert b'"$binary"' in canonical_value(value)
    assert canonical_json(bson.encode({"_id": value})) == b'{"_id":%b}' % canonical_value(value)
