"""The stage `flatten`: one level of names, the same in documents and in what an update tells of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbus.stages.changes import value_in
from eventbus.stages.each import StageError
from eventbus.stages.flattening import Flattening
from tests.stages.events import become, change, pipeline, problem, read, run

ID = {"_id": {"x": 1}}
ITEMS = [{"f": 2}, 3]
DEEP = {**ID, "a": {"b": {"c": 1, "d": {}}, "e": ITEMS}, "g": None}


@pytest.mark.parametrize(
    ("options", "becomes"),
    [
        ({}, {"a_b_c": 1, "a_b_d": {}, "a_e": ITEMS, "g": None}),
        ({"separator": "__"}, {"a__b__c": 1, "a__b__d": {}, "a__e": ITEMS, "g": None}),
        ({"depth": 1}, {"a_b": {"c": 1, "d": {}}, "a_e": ITEMS, "g": None}),
        ({"paths": ["a.b", "x"]}, {"a": {"b_c": 1, "b_d": {}, "e": ITEMS}, "g": None}),
        ({"arrays": "index"}, {"a_b_c": 1, "a_b_d": {}, "a_e_0_f": 2, "a_e_1": 3, "g": None}),
        (
            {"arrays": "index", "depth": 2},
            {"a_b_c": 1, "a_b_d": {}, "a_e_0": {"f": 2}, "a_e_1": 3, "g": None},
        ),
    ],
)
def test_documents_have_one_level(options: Any, becomes: Any) -> None:
    """Before the change and after it; their id stays."""
    found = become(change(document=DEEP, before=DEEP), {"flatten": options})
    assert found == {"document": ID | becomes, "before": ID | becomes}


@pytest.mark.parametrize(
    ("options", "changed", "becomes"),
    [
        ({}, {"a.b.c": 1}, {"a_b_c": 1}),
        ({}, {"a": {"b": {"c": 1}}}, {"a_b_c": 1}),
        (
            {},
            {"a.b": {"old": {"c": 1}, "new": {"c": 2, "d": 3}}},
            {"a_b_c": {"old": 1, "new": 2}, "a_b_d": {"new": 3}},
        ),
        ({}, {"a.e.0.f": 1}, {"a_e.0.f": 1}),
        ({}, {"a.e.0": {"f": 1}}, {"a_e.0": {"f": 1}}),
        ({"arrays": "index"}, {"a.e.0.f": 1}, {"a_e_0_f": 1}),
        ({"arrays": "index"}, {"a.e": [{"f": 1}]}, {"a_e_0_f": 1}),
        ({"depth": 1}, {"a.b.c": 1}, {"a_b.c": 1}),
        ({"depth": 1}, {"a.b": {"c": 1}}, {"a_b": {"c": 1}}),
        ({"depth": 2}, {"a.b": {"c": {"d": 1}}}, {"a_b_c": {"d": 1}}),
        ({"paths": ["a.b"]}, {"a.b.c": 1, "a.e.x": 2}, {"a.b_c": 1, "a.e.x": 2}),
        (
            {"paths": ["a.b"]},
            {"a": {"old": {"b": {"c": 1}}, "new": {"b": {}}}},
            {"a": {"old": {"b_c": 1}, "new": {"b": {}}}},
        ),
        ({"paths": ["a.e"]}, {"a.0.e.f": 1}, {"a.0.e_f": 1}),
        ({"paths": ["b"]}, {"a.b": 1}, {"a.b": 1}),
    ],
)
def test_what_an_update_set_has_the_same_names(options: Any, changed: Any, becomes: Any) -> None:
    """Above the fields, at them, below them; with two sides; in arrays."""
    assert become(change(changed=changed), {"flatten": options}) == {"changed": becomes}


def test_what_an_update_removed_has_the_same_names() -> None:
    """Those of the fields of an object that was removed as a whole, where it is known."""
    removed = ["a.b", "g", "x.y"]
    assert become(change(removed=removed), {"flatten": {}}) == {"removed": ["a_b", "g", "x_y"]}
    found = become(change(removed=removed, before=DEEP), {"flatten": {}})
    assert found["removed"] == ["a_b_c", "a_b_d", "g", "x_y"]


def test_paths_of_arrays_have_the_same_names() -> None:
    """In what else is told of an update."""
    details = {"truncated_arrays": [{"field": "a.e", "new_size": 1}]}
    (slot,) = run(pipeline({"flatten": {}}), [change(details=details)])
    assert read(slot.event.details) == {"truncated_arrays": [{"field": "a_e", "new_size": 1}]}


@pytest.mark.parametrize("part", ["document", "before", "changed"])
def test_two_fields_of_one_name_park_the_event(part: str) -> None:
    """Neither is lost for the other."""
    event = change(**{part: {"a": {"b": "secret"}, "a_b": 1}})
    assert become(event, {"flatten": {}}) == "parked: stage flatten (1): a_b: two fields would have this name"


def test_an_event_that_is_flat_stays_as_it_is() -> None:
    """The bytes are those that the server sent."""
    event = change(document={"_id": 1, "a": [{"b": 1}]}, removed=["c"])
    (slot,) = run(pipeline({"flatten": {}}), [event])
    assert slot.event.document is event.document


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"separator": "."}, "a separator has no dot in it"),
        ({"separator": ""}, "must not be empty"),
        ({"depth": 0}, "must be at least 1"),
        ({"paths": ["_id.x"]}, "_id names the document: it stays as it is"),
        ({"arrays": "drop"}, "expected 'keep' or 'index'"),
    ],
)
def test_what_is_wrong_is_said_before_the_start(options: Any, message: str) -> None:
    """With what there is."""
    assert message in problem({"flatten": options})


VALUES = st.recursive(
    st.integers(), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, min_size=1), max_leaves=12
)


@given(
    st.dictionaries(st.sampled_from("abc"), VALUES),
    st.lists(st.sampled_from("abc"), min_size=1, max_size=4),
    st.integers(1, 4),
    st.sampled_from([(), ("a",), ("a.b", "c"), ("b.a.c",)]),
)
def test_an_update_tells_of_the_names_that_documents_have(
    document: Any, names: list[str], depth: int, paths: tuple[str, ...]
) -> None:
    """Whatever was set, and however much of it: it is found in the flat document where the update says."""
    flat = Flattening("_", depth, paths, has_indexes=False)
    try:
        whole = flat.document(document)
    except StageError:
        return
    value = value_in(document, names)
    if isinstance(value, int | dict):
        for path, set_to in flat.changed({".".join(names): value}).items():
            assert value_in(whole, path.split(".")) == set_to
