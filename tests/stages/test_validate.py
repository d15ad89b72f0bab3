"""The stage `validate`: rules about fields and conditions, what becomes of events, and what is checked."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from bson import Decimal128, Int64, ObjectId

from eventbus.telemetry.metrics import REGISTRY
from tests.stages.events import become, change, config, pipeline, problem
from tests.stages.rules import FAILED, HOURS, RATE, REFERENCE, judged, rule, utc


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ({"required": True}, None, "a is missing"),
        ({"type": "int"}, None, ""),
        ({"type": "int"}, Int64(2**40), ""),
        ({"type": "int"}, True, "a is true or false, and not of type int"),
        ({"type": "int"}, 1.0, "a is a number, and not of type int"),
        ({"type": "number"}, Decimal128("1.5"), ""),
        ({"type": "bool"}, False, ""),
        ({"type": "date"}, utc("2024-01-01T00:00"), ""),
        ({"type": "object_id"}, ObjectId(), ""),
        ({"type": "array"}, [], ""),
        ({"type": "object"}, {}, ""),
        ({"type": "string"}, {}, "a is an object, and not of type string"),
        ({"min": 5}, 5, ""),
        ({"min": 5}, Decimal128("4.99999999999999999999"), "a is less than min"),
        ({"max": 5}, 5.000001, "a is more than max"),
        ({"max": 2**53}, Int64(2**53 + 1), "a is more than max"),
        ({"min": 0.1, "max": 0.1}, 0.1, ""),
        ({"min": 0.1, "max": 0.1}, Decimal128("0.1"), ""),
        ({"min": 1}, float("nan"), "a does not go with its bounds: NaN is no number that could be compared"),
        ({"min": 1}, "2", "a does not go with its bounds: text and a number"),
        ({"min": "b"}, "a", "a is less than min"),
        ({"type": "date", "min": "2024-05-01"}, utc("2024-04-30T23:59"), "a is less than min"),
        ({"type": "date", "min": "2024-05-01T00:00:00+02:00"}, utc("2024-04-30T22:00"), ""),
        ({"one_of": [1, "x"]}, Int64(1), ""),
        ({"one_of": [1, "x"]}, "1", "a is none of those in one_of"),
        ({"matches": "^[a-z]+$"}, "abc", ""),
        ({"matches": "^[a-z]+$"}, "abC", "a does not match"),
        ({"matches": "b"}, "abc", ""),
        ({"matches": "b"}, 5, "a is a number, and no text that could match"),
        ({"length": {"min": 2}}, "é", "a is too short"),
        ({"length": {"max": 2}}, "éé", ""),
        ({"length": {"max": 2}}, [1, 2, 3], "a is too long"),
        ({"length": {"max": 2}}, 3, "a is a number, and has no length"),
    ],
)
def test_a_field_is_so(field: dict[str, Any], value: Any, says: str) -> None:
    """By its type, its value, its form and its length; numbers by their exact value."""
    assert judged({"_id": 1, "a": value}, field={"path": "a", **field}) == says


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"items": [{"n": 1}, {"n": 2}]}, ""),
        ({"items": [{"n": 1}, {}]}, "items.n is missing"),
        ({"items": [{"n": 1}, {"n": 0}]}, "items.n is less than min"),
        ({"items": []}, ""),
        ({}, "items.n is missing"),
        ({"items": 5}, "items.n is missing"),
    ],
)
def test_a_path_reaches_into_arrays(document: dict[str, Any], says: str) -> None:
    """Each element must be so; an empty array has none that is not."""
    assert judged({"_id": 1, **document}, field={"path": "items.n", "required": True, "min": 1}) == says


def test_a_path_may_name_an_element() -> None:
    """By its index; one that is not there is missing."""
    field = {"path": "items.1.n", "required": True}
    assert judged({"_id": 1, "items": [{}, {"n": 1}]}, field=field) == ""
    assert judged({"_id": 1, "items": [{"n": 1}]}, field=field) == "items.1.n is missing"


def test_an_evil_pattern_takes_no_time() -> None:
    """The engine is linear in the text: this one would keep a backtracking engine busy for ever."""
    text = "a" * 5000 + "!"
    assert judged({"_id": 1, "a": text}, field={"path": "a", "matches": "^(a+)+$"}) == "a does not match"


def test_all_rules_are_tried_and_all_errors_told() -> None:
    """In the order of the rules; one that only warns says nothing in a dead letter."""
    rules = [
        {"name": "one", "field": {"path": "a", "required": True}},
        {"name": "two", "severity": "warning", "condition": "false"},
        {"name": "three", "condition": "1 / document.zero > 0"},
    ]
    found = become(change(document={"_id": 1, "zero": 0}), {"validate": rules})
    assert found == "parked: stage validate (1): rule one: a is missing; rule three: divides by zero"


def test_warnings_are_told_in_meta_beside_earlier_ones() -> None:
    """Later conditions know them; an event that keeps its rules has none."""
    stages = [
        {"validate": [{"name": "one", "severity": "warning", "condition": "document.n > 1"}]},
        {"validate": [{"name": "two", "severity": "warning", "condition": "document.n > 2"}]},
        {"filter": "!('one' in warnings) || document.n == 1"},
    ]
    assert become(change(document={"_id": 1, "n": 1}), *stages)["meta"] == {"warnings": ["one", "two"]}
    assert "meta" not in become(change(document={"_id": 1, "n": 3}), *stages[:2])
    assert become(change(document={"_id": 1, "n": 0}), *stages) == "dropped"


def test_an_event_without_a_document_is_asked_only_where_that_is_written() -> None:
    """A delete breaks no rule about fields."""
    gone = change(operation="delete", document=None)
    field = {"path": "a", "required": True}
    assert become(gone, rule(field=field)) == {}
    assert become(gone, rule(field=field, when="operation == 'update'")) == {}
    assert become(gone, rule(field=field, when="operation == 'delete'")) == f"{FAILED}a is missing"
    assert become(change(document={"_id": 1}), rule(condition="false", when="operation == 'delete'"))


def test_what_is_not_kept_is_counted() -> None:
    """By the name of the rule, whatever its severity."""

    def counted(name: str) -> float:
        labels = {"subscription": "orders", "stage": "validate (1)", "rule": name}
        return REGISTRY.get_sample_value("eventbus_rules_failed_total", labels) or 0.0

    rules = [{"name": "e", "condition": "false"}, {"name": "w", "severity": "warning", "condition": "false"}]
    made = pipeline({"validate": rules})

    async def applied() -> list[float]:
        before = counted("e"), counted("w")
        await made.apply([change(document={"_id": 1})])
        return [counted("e") - before[0], counted("w") - before[1]]

    assert anyio.run(applied) == [1, 1]


FIELD = {"path": "a"}


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({}, "a rule has one of field, reference, hours, rate, condition"),
        ({"condition": "true", "field": {**FIELD, "type": "int"}}, "and not field and condition"),
        ({"condition": "docment.a"}, "unknown name 'docment'"),
        ({"field": FIELD}, "ask something of the field"),
        ({"field": {**FIELD, "type": "integer"}}, "did you mean"),
        ({"field": {**FIELD, "min": 2, "max": 1}}, "min is more than max"),
        ({"field": {**FIELD, "min": 2, "max": "a"}}, "min is a number and max a text"),
        ({"field": {**FIELD, "min": "a", "type": "int"}}, "min must be a number, since type is int"),
        ({"field": {**FIELD, "max": 1, "type": "string"}}, "max must be a text, since type is string"),
        ({"field": {**FIELD, "max": "1", "type": "bool"}}, "max is for numbers, texts and dates"),
        ({"field": {**FIELD, "min": "May", "type": "date"}}, "min must be a date, such as"),
        (
            {"field": {**FIELD, "min": "2024-02-01", "max": "2024-01-01", "type": "date"}},
            "min is more than max",
        ),
        ({"field": {**FIELD, "matches": "a("}}, "is no regular expression: unclosed group"),
        ({"field": {**FIELD, "matches": "(?=a)"}}, "is no regular expression: look-around"),
        ({"field": {**FIELD, "matches": "a", "type": "int"}}, "matches is for texts, and type is int"),
        ({"field": {**FIELD, "length": {"min": 2, "max": 1}}}, "min is more than max"),
        ({"field": {**FIELD, "length": {}}}, "say min or max"),
        ({"field": {**FIELD, "length": {"min": 1}, "type": "date"}}, "length is for texts and arrays"),
        ({"hours": {**HOURS, "zone": "Europe/Berln"}}, "unknown time zone 'Europe/Berln', did you mean"),
        ({"hours": {**HOURS, "zone": "../Berlin"}}, "unknown time zone"),
        ({"hours": {**HOURS, "from": "25:00"}}, "expected a time of the day"),
        ({"hours": {**HOURS, "from": "24:01"}}, "expected a time of the day"),
        ({"hours": {**HOURS, "to": "09:00"}}, "from and to are the same"),
        ({"hours": {**HOURS, "days": ["monday"]}}, "expected 'mon'"),
        ({"reference": {**REFERENCE, "compare": [{**REFERENCE["compare"][0], "op": "<"}]}}, "expected 'eq'"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said_before_the_start(parts: dict[str, Any], says: str) -> None:
    """With its place."""
    found = problem(rule(**parts))
    assert found.startswith("pipeline[0].validate.rules[0]")
    assert says in found


def test_two_rules_of_one_name_cannot_be_told_apart() -> None:
    assert "two rules are called r" in problem({"validate": [*rule(condition="true")["validate"]] * 2})


def test_each_rule_has_its_place() -> None:
    """What waits belongs to the subscription, what counts to a route; so they are two stages."""
    waits, counts = rule(reference=REFERENCE), rule(rate=RATE)
    config([waits], {"pipeline": [counts]})
    assert "validate waits for others" in problem(route={"pipeline": [waits]})
    assert "validate remembers events" in problem(counts)
    both = {"validate": [{**waits["validate"][0], "name": "w"}, {**counts["validate"][0], "name": "c"}]}
    assert "w waits for a collection and c counts" in problem(both)
    config([rule(condition="true")], {"pipeline": [rule(condition="true")]})
