"""The stage `upcast`: whatever version a document has, consumers see the newest."""

from __future__ import annotations

from typing import Any

import pytest
from bson import Int64
from hypothesis import given
from hypothesis import strategies as st

from tests.stages.events import become, change, pipeline, problem, run, told


def _of(document: Any, *steps: Any, **options: Any) -> Any:
    """What steps from version 1 to 2 make of a document, less the version."""
    found = become(change(document=document), {"upcast": {"versions": {2: list(steps)}, **options}})
    if isinstance(found, str):
        return found
    assert found["document"].pop("_schema_version") == 2
    return found["document"]


@pytest.mark.parametrize(
    ("step", "document", "becomes"),
    [
        ({"add": {"b.c": [1]}}, {"b": {}}, {"b": {"c": [1]}}),
        ({"add": {"a": 1}}, {"a": None}, {"a": None}),
        ({"rename": {"a": "b.c"}}, {"a": 1}, {"b": {"c": 1}}),
        ({"transform": {"a": "document.b", "b": "document.a"}}, {"a": 1, "b": 2}, {"a": 2, "b": 1}),
        ({"transform": {"a": "document.nothing + 1"}}, {}, {"a": None}),
        (
            {"restructure": {"nest": {"o.p": ["a", "x.b"]}}},
            {"a": 1, "x": {"b": 2}},
            {"x": {}, "o": {"p": {"a": 1, "b": 2}}},
        ),
        ({"restructure": {"nest": {"o": ["a"]}}}, {"a": 1, "o": {"z": 0}}, {"o": {"z": 0, "a": 1}}),
        (
            {"restructure": {"unnest": ["o", "x.y"]}},
            {"o": {"a": 1}, "x": {"y": {"b": 2}}},
            {"a": 1, "x": {"b": 2}},
        ),
        ({"restructure": {"unnest": ["o", "p"]}}, {"o": None}, {"o": None}),
        ({"restructure": {"unnest": ["o"]}}, {"o": {"o": 1}}, {"o": 1}),
        ({"convert": {"a.b": "int"}}, {"a": [{"b": ["1", None]}]}, {"a": [{"b": [1, None]}]}),
        ({"convert": {"a": "array"}}, {"a": 1}, {"a": [1]}),
        (
            {"when": "document.a > 1", "steps": [{"add": {"b": 1}}, {"transform": {"c": "document.b"}}]},
            {"a": 2},
            {"a": 2, "b": 1, "c": 1},
        ),
        ({"when": "document.a > 1", "steps": [{"add": {"b": 1}}]}, {"a": 1}, {"a": 1}),
        ({"when": "document.a > 1", "steps": [{"add": {"b": 1}}]}, {}, {}),
    ],
)
def test_steps(step: Any, document: Any, becomes: Any) -> None:
    """Each kind."""
    assert _of(document, step) == becomes


def test_each_step_sees_what_the_one_before_it_left() -> None:
    """Within a version and from one to the next."""
    versions = {
        3: [{"transform": {"b": "document.b + 1"}}],
        2: [{"rename": {"a": "b"}}, {"transform": {"b": "document.b * 10"}}],
    }
    found = become(change(document={"a": 1}), {"upcast": {"versions": versions}})
    assert found == {"document": {"b": 11, "_schema_version": 3}}


@pytest.mark.parametrize(
    ("version", "done"),
    [
        ({}, "234"),
        ({"v": None}, "234"),
        ({"v": 1}, "234"),
        ({"v": 0}, "234"),
        ({"v": Int64(2)}, "34"),
        ({"v": 3.0}, "4"),
        ({"v": 4}, ""),
    ],
)
def test_only_the_steps_from_its_own_version_on_are_done(version: Any, done: str) -> None:
    """To each document by itself."""
    stage = {"upcast": {"field": "m.v", "versions": {n: [{"add": {f"s{n}": True}}] for n in (2, 3, 4)}}}
    found = become(change(document={"m": version}, before={"m": {"v": 3}}), stage)
    document = found["document"]
    assert sorted(name[1:] for name in document if name != "m") == list(done)
    assert document["m"]["v"] == 4
    assert found["before"] == {"m": {"v": 4}, "s4": True}


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        (5, "the version is newer than 2, the newest that is known"),
        (1.5, "the version is no whole number"),
        ("2", "the version is no whole number"),
        (True, "the version is no whole number"),
        (float("nan"), "the version is no whole number"),
        (float("inf"), "the version is no whole number"),
    ],
)
@pytest.mark.parametrize("part", ["document", "before"])
def test_an_unknown_version_parks_the_event(part: str, version: Any, reason: str) -> None:
    """Nobody guesses what it means."""
    event = change(**{part: {"_schema_version": version}})
    stage = {"upcast": {"versions": {2: [{"add": {"a": 1}}]}}}
    assert become(event, stage) == f"parked: stage upcast (1): _schema_version: {reason}"


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ({"rename": {"a": "b"}}, "a: b is there already"),
        ({"convert": {"b": "int"}}, "b: text cannot become int"),
        ({"transform": {"c": "document.b > 1"}}, "c: the types of its values do not go together"),
        ({"restructure": {"unnest": ["b"]}}, "b: is no object whose fields could be taken out"),
        ({"restructure": {"unnest": ["o"]}}, "o: a is there already"),
        ({"restructure": {"nest": {"o": ["a"]}}}, "a: o.a is there already"),
        ({"restructure": {"nest": {"b": ["a"]}}}, "b.a: b is no object that could hold it"),
        ({"add": {"b.c": 1}}, "b.c: b is no object that could hold it"),
        ({"when": "document.b", "steps": [{"add": {"c": 1}}]}, "gives text, and not true or false"),
        ({"when": "true", "steps": [{"convert": {"b": "date"}}]}, "b: text cannot become date"),
    ],
)
def test_a_step_that_cannot_be_done_parks_the_event(step: Any, reason: str) -> None:
    """With its version and number, and without values."""
    found = _of({"a": 1, "b": "secret", "o": {"a": 2}}, {"add": {"z": 1}}, step)
    assert found == f"parked: stage upcast (1): version 2, step 2: {reason}"


