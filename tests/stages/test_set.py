"""The stage `set`: computed fields, and names that are known from there on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from bson import Binary, Decimal128, Int64, ObjectId, Regex, Timestamp

from tests.stages.events import OID, become, change, pipeline, problem, run

DAY = datetime(2026, 1, 31, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expression", "result"),
    [
        (Decimal128("19.99"), "document.v + 0.01", 20.0),
        (Int64(2**60), "document.v + 1", 2**60 + 1),
        (3, "document.v * 2.5", 7.5),
        (3, "document.v / 2", 1),
        (2.5, "document.v * 2", 5.0),
        (OID, "string(document.v)", str(OID)),
        (OID, "document.v + '!'", f"{OID}!"),
        (Binary(bytes(16), 4), "document.v + ''", "00000000-0000-0000-0000-000000000000"),
        (b"ab", "document.v + ''", "YWI="),
        (Regex("^a", "i"), "document.v + ''", "^a"),
        (DAY.replace(tzinfo=None), "document.v + duration('30m')", datetime(2026, 1, 31, 13)),  # noqa: DTZ001 - as BSON has it
        (Timestamp(int(DAY.timestamp()), 5), "document.v.getFullYear()", 2026),
        (Decimal128("1E+6000"), "document.v + ''", "1E+6000"),
        ([1, 2, 3], "document.v.filter(x, x > 1)", [2, 3]),
        ({"a": 1}, "document.v.a + document.v['a']", 2),
        ("Übung", "document.v.size()", 6),
        (1, "document.nothing + 1", None),
        (None, "document.v + 1", None),
        ([1], "document.v[4]", None),
    ],
)
def test_computes_with_every_type(value: Any, expression: str, result: Any) -> None:
    """A date comes back as one of BSON; what depends on what is missing is null."""
    found = become(change(document={"v": value}), {"set": {"fields": {"document.w": expression}}})
    assert found == {"document": {"v": bson.decode(bson.encode({"v": value}))["v"], "w": result}}


@pytest.mark.parametrize(
    "value", [OID, Decimal128("1.10"), Int64(1), Regex("a"), Timestamp(1, 2), {"a": [OID]}]
)
def test_a_path_alone_keeps_its_type(value: Any) -> None:
    """Nothing is converted that need not be."""
    found = become(change(document={"v": value}), {"set": {"fields": {"document.w": "document.v"}}})
    copy = found["document"]["w"]
    assert (copy, type(copy)) == (found["document"]["v"], type(found["document"]["v"]))


def test_objects_on_the_way_are_made_and_others_kept() -> None:
    """A field beside it stays, and so does the rest of the event."""
    event = change(document={"a": {"x": 1}}, before={"a": {"x": 0}}, changed={"a.x": 1})
    found = become(event, {"set": {"fields": {"document.a.y": "2", "document.b.c.d": "3"}}})
    assert found == {
        "document": {"a": {"x": 1, "y": 2}, "b": {"c": {"d": 3}}},
        "before": {"a": {"x": 0}},
        "changed": {"a.x": 1},
    }


def test_all_expressions_see_the_event_as_it_was() -> None:
    """Two fields can change places."""
    fields = {"document.a": "document.b", "document.b": "document.a"}
    assert become(change(document={"a": 1, "b": 2}), {"set": {"fields": fields}})["document"] == {
        "a": 2,
        "b": 1,
    }


def test_a_name_is_known_to_later_stages() -> None:
    """With and without `meta`."""
    stages = [
        {"set": {"fields": {"urgency": "'high'"}}},
        {"set": {"fields": {"twice": "urgency + meta.urgency"}}},
        {"filter": "twice == 'highhigh'"},
    ]
    assert become(change(document={}), *stages) == {"meta": {"urgency": "high", "twice": "highhigh"}}


def test_what_is_only_named_leaves_the_documents_unread() -> None:
    """The bytes are those that the server sent."""
    event = change(document={"a": 1})
    (slot,) = run(pipeline({"set": {"fields": {"kind": "operation"}}}), [event])
    assert slot.event.document is event.document
    assert (slot.event.id, slot.event.key, slot.event.token) == (event.id, event.key, event.token)


def test_an_event_without_a_document_gets_no_fields() -> None:
    """A delete stays one."""
    event = change(operation="delete")
    assert become(event, {"set": {"fields": {"document.a": "1", "b": "2"}}}) == {"meta": {"b": 2}}


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("document.s > 1", "the types of its values do not go together"),
        ("1 / (document.n - 1)", "divides by zero"),
        ("int(document.s)", "a function of it does not take such values"),
        ("{1: document.n}", "gives a map whose keys are no texts, which no document can hold"),
        (
            "uint(18446744073709551615u)",
            "gives a whole number of more than 64 bits, which no document can hold",
        ),
        ("9223372036854775807 + document.n", "gives a number that is too large"),
    ],
)
def test_what_has_no_result_is_parked_without_its_values(expression: str, reason: str) -> None:
    """The reason names the stage and the field."""
    found = become(change(document={"s": "secret", "n": 1}), {"set": {"fields": {"document.w": expression}}})
    assert found == f"parked: stage set (1): document.w: {reason}"


def test_a_field_below_a_text_is_parked() -> None:
    """Nothing is overwritten that is no object."""
    found = become(change(document={"a": "x"}), {"set": {"fields": {"document.a.b": "1"}}})
    assert found == "parked: stage set (1): document.a.b: a is no object that could hold it"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("document._id", "_id names the document: it stays as it is"),
        ("document.", "expected a field such as document.total"),
        (
            "operation",
            "every event has operation of its own: choose another name, or a field such as document.x",
        ),
        ("two words", "expected a field such as document.total, or a name of letters, digits and _"),
    ],
)
def test_targets_that_there_are_not(target: str, message: str) -> None:
    """Said before the start."""
    assert problem({"set": {"fields": {target: "1"}}}).endswith(message)


def test_an_object_id_is_text_only_within_expressions() -> None:
    """So a comparison with its digits works."""
    event = change(document={"_id": OID, "customer": ObjectId(bytes(12))})
    fields = {"is_it": f"document._id == '{OID}'", "customer": "document.customer"}
    assert become(event, {"set": {"fields": fields}})["meta"] == {
        "is_it": True,
        "customer": ObjectId(bytes(12)),
    }


def test_what_is_computed_looks_the_same_each_time() -> None:
    """The library keeps objects in no order, another one in each process: theirs is that of their names."""
    names = [f"n{number:02}" for number in range(30)]
    made = ", ".join(f"'{name}': document.n" for name in reversed(names))
    stage = {"set": {"fields": {"made": f"{{{made}}}", "paths": "changed.map(path, path).sort()"}}}
    event = change(document={"n": 1}, changed=dict.fromkeys(reversed(names), 0))
    meta = become(event, stage)["meta"]
    assert list(meta["made"]) == names
    assert meta["paths"] == names
