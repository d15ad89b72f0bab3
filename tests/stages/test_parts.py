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


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("items.card", {"document": {"items": [{"card": "4111"}, {"card": "4111", "x": "else"}]}}),
        ("items.0.card", {"document": {"items": [{"card": "4111"}, {"card": "else"}]}}),
        ("items.0.card", {"document": {"items": {"0": {"card": "4111"}, "1": {"card": "else"}}}}),
        ("items.0.card", {"before": {"items": [{"0": {"card": "4111"}}, {"card": "else"}]}}),
        ("items.0.card", {"changed": {"items.0": {"card": "4111", "x": "else"}}}),
        ("items.0.card", {"changed": {"items.0.card": "4111", "items.1.card": "else"}}),
        ("items.0.card", {"changed": {"items": {"old": [{"card": "4111"}], "new": [{"x": "else"}]}}}),
        ("tags.1", {"document": {"tags": ["else", "4111"]}}),
        ("a.0.1.b", {"document": {"a": [[{"b": "else"}, {"b": "4111"}]]}}),
        ("who.card", {"document": {"who.card": "4111", "x": "else"}}),
        ("who.card.number", {"before": {"who": {"card.number": "4111", "x": "else"}}}),
        ("who.old", {"changed": {"who": {"old": {"old": "4111"}, "new": {"old": "4111"}}}}),
        ("who.old", {"changed": {"who": {"old": "4111", "new": "else"}}}),
    ],
)
def test_whatever_a_path_may_mean_is_dropped(path: str, parts: Any) -> None:
    """As it is masked: a place in an array, a name with a dot in it, a field called as a side of a delta."""
    found = become(change(**parts), {"drop": [path]})
    assert "4111" not in str(found)
    assert ("else" in str(found)) == ("else" in str(parts))


def test_paths_that_go_through_the_same_array_are_all_dropped() -> None:
    """One with a place and one without; what is left out at a place leaves null, and the others stay."""
    event = change(
        document={"items": [{"a": 1, "b": 2, "c": 3}, {"a": 4, "b": 5, "c": 6}, {"c": 7}]},
        changed={"items.0.a": 1, "items.0.b": 2, "items.0.c": 3, "items.1.a": 4, "items.1.b": 5},
    )
    assert become(event, {"drop": ["items.0.a", "items.b", "items.2"]}) == {
        "document": {"items": [{"c": 3}, {"a": 4, "c": 6}, None]},
        "changed": {"items.0.c": 3, "items.1.a": 4},
    }


def test_a_place_in_an_array_is_kept() -> None:
    """With what is meant of each item; as elsewhere, of other values nothing is left."""
    items = [{"a": 1, "b": 2}, {"a": 3, "b": 4}, 5]
    event = change(document={"items": items, "tags": [1, 2]}, changed={"items.0.a": 1, "items.1.a": 3})
    assert become(event, {"project": ["items.0.a", "items.b", "tags.1"]}) == {
        "document": {"items": [{"a": 1, "b": 2}, {"b": 4}], "tags": [2]},
        "changed": {"items.0.a": 1},
    }
    assert become(event, {"project": ["items.0"]}) == {
        "document": {"items": [items[0], {}]},
        "changed": {"items.0.a": 1},
    }


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
