"""`changed` is asked by path, however the server wrote the paths of an update."""

from __future__ import annotations

from typing import Any

import pytest

from eventbus.expressions.expression import Condition, Expression
from eventbus.expressions.view import View, Views
from tests.stages.events import change

CHANGED = {"payment.status": "paid", "items.0.price": 5, "address": {"city": "Graz"}, "note": None}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("changed.payment.status", "paid"),
        ("changed['payment.status']", "paid"),
        ("changed.payment", {"status": "paid"}),
        ("changed.address.city", "Graz"),
        ("changed.items", {"0": {"price": 5}}),
        ("changed.payment.method", None),
        ("changed.note", None),
        ("has(changed.note)", True),
        ("changed.note > 5", None),
        ("has(changed.addres)", False),
        ("changed.addres", None),
        ("changed.size()", 4),
        ("changed.exists(path, path.startsWith('payment.'))", True),
    ],
)
def test_what_was_set_at_a_path_below_it_and_above_it(text: str, value: Any) -> None:
    """As a reader of the document would name it."""
    assert Expression(text).value(View(change(changed=CHANGED))) == value


def test_an_insert_changed_nothing() -> None:
    """Asking is no mistake."""
    view = View(change(operation="insert", document={"a": 1}))
    assert not Condition("has(changed.a)").holds(view)
    assert Condition("changed == null").holds(view)


def test_views_are_kept_within_their_size_and_never_mixed_up() -> None:
    """A small bound forgets views; what is seen stays right."""
    views = Views(max_size=3000)
    events = [change(token=f"{number:04}", document={"n": number}) for number in range(50)]
    assert views.of(events[0]) is views.of(events[0])
    for _ in range(2):
        assert [Expression("document.n").value(views.of(event)) for event in events] == list(range(50))
    assert len(views._kept) < 5
