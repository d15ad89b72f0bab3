"""Decoded documents come back with the same values, whatever they hold."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import bson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventbus.state.values import decode_text, encode_text, pack, unpack
from tests.state.letters import beyond_bson, everything, nested

any_text = st.text(st.characters(codec=None, exclude_categories=()), max_size=6)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.binary(),
    any_text,
    st.decimals(allow_nan=False),
    st.uuids(),
    st.datetimes(timezones=st.none() | st.just(timezone(timedelta(hours=-3)))),
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(any_text, values, max_size=4))
def test_any_document_comes_back_equal(document: dict[str, Any]) -> None:
    assert unpack(pack(document)) == document


@given(any_text)
def test_any_text_comes_back_equal(text: str) -> None:
    assert decode_text(encode_text(text)) == text


def types_of(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: types_of(item) for name, item in value.items()}
    return [types_of(item) for item in value] if isinstance(value, list) else type(value)


@pytest.mark.parametrize("document", [everything(), beyond_bson()], ids=["bson", "beyond"])
def test_types_come_back_too(document: dict[str, Any]) -> None:
    assert types_of(unpack(pack(document))) == types_of(document)


def test_what_bson_can_hold_is_kept_as_bson() -> None:
    assert pack(everything()).endswith(bson.encode(everything()))


def test_a_time_zone_is_kept() -> None:
    moment = datetime(2024, 1, 1, microsecond=1, tzinfo=timezone(timedelta(hours=5)))
    kept = unpack(pack({"t": moment}))["t"]
    assert kept.isoformat() == moment.isoformat()


def test_what_is_too_deep_even_for_the_tree_is_cut_and_not_refused() -> None:
    kept = unpack(pack(nested(400, "\ud800")))
    assert isinstance(kept["in"], dict | list)
