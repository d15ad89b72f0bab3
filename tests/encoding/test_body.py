"""Bodies that users lay out: the right values, and JSON whatever the values are."""

from __future__ import annotations

import re
from typing import Any

import bson
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventbus.encoding.body import checked_body
from tests.encoding.changes import OBJECT_ID, change, encoder
from tests.sources.bson_values import VALUES

DOCUMENT = bson.encode(
    {
        "_id": OBJECT_ID,
        "name": 'A "B"\n',
        "n": 2**60,
        "items": [{"sku": "x"}, {"sku": "y"}],
        "f": float("nan"),
    }
)


def _rendered(body: Any, json: str = "relaxed", **parts: Any) -> Any:
    event = change(document=DOCUMENT, **parts)
    return orjson.loads(encoder(body=body, json=json).encode(event))


def test_a_name_alone_is_the_value_with_its_type() -> None:
    """In the JSON mode of the route; null where there is nothing."""
    body = {
        "id": "{document._id}",
        "n": "{document.n}",
        "f": "{document.f}",
        "sku": "{document.items.1.sku}",
        "missing": ["{document.nobody.x}", "{before}", "{document.items.7}", "{document.name.x}"],
        "constant": 7,
        "nested": {"key": "{document_key}", "removed": "{removed}"},
    }
    assert _rendered(body, "plain") == {
        "id": str(OBJECT_ID),
        "n": str(2**60),
        "f": "NaN",
        "sku": "y",
        "missing": [None, None, None, None],
        "constant": 7,
        "nested": {"key": {"_id": str(OBJECT_ID)}, "removed": ["note"]},
    }
    assert _rendered(body)["id"] == {"$oid": str(OBJECT_ID)}
    assert _rendered(body)["f"] == {"$numberDouble": "NaN"}


def test_every_name_stands_for_its_part() -> None:
    """Those of the event, and those of the subscription."""
    names = ["event_id", "operation", "database", "collection", "cluster_time", "time_ms", "subscription"]
    event = change()
    assert _rendered([f"{{{name}}}" for name in [*names, "service", "changed"]]) == [
        event.id,
        "update",
        "shop",
        "orders",
        "1700000000.7",
        1_700_000_000_045,
        "order-events",
        "orders",
        {"status": "paid"},
    ]
    assert _rendered("{cluster_time}", cluster_time=None) is None


def test_in_a_longer_text_values_are_text() -> None:
    """Nothing for what is missing; braces by doubling them."""
    assert _rendered("{operation} of {document._id}: {document.n} {{x}}{document.nobody}") == (
        f"update of {OBJECT_ID}: {2**60} {{x}}"
    )
    assert _rendered("a {document.items} b") == 'a [{"sku":"x"},{"sku":"y"}] b'


@settings(max_examples=60)
@given(value=VALUES, text=st.text(st.characters(blacklist_categories=["Cs"])))
@pytest.mark.parametrize("json", ["relaxed", "canonical", "plain"])
def test_no_value_leaves_its_place(value: Any, text: str, json: str) -> None:
    """Quotes, braces, templates in documents: they are values, and the body is JSON."""
    event = change(document=bson.encode({"v": value, "t": text}))
    body = encoder(body={"v": "{document.v}", "t": "<{document.t}>", "end": 1}, json=json).encode(event)
    read = orjson.loads(body)
    assert list(read) == ["v", "t", "end"]
    assert read["t"] == f"<{text}>"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("{documnt.x}", "unknown name {documnt.x}, did you mean 'document'?"),
        ({"a": ["{document.x"]}, "write {{ and }} for braces"),
        ("{}", "unknown name {}"),
        ("{operation!r}", "unknown name {operation}"),
        ("{time_ms:x}", "unknown name {time_ms}"),
    ],
)
def test_a_layout_is_checked_before_anything_runs(body: Any, why: str) -> None:
    """So that nothing about it can fail when an event comes."""
    with pytest.raises(ValueError, match=re.escape(why)):
        checked_body(body)
