"""The stages `project`, `drop`, `sample` and `classify`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from eventbus.model import Filtered
from tests.stages.events import become, change, pipeline, problem, run


def test_dropped_fields_are_nowhere_any_more() -> None:
    """Nor is it told that one was removed; the id stays."""
    parts = {"_id": 1, "a": {"b": 1, "c": 2}}
    event = change(
        document=parts, before=parts, changed={"a.b": 1, "a": {"b": 1, "c": 2}}, removed=["a.b", "d"]
    )
    left = {"_id": 1, "a": {"c": 2}}
    assert become(event, {"drop": ["a.b"]}) == {
        "document": left,
        "before": left,
        "changed": {"a": {"c": 2}},
        "removed": ["d"],
    }


def test_what_was_dropped_with_old_and_new_values_is_gone_on_both_sides() -> None:
    """As `delta: true` tells them; and kept on both sides."""
    event = change(changed={"a": {"old": {"b": 1, "c": 2}, "new": {"b": 3}}})
    assert become(event, {"drop": ["a.b"]}) == {"changed": {"a": {"old": {"c": 2}, "new": {}}}}
    assert become(event, {"project": ["a.c"]}) == {"changed": {"a": {"old": {"c": 2}, "new": {}}}}


@pytest.mark.parametrize("stage", ["drop", "project"])
@pytest.mark.parametrize("fields", [[], ["_id"], ["$a"]])
def test_fields_are_checked_before_the_start(stage: str, fields: list[str]) -> None:
    assert problem({stage: fields}).startswith(f"pipeline[0].{stage}.fields")


PATHS: list[tuple[Any, Any, Any]] = [
    ([{"mask": {"fields": {"document.a": "null"}}}], None, None),
    ([{"drop": ["document.a"]}], None, None),
    ([{"rename": {"b": "document.a"}}], None, None),
    ([{"convert": {"document.a": "int"}}], None, None),
    ([{"validate": [{"name": "r", "field": {"path": "document.a", "min": 1}}]}], None, None),
    ([], {"encoding": {"without": ["document.a"]}}, None),
    ([], None, {"fields": ["document.a"]}),
    ([], None, {"project": ["document.a"]}),
    ([], None, {"classify": {"x": {"cases": [{"changed": "document.a", "then": 1}]}}}),
]


@pytest.mark.parametrize(("stages", "route", "source"), PATHS)
@pytest.mark.parametrize("name", ["document", "fullDocument"])
def test_a_path_that_begins_with_the_document_is_a_slip(
    stages: Any, route: Any, source: Any, name: str
) -> None:
    """Of which nothing would be seen but that what is to be hidden is sent, or what is wanted is not."""
    stages, route, source = _with_name([stages, route, source], name)
    said = problem(*stages, route=route, source=source)
    assert f"a path begins within the document: write a (or {name}.{name}.a, where documents" in said


def _with_name(part: Any, name: str) -> Any:
    return json.loads(json.dumps(part).replace("document.a", f"{name}.a"))


@pytest.mark.parametrize("name", ["document", "fullDocument"])
def test_a_field_that_is_called_document_has_the_name_twice(name: str) -> None:
    """By itself it is the whole field."""
    event = change(document={name: {"a": 1, "b": 2}, "a": 3})
    assert become(event, {"drop": [f"{name}.{name}.a"]}) == {"document": {name: {"b": 2}, "a": 3}}
    assert become(event, {"drop": [name]}) == {"document": {"a": 3}}


def _kept(share: float, by: str, events: Any) -> list[int]:
    slots = run(pipeline({"sample": {"share": share, "by": by}}), events)
    return [index for index, slot in enumerate(slots) if not isinstance(slot, Filtered)]


def test_a_sample_is_the_same_whenever_it_is_taken() -> None:
    """About as large as asked for; a larger one has all of a smaller one."""
    events = [change(token=f"82{number:08X}") for number in range(2000)]
    small, again, large = (_kept(share, "event", events) for share in (0.1, 0.1, 0.5))
    assert small == again
    assert set(small) < set(large)
    assert 120 < len(small) < 280
    assert 850 < len(large) < 1150
    assert _kept(0, "event", events) == []
    assert len(_kept(1, "event", events)) == len(events)


def test_a_sample_by_document_has_all_events_of_a_document() -> None:
    """So that its consumers see whole histories."""
    events = [change(token=f"82{n:08X}", document_key={"_id": n % 100}) for n in range(300)]
    kept = {index % 100 for index in _kept(0.3, "document", events)}
    assert _kept(0.3, "document", events) == [index for index in range(300) if index % 100 in kept]
    assert 10 < len(kept) < 50


CASES = [
    {"when": "document.total > 100", "then": "high"},
    {"when": "document.total > 10", "then": {"level": 2}},
]


@pytest.mark.parametrize(
    ("document", "severity"),
    [({"total": 500}, "high"), ({"total": 50}, {"level": 2}), ({"total": 5}, "low"), ({}, "low")],
)
def test_the_first_case_that_is_true_counts(document: Any, severity: Any) -> None:
    """A field that is missing makes a case false."""
    stage = {"classify": {"target": "severity", "cases": CASES, "otherwise": "low"}}
    found = become(change(document=document), stage, {"filter": "severity != 'nothing'"})
    assert found["meta"] == {"severity": severity}
    stage = {"classify": {"target": "document.severity", "cases": CASES, "otherwise": "low"}}
    assert become(change(document=document), stage) == {"document": {**document, "severity": severity}}


def test_a_case_that_is_neither_true_nor_false_parks_the_event() -> None:
    """It says which, and not the value."""
    stage = {"classify": {"target": "severity", "cases": [*CASES, {"when": "document.name", "then": 1}]}}
    assert become(change(document={"name": "Jo"}), stage) == (
        "parked: stage classify (1): severity: case 3: gives text, and not true or false"
    )


def test_an_unknown_name_in_a_case_is_found_before_the_start() -> None:
    """With its place."""
    stage = {"classify": {"target": "severity", "cases": [{"when": "urgency == 1", "then": 1}]}}
    assert problem(stage).startswith("pipeline[0].classify.cases[0].when: column 1: unknown name 'urgency'")
