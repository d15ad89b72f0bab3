"""An integer ``_id`` is found in the bytes, and written as if the document had been decoded."""

from __future__ import annotations

import bson
import orjson
import pytest
from bson import Int64
from hypothesis import example, given
from hypothesis import strategies as st

from eventbus.canonical import canonical_json, integer_id
from eventbus.encoding.json import relaxed_json
from eventbus.encoding.subject import subject_attribute

_EDGE = 2**53

_integers = st.integers(-(2**63), 2**63 - 1).map(Int64) | st.integers(-(2**31), 2**31 - 1)


@given(_integers)
@example(0)
@example(-1)
@example(Int64(_EDGE))
@example(Int64(_EDGE + 1))
@example(Int64(-_EDGE - 1))
@example(Int64(-(2**63)))
def test_it_is_written_as_the_decoded_document_is(number: int) -> None:
    raw, decoded = bson.encode({"_id": number}), {"_id": number}
    assert integer_id(raw) == number
    assert canonical_json(raw) == canonical_json(decoded)
    assert orjson.loads(relaxed_json(raw)) == decoded
    assert subject_attribute(raw) == subject_attribute(decoded)


@pytest.mark.parametrize(
    "document",
    [{"_id": 1, "a": 2}, {"_id": 1.0}, {"_id": "1"}, {"_ix": 1}, {"_id": True}, {"_id": None}, {}],
)
def test_nothing_else_is_taken_for_one(document: dict[str, object]) -> None:
    assert integer_id(bson.encode(document)) is None
