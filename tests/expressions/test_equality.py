"""Expressions are values: those that compute the same are equal, whoever made them."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from eventbus.expressions import expression
from eventbus.expressions.expression import Condition, Expression


def test_written_alike_is_equal() -> None:
    """As keys, too; a condition is no expression, for it refuses what is neither true nor false."""
    one, same, other = (Expression(text) for text in ("document.a + 1", "document.a + 1", "document.a+1"))
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one != "document.a + 1"
    assert Condition("document.a") != Expression("document.a")
    assert {one: 1}[same] == 1


def test_what_it_calls_is_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """An expression may stay as it is written while another package brings its function."""
    made = []
    for place in ("math:isqrt", "math:isqrt", "math:factorial"):
        declared = {"worked": EntryPoint("worked", place, "eventbus.functions")}
        monkeypatch.setattr(expression, "declared_functions", lambda found=declared: found)
        made.append(Expression("worked(document.total)"))
    assert made[0] == made[1]
    assert made[0] != made[2]
