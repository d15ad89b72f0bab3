"""The stage `map`: documents have exactly the fields that are named."""

from __future__ import annotations

from typing import Any

import pytest
from bson import Decimal128

from tests.stages.events import become, change, problem

FIELDS = {"sku": "document.code", "price.total": "document.price * document.count", "of": "operation"}


def test_documents_have_the_named_fields_and_their_id() -> None:
    """After the change and before it, each by its own values; a path alone keeps its type."""
    after = {"_id": 7, "code": Decimal128("1.10"), "price": 2.5, "count": 4, "note": "x"}
    before = {**after, "count": 2}
    assert become(change(document=after, before=before), {"map": {"fields": FIELDS}}) == {
        "document": {"_id": 7, "sku": Decimal128("1.10"), "price": {"total": 10.0}, "of": "update"},
        "before": {"_id": 7, "sku": Decimal128("1.10"), "price": {"total": 5.0}, "of": "update"},
    }


def test_what_is_missing_is_null() -> None:
    """As with `set`; a document without an id gets none."""
    found = become(change(document={"price": 1}), {"map": {"fields": FIELDS}})
    assert found == {"document": {"sku": None, "price": {"total": None}, "of": "update"}}


def test_a_delete_stays_one() -> None:
    """Nothing is made of nothing."""
    assert become(change(operation="delete"), {"map": {"fields": FIELDS}}) == {}


@pytest.mark.parametrize(
    ("changed", "becomes"),
    [
        ({"code": 1, "note": 2}, {"sku": 1}),
        ({"code.x": 1}, {"sku.x": 1}),
        ({"inner": {"a": 1, "b": 2}}, {"a": 1, "again.a": 1}),
        ({"inner.a": {"old": 1, "new": 2}}, {"a": {"old": 1, "new": 2}, "again.a": {"old": 1, "new": 2}}),
        ({"inner": {"old": {"a": 1}, "new": {}}}, {"a": {"old": 1}, "again.a": {"old": 1}}),
        ({"price": 3}, {}),
    ],
)
def test_an_update_tells_of_fields_that_are_copied(changed: Any, becomes: Any) -> None:
    """By their new names; of computed ones it tells nothing."""
    stage = {"map": {"fields": {**FIELDS, "a": "document.inner.a", "again.a": "document.inner.a"}}}
    found = become(change(changed=changed, removed=["price"]), stage)
    assert found == ({"changed": becomes} if becomes else {})


def test_what_was_removed_is_told_by_its_new_names() -> None:
    """At the field, below it, and above it."""
    stage = {"map": {"fields": {"a": "document.x", "b": "document.y.z"}}}
    found = become(change(removed=["x", "x.y", "y", "z"]), stage)
    assert found == {"removed": ["a", "a.y", "b"]}


def test_what_has_no_result_is_parked_without_its_values() -> None:
    """The field is named."""
    found = become(change(document={"code": "secret"}), {"map": {"fields": {"a.b": "document.code > 1"}}})
    assert found == "parked: stage map (1): a.b: the types of its values do not go together"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "must not be empty"),
        ({"_id": "document.x"}, "_id names the document: it stays as it is"),
        ({"a": "1", "a.b": "2"}, "a.b lies within a, which is there as well"),
        ({"a": "document.x +"}, "a: column 13"),
        ({"a": "dokument.x"}, "a: column 1: unknown name 'dokument', did you mean 'document'?"),
    ],
)
def test_what_is_wrong_is_said_before_the_start(fields: Any, message: str) -> None:
    """With its place."""
    assert message in problem({"map": {"fields": fields}})