def test_old_fields_may_stay() -> None:
    """For those who know no others yet."""
    steps = [
        {"rename": {"a": "b"}},
        {"restructure": {"nest": {"o": ["c"]}}},
        {"restructure": {"unnest": ["p"]}},
    ]
    document = {"a": 1, "c": 2, "p": {"d": 3}}
    assert _of(document, *steps, keep_old=True) == {**document, "b": 1, "o": {"c": 2}, "d": 3}
    assert _of(document, *steps) == {"b": 1, "o": {"c": 2}, "d": 3}


def test_the_newest_version_stays_as_it_is() -> None:
    """The bytes are those that the server sent; and what an update set is left alone."""
    event = change(document={"_schema_version": 2, "a": 1}, changed={"a": 1}, removed=["b"])
    (slot,) = run(pipeline({"upcast": {"versions": {2: [{"rename": {"a": "b"}}]}}}), [event])
    assert slot.event.document is event.document
    assert slot.event.changed is event.changed
    assert slot.event.removed == ["b"]


TWICE = pipeline(
    {
        "upcast": {
            "versions": {
                2: [{"transform": {"a": "1"}}],
                3: [{"add": {"b": 1}}, {"transform": {"c": "document.a"}}],
            }
        }
    }
)


@given(st.dictionaries(st.sampled_from(["a", "b", "c", "_schema_version"]), st.integers(1, 3)))
def test_done_twice_it_is_done_once(document: Any) -> None:
    """A document that is sent again is the same."""
    (first,) = run(TWICE, [change(document=document)])
    (second,) = run(TWICE, [change(document=told(first)["document"])])
    assert told(second) == told(first)


@pytest.mark.parametrize(
    ("versions", "message"),
    [
        ({}, "must not be empty"),
        ({1: []}, "expected the number of a version from 2 on"),
        ({"02": []}, "expected the number of a version from 2 on"),
        ({"two": []}, "expected the number of a version from 2 on"),
        ({2: [{}]}, "expected one of add, rename, transform, restructure, convert, when in each step"),
        ({2: [{"add": {"a": 1}, "convert": {"a": "int"}}]}, "expected one of add, rename"),
        ({2: [{"when": "true"}]}, "when and steps belong together"),
        ({2: [{"steps": [{"add": {"a": 1}}]}]}, "expected one of add, rename"),
        ({2: [{"add": {"a": 1}, "steps": [{"add": {"a": 1}}]}]}, "when and steps belong together"),
        ({2: [{"when": "true", "steps": [{}]}]}, "restructure, convert in each step"),
        ({2: [{"transform": {"a": "dokument.x"}}]}, "[0].transform.a: column 1: unknown name 'dokument'"),
        ({2: [{"when": "true", "steps": [{"transform": {"a": "x("}}]}]}, "steps[0].transform.a: column 3"),
        ({2: [{"rename": {"a": "c", "b": "c"}}]}, "c is there twice"),
        ({2: [{"restructure": {}}]}, "expected nest or unnest"),
        ({2: [{"restructure": {"nest": {"o": ["a", "b.a"]}}}]}, "o.a is there twice"),
        ({2: [{"restructure": {"nest": {"o": ["a"], "p": ["a"]}}}]}, "a is there twice"),
        ({2: [{"add": {"_id": 1}}]}, "_id names the document: it stays as it is"),
    ],
)
def test_what_is_wrong_is_said_before_the_start(versions: Any, message: str) -> None:
    """With its place."""
    assert message in problem({"upcast": {"versions": versions}})
