"""The stage `filter`: what goes on, what is dropped, what is parked."""

from __future__ import annotations

from typing import Any

import pytest

from eventbus.expressions.view import NAMES
from eventbus.model import Filtered
from eventbus.suggestions import listed
from tests.stages.events import become, change, pipeline, problem, run

PAID = change(document={"status": "paid", "total": 7})


@pytest.mark.parametrize(
    ("when", "is_kept"),
    [
        ("document.status == 'paid'", True),
        ("document.total > 7", False),
        ("document.nothing != 'x'", False),
        ("!has(document.nothing)", True),
        ("before == null", True),
        ("operation == 'update' && ns == 'shop.orders' && service == 'shop'", True),
    ],
)
def test_lets_through_what_the_condition_is_true_of(when: str, is_kept: bool) -> None:
    """Itself, and not a copy."""
    (slot,) = run(pipeline({"filter": when}), [PAID])
    assert (slot is PAID) == is_kept
    assert isinstance(slot, Filtered) != is_kept


def test_a_condition_that_is_neither_true_nor_false_parks_the_event() -> None:
    """It says what it got, and not its value."""
    assert (
        become(PAID, {"filter": {"when": "document.status"}})
        == "parked: stage filter (1): gives text, and not true or false"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("document.a ==", "pipeline[0].filter.when: column 14: mismatched input the end"),
        ({}, "pipeline[0].filter: missing required key 'when'"),
        (
            "urgency == 'high'",
            f"pipeline[0].filter.when: column 1: unknown name 'urgency' (known: {listed(NAMES)})",
        ),
    ],
)
def test_what_is_wrong_with_it_is_said_before_the_start(options: Any, message: str) -> None:
    """With the column."""
    assert problem({"filter": options}) == message
