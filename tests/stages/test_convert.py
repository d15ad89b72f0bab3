"""The stage `convert`: values of another type, in every place; what does not fit is told, and not shown."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Any, get_args

import bson
import pytest
from bson import Binary, Decimal128, Int64, MinKey, ObjectId, Regex, Timestamp
from hypothesis import given
from hypothesis import strategies as st

from eventbus.stages.conversion import Kind, converted
from eventbus.stages.fields import UnfitValue
from tests.stages.events import OID, become, change, problem

NOON = datetime(2026, 1, 31, 12)  # noqa: DTZ001 - as BSON has it
MILLIS = 1_769_860_800_000
UUID = Binary(bytes(range(16)), 4)


@pytest.mark.parametrize(
    ("kind", "value", "becomes"),
    [
        ("string", "as it is ", "as it is "),
        ("string", True, "true"),
        ("string", Int64(2**60), "1152921504606846976"),
        ("string", 19.99, "19.99"),
        ("string", 2.0, "2.0"),
        ("string", float("-inf"), "-Infinity"),
        ("string", Decimal128("1.10"), "1.10"),
        ("string", NOON, "2026-01-31T12:00:00Z"),
        ("string", NOON.replace(microsecond=7000), "2026-01-31T12:00:00.007Z"),
        ("string", NOON.replace(tzinfo=UTC), "2026-01-31T12:00:00Z"),
        ("string", Timestamp(MILLIS // 1000, 3), "2026-01-31T12:00:00Z"),
        ("string", OID, str(OID)),
        ("string", UUID, "00010203-0405-0607-0809-0a0b0c0d0e0f"),
        ("string", b"ab", "YWI="),
        ("string", {"a": [OID, None]}, f'{{"a":[{{"$oid":"{OID}"}},null]}}'),
        ("int", Int64(5), Int64(5)),
        ("int", -3.0, -3),
        ("int", Decimal128("1E+3"), 1000),
        ("int", " -007 ", -7),
        ("int", "9223372036854775807", 2**63 - 1),
        ("int", True, 1),
        ("int", NOON, MILLIS),
        ("double", 3, 3.0),
        ("double", Decimal128("0.1"), 0.1),
        ("double", "-1.5e3", -1500.0),
        ("double", ".5", 0.5),
        ("double", False, 0.0),
        ("double", NOON, float(MILLIS)),
        ("decimal", 19.99, Decimal128("19.99")),
        ("decimal", Int64(2**60), Decimal128("1152921504606846976")),
        ("decimal", "1.10", Decimal128("1.10")),
        ("decimal", True, Decimal128("1")),
        ("bool", "Yes", True),
        ("bool", " OFF", False),
        ("bool", 0.0, False),
        ("bool", Decimal128("0.00"), False),
        ("bool", -1, True),
        ("date", "2026-01-31T13:00:00+01:00", NOON),
        ("date", "2026-01-31 12:00", NOON),
        ("date", "2026-01-31", NOON.replace(hour=0)),
        ("date", "20260131T120000.0079Z", NOON.replace(microsecond=7000)),
        ("date", MILLIS, NOON),
        ("date", float(MILLIS), NOON),
        ("date", Decimal128(str(MILLIS)), NOON),
        ("date", Timestamp(MILLIS // 1000, 3), NOON),
        ("date", ObjectId.from_datetime(NOON), NOON),
        ("date", NOON, NOON),
        ("object_id", str(OID).upper(), OID),
        ("object_id", OID, OID),
        ("array", '[1, {"$oid": "64b7f0c2a1b2c3d4e5f60718"}]', [1, OID]),
        ("array", "[draft]", ["[draft]"]),
        ("array", "a", ["a"]),
        ("array", {"a": 1}, [{"a": 1}]),
        ("array", [1], [1]),
        ("object", '{"a": {"$date": "2026-01-31T12:00:00Z"}}', {"a": NOON}),
        ("object", {"a": 1}, {"a": 1}),
    ],
)
def test_values_have_the_other_type(kind: Kind, value: Any, becomes: Any) -> None:
    """And what says the same is the same."""
    made = converted(value, kind)
    assert (made, type(made)) == (becomes, type(becomes))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("string", MinKey()),
        ("int", 2.5),
        ("int", float("nan")),
        ("int", 1e30),
        ("int", Decimal128("1E+6000")),
        ("int", "9223372036854775808"),
        ("int", "1.0"),
        ("int", ""),
        ("int", "٣"),
        ("double", "NaN"),
        ("double", "1e999"),
        ("double", "1,5"),
        ("double", Decimal128("1E+6000")),
        ("decimal", "1" * 35),
        ("decimal", "1e9999"),
        ("decimal", "Infinity"),
        ("bool", "perhaps"),
        ("bool", NOON),
        ("date", "31.1.2026"),
        ("date", "2026-02-30"),
        ("date", "0001-01-01T00:00:00+05:00"),
        ("date", "2" * 1000),
        ("date", True),
        ("date", 1e300),
        ("date", float("nan")),
        ("object_id", "64b7"),
        ("object_id", 5),
        ("object", "[1]"),
        ("object", '{"a": '),
        ("object", '{"$date": []}'),
        ("object", '{"a": ' * 50_000),
        ("object", [1]),
        *((kind, Regex("a")) for kind in ("int", "double", "decimal", "bool", "date", "object_id", "object")),
    ],
)  # fmt: skip
def test_what_has_no_such_form_is_invalid(kind: Kind, value: Any) -> None:
    """Instead of being cut, rounded or guessed."""
    with pytest.raises(UnfitValue, match=f"cannot become {kind}$"):
        converted(value, kind)


NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)


@given(NUMBERS, st.sampled_from(["string", "decimal", "double"]))
def test_numbers_survive_a_detour(number: Any, way: Kind) -> None:
    """Through text, Decimal128 or doubles, and back."""
    back: Kind = "double" if isinstance(number, float) else "int"
    assert converted(converted(number, way), back) == number


@given(st.text() | NUMBERS | st.booleans() | st.binary() | st.datetimes(), st.sampled_from(get_args(Kind)))
def test_every_value_is_converted_or_refused(value: Any, kind: Kind) -> None:
    """And what is made of it fits into a document."""
    with contextlib.suppress(UnfitValue):
        assert bson.encode({"v": converted(value, kind)})


def test_it_is_done_wherever_the_field_is() -> None:
    """In arrays, on both sides of an update, and in what was set above the field and in an array."""
    stage = {"convert": {"a.n": "int", "tags": "string"}}
    event = change(
        document={"a": [{"n": "1"}, {"n": None}, {}], "tags": [1, [2]]},
        before={"a": {"n": "2"}, "tags": []},
        changed={
            "a.n": {"old": "3", "new": "4"},
            "a": {"n": "5"},
            "a.0.n": "6",
            "a.0": {"n": "7"},
            "tags.0": 8,
            "tags.0.x": 9,
            "b": "10",
        },
    )
    assert become(event, stage) == {
        "document": {"a": [{"n": 1}, {"n": None}, {}], "tags": ["1", ["2"]]},
        "before": {"a": {"n": 2}, "tags": []},
        "changed": {
            "a.n": {"old": 3, "new": 4},
            "a": {"n": 5},
            "a.0.n": 6,
            "a.0": {"n": 7},
            "tags.0": "8",
            "tags.0.x": 9,
            "b": "10",
        },
    }


def test_a_place_in_an_array_is_a_field_of_its_own() -> None:
    """The other items stay as they are, as do those that an update set; a field may be called so, too."""
    items = [{"n": "1"}, {"n": "1", "0": {"n": "1"}}, [{"n": "1"}], "1"]
    event = change(document={"items": items, "n": ["1", "1"]}, changed={"items.0.n": "1", "items.1.n": "1"})
    assert become(event, {"convert": {"items.0.n": "int", "n.1": "int"}}) == {
        "document": {
            "items": [{"n": 1}, {"n": "1", "0": {"n": 1}}, [{"n": 1}], "1"],
            "n": ["1", 1],
        },
        "changed": {"items.0.n": 1, "items.1.n": "1"},
    }


def test_an_array_as_a_whole() -> None:
    """Is what `array` and `object` are about: an item that an update set is none."""
    event = change(document={"a": "x", "b": [1]}, changed={"b.0": 1})
    assert become(event, {"convert": {"a": "array", "b": "array"}}) == {
        "document": {"a": ["x"], "b": [1]},
        "changed": {"b.0": 1},
    }


@pytest.mark.parametrize(
    ("on_invalid", "becomes"),
    [
        ("fail", "parked: stage convert (1): a.n: text cannot become int"),
        ("null", {"document": {"a": [{"n": None}, {"n": 2}]}}),
        (None, {"document": {"a": [{"n": None}, {"n": 2}]}}),
        ("keep", {"document": {"a": [{"n": "secret"}, {"n": 2}]}}),
    ],
)
def test_what_is_invalid_has_three_ends(on_invalid: Any, becomes: Any) -> None:
    """The message shows no value."""
    event = change(document={"a": [{"n": "secret"}, {"n": "2"}]})
    stage = {"convert": {"fields": {"a.n": "int"}, "on_invalid": on_invalid}}
    assert become(event, stage) == becomes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"a": "integer"}, "expected 'string', 'int', 'double'"),
        ({"fields": {}}, "must not be empty"),
        ({"fields": {"_id": "string"}}, "_id names the document: it stays as it is"),
        ({"fields": {"a": "int"}, "on_invalid": "drop"}, "expected 'fail', 'null' or 'keep'"),
    ],
)
def test_what_is_wrong_is_said_before_the_start(options: Any, message: str) -> None:
    """With what there is."""
    assert message in problem({"convert": options})
