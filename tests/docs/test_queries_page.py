"""The page about queries has every field, operator and option, and its examples are queries."""

from __future__ import annotations

import json

import pytest

from eventbus.errors import ConfigurationError
from eventbus.model import Failure
from eventbus.state.pattern import Pattern
from eventbus.state.query import OPERATORS, parse
from eventbus.state.query_tree import DOCUMENT_KEY, FIELDS
from eventbus.state.store import LetterStatus
from tests.docs.pages import ROOT, Block, blocks, code_spans, tables

PAGE = ROOT / "docs/queries.md"
SHOWN = tables(PAGE)


def _first_column(heading: str) -> list[str]:
    return [row[0].strip("`") for row in SHOWN[heading]]


def test_every_field_is_described() -> None:
    assert sorted(_first_column("Fields")) == sorted([*FIELDS, f"{DOCUMENT_KEY}<path>"])


def test_null_is_said_of_the_fields_that_may_be_null() -> None:
    said = {row[0].strip("`") for row in SHOWN["Fields"] if "null" in row[1]}
    assert said == {name for name, field in FIELDS.items() if field.nullable}


def test_every_operator_is_described() -> None:
    assert sorted(_first_column("Operators")) == sorted(OPERATORS)


def test_every_option_of_patterns_is_described() -> None:
    options = [letter for letter in map(chr, range(ord("a"), ord("z") + 1)) if _is_option(letter)]
    assert sorted(_first_column("Patterns")) == options


def test_every_kind_and_status_is_named() -> None:
    spans = set(code_spans(PAGE))
    assert {*map(str, Failure), *map(str, LetterStatus)} <= spans


@pytest.mark.parametrize("block", blocks("json", PAGE), ids=str)
def test_an_example_is_a_query(block: Block) -> None:
    parse(json.loads(block.text))


def test_a_mistake_is_shown_as_it_is_said() -> None:
    (shown,) = [block.text for block in blocks("", PAGE) if "reson" in block.text]
    with pytest.raises(ConfigurationError) as caught:
        parse({"$or": [{"route": "x"}, {"reson": "x"}]})
    assert str(caught.value).startswith(shown.removesuffix("…\n"))


def _is_option(letter: str) -> bool:
    try:
        Pattern("", letter)
    except ValueError:
        return False
    return True
