"""The scanner finds what an expression names, and no more."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbus.expressions.expression import Condition, Expression
from eventbus.expressions.scanning import scanned, with_doubles
from eventbus.expressions.view import View
from tests.stages.events import change


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("document.a.b == 'document.c'", ["document.a.b"]),
        ("document['a'][\"b\"].c", ["document.a.b.c"]),
        ("document.a[0].b", ["document.a"]),
        ("document[operation]", ["document", "operation"]),
        ("document.a.size() > 1", ["document.a"]),
        ("document.items.exists(i, i.price > document.max)", ["document.items", "document.max"]),
        ("document.a.map(x, x.map(y, y + x))", ["document.a"]),
        ("document.a.exists(x, x > 0) && has(document.x)", ["document.a", "document.x"]),
        ("math.greatest(document.a, before.a)", ["document.a", "before.a"]),
        ("{'a': document.a}.a", ["document.a"]),
        ("'''document.a''' + r\"\\\" + document.b", ["document.b"]),
        ("true && false || null == document.a // document.b", ["document.a"]),
        ("1.5e3 > document . a", ["document.a"]),
        ("operation in ['insert', 'update']", ["operation"]),
        ("document.in_stock", ["document.in_stock"]),
    ],
)
def test_paths(text: str, paths: list[str]) -> None:
    """In the order of the text; names that macros bind are none."""
    assert [".".join(mention.names) for mention in scanned(text).mentions] == paths


@pytest.mark.parametrize(
    ("text", "doubles"),
    [
        ("document.a * 2 + 10", "document.a * 2.0 + 10.0"),
        ("document.a[0] - 1.5", "document.a[0] - 1.5"),
        ("substring(document.a, 0, 3)", "substring(document.a, 0, 3)"),
        ("'2 * 3' + document.a", "'2 * 3' + document.a"),
        ("0x1F * document.a", "0x1F * document.a"),
    ],
)
def test_whole_numbers_of_sums_become_doubles(text: str, doubles: str) -> None:
    """And no index, no argument and no text does."""
    assert with_doubles(text) == doubles


NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=6).filter(
    lambda name: (
        name not in {"as", "if", "in", "for", "let", "var", "else", "loop", "null", "true", "void"}
        and name not in {"break", "const", "false", "while", "import", "return"}
    )
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.text(max_size=5),
    lambda inner: st.dictionaries(NAMES, inner, max_size=3) | st.lists(inner, max_size=3),
    max_leaves=8,
)


@given(document=st.dictionaries(NAMES, VALUES, max_size=4), path=st.lists(NAMES, min_size=1, max_size=3))
def test_a_path_is_there_exactly_if_python_finds_it(document: dict[str, Any], path: list[str]) -> None:
    """`has`, a comparison with null, and the value itself agree; null counts as missing."""
    value: Any = document
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    view = View(change(document=document))
    written = ".".join(["document", *path])
    assert Expression(written).value(view) == value
    assert Condition(f"has({written})").holds(view) == (value is not None)
    assert Condition(f"!has({written})").holds(view) == (value is None)
    assert Condition(f"{written} == null").holds(view) == (value is None)
    assert Condition(f"{written} != null").holds(view) == (value is not None)
    if isinstance(value, int | str) and not isinstance(value, bool):
        assert Condition(f"{written} == {written}").holds(view)


@given(text=st.text(string.printable, max_size=30))
def test_any_text_is_an_expression_or_is_refused_in_one_line(text: str) -> None:
    """Nothing else is raised, whatever is written."""
    assert "\n" not in _refusal(text)


def _refusal(text: str) -> str:
    try:
        return Expression(text).unknown_name() or ""
    except ValueError as error:
        return str(error) or "\n"
