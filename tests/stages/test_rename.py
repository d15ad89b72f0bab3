"""The stage `rename`: fields are found under the new path wherever an event tells of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbus.stages.moves import Moves
from tests.stages.events import become, change, pipeline, problem, read, run


@pytest.mark.parametrize(
    ("paths", "document", "becomes"),
    [
        ({"a": "b"}, {"_id": 1, "a": None, "c": 2}, {"_id": 1, "c": 2, "b": None}),
        ({"a.b": "c.d"}, {"a": {"b": 1, "x": 2}}, {"a": {"x": 2}, "c": {"d": 1}}),
        ({"a.b": "a.c"}, {"a": {"b": [1, {"b": 2}]}}, {"a": {"c": [1, {"b": 2}]}}),
        ({"a": "b", "b": "a"}, {"a": 1, "b": 2}, {"b": 1, "a": 2}),
        ({"a": "b", "b": "c"}, {"a": 1, "b": 2}, {"b": 1, "c": 2}),
        ({"a": "a.value"}, {"a": 1}, {"a": {"value": 1}}),
        ({"a": "b"}, {"_id": {"a": 1}}, {"_id": {"a": 1}}),
        ({"items.sku": "items.code"}, {"items": [{"sku": 1}]}, {"items": [{"sku": 1}]}),
    ],
)
def test_a_field_has_its_new_path(paths: Any, document: Any, becomes: Any) -> None:
    """Both before and after the change; names may change places; arrays are left alone."""
    found = become(change(document=document, before=document), {"rename": paths})
    assert found == {"document": becomes, "before": becomes}


@pytest.mark.parametrize(
    ("paths", "changed", "becomes"),
    [
        ({"a.b": "c"}, {"a.b": 1}, {"c": 1}),
        ({"a.b": "c"}, {"a.b.d.0": 1}, {"c.d.0": 1}),
        ({"a.b": "c"}, {"a": {"b": 1, "x": 2}}, {"a": {"x": 2}, "c": 1}),
        ({"a.b": "c"}, {"a": {"old": {"b": 1}, "new": {"b": 2, "x": 3}}},
         {"a": {"old": {}, "new": {"x": 3}}, "c": {"old": 1, "new": 2}}),
        ({"a.b": "c"}, {"a.b": {"old": 1, "new": 2}}, {"c": {"old": 1, "new": 2}}),
        ({"a.old": "a.was"}, {"a": {"old": 1}}, {"a": {"was": 1}}),
        ({"a": "b.c"}, {"a": 1, "b": {"x": 2}}, {"b": {"x": 2, "c": 1}}),
        ({"a": "b.c"}, {"a": {"old": 1, "new": 2}, "b": {"old": {}, "new": {"x": 3}}},
         {"b": {"old": {"c": 1}, "new": {"x": 3, "c": 2}}}),
        ({"a": "b", "b": "a"}, {"a": 1, "b": 2}, {"b": 1, "a": 2}),
        ({"a": "b"}, {"ab": 1}, {"ab": 1}),
    ],
)  # fmt: skip
def test_what_an_update_set_is_told_by_the_new_path(paths: Any, changed: Any, becomes: Any) -> None:
    """Above the field, at it, below it; with two sides too."""
    assert become(change(changed=changed), {"rename": paths}) == {"changed": becomes}


def test_what_an_update_removed_is_told_by_the_new_path() -> None:
    """What was removed as a whole takes along what was moved out of it."""
    removed = ["a.b", "c", "d.e", "x", "f"]
    stage = {"rename": {"a.b": "b", "c.d": "d2", "d": "dd", "y": "f"}}
    assert become(change(removed=removed), stage) == {"removed": ["b", "c", "d2", "dd.e", "x"]}


def test_paths_of_arrays_are_told_by_the_new_path() -> None:
    """In what else is told of an update."""
    details = {
        "truncated_arrays": [{"field": "a.tags", "new_size": 1}, {"field": "b", "new_size": 2}],
        "disambiguated_paths": {"a.0.x": ["a", "0", "x"]},
    }
    (slot,) = run(pipeline({"rename": {"a": "c.d"}}), [change(details=details)])
    assert read(slot.event.details) == {
        "truncated_arrays": [{"field": "c.d.tags", "new_size": 1}, {"field": "b", "new_size": 2}],
        "disambiguated_paths": {"c.d.0.x": ["c", "d", "0", "x"]},
    }


@pytest.mark.parametrize("part", ["document", "before", "changed"])
@pytest.mark.parametrize("there", [None, "secret"])
def test_a_path_that_is_taken_parks_the_event(part: str, there: Any) -> None:
    """Even by null; no value is shown."""
    event = change(**{part: {"a": "secret", "b": {"c": there}}})
    assert become(event, {"rename": {"a": "b.c"}}) == "parked: stage rename (1): a: b.c is there already"


def test_nothing_is_put_into_what_is_no_object() -> None:
    """Nothing is overwritten."""
    event = change(document={"a": 1, "b": "secret"})
    assert become(event, {"rename": {"a": "b.c"}}) == (
        "parked: stage rename (1): b.c: b is no object that could hold it"
    )


def test_an_event_without_the_field_stays_as_it_is() -> None:
    """The bytes are those that the server sent."""
    event = change(document={"b": 1}, removed=["b"])
    (slot,) = run(pipeline({"rename": {"a": "c"}}), [event])
    assert slot.event.document is event.document


def test_it_may_be_written_out() -> None:
    """And a field may be called like the option."""
    assert become(change(document={"a": 1}), {"rename": {"fields": {"a": "b"}}}) == {"document": {"b": 1}}
    assert become(change(document={"fields": 1}), {"rename": {"fields": "b"}}) == {"document": {"b": 1}}


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ({}, "must not be empty"),
        ({"a": "c", "b": "c"}, "c is there twice"),
        ({"a": "c", "b": "c.d"}, "c.d lies within c, which is there as well"),
        ({"a": "c", "a.b": "d"}, "a.b lies within a, which is there as well"),
        ({"a": "a"}, "a has that name already"),
        ({"a": "_id"}, "_id names the document: it stays as it is"),
        ({"_id": "a"}, "_id names the document: it stays as it is"),
        ({"a": "$b"}, "expected a path of a field, such as payment.status"),
    ],
)
def test_what_is_wrong_is_said_before_the_start(paths: Any, message: str) -> None:
    """In the short form and in the long one."""
    assert message in problem({"rename": paths})
    assert message in problem({"rename": {"fields": paths}})


VALUES = st.recursive(
    st.integers(-9, 9) | st.none(), lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=3)
)


@given(st.dictionaries(st.sampled_from("abcd"), VALUES))
def test_moving_there_and_back_changes_nothing(document: Any) -> None:
    """Whatever the fields hold."""
    there, back = Moves({"a": "x", "b": "y.z"}), Moves({"x": "a", "y.z": "b"})
    returned = dict(back.in_document(there.in_document(document)))
    returned.pop("y", None)
    assert returned == document
    assert dict(back.in_changed(there.in_changed(document))) == document
