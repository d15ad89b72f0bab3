"""Keys by template: every part of an event that may be in one."""

from __future__ import annotations

from typing import Any

import bson
import pytest

from eventbus.encoding.keys import KeyTemplate
from eventbus.model import Event

OID = bson.ObjectId("64b7f0c2a1b2c3d4e5f60718")
EVENT = Event(
    token="8201",
    operation="update",
    database="shop",
    collection="products",
    document_key=bson.encode({"_id": OID}),
    document=bson.encode({"category": "tea", "price": 7.0, "none": None}),
    before=bson.encode({"category": "mugs"}),
    changed=bson.encode({"a.b": 1}),
    attributes={"severity": "high", "shelf": {"row": 3}},
)


@pytest.mark.parametrize(
    ("template", "key"),
    [
        ("{collection}:{document_key._id}", f"products:{OID}"),
        ("{before.category}/{document.category}", "mugs/tea"),
        ("p{document.price}", "p7"),
        ("{changed.a.b}", "1"),
        ("{meta.severity}:{meta.shelf.row}", "high:3"),
        ("{meta.nothing}", None),
        ("{document.none}", None),
        ("{{x}}", "{x}"),
    ],
)
def test_a_key_is_made_of_any_part_of_an_event(template: str, key: Any) -> None:
    """What is missing or null makes none."""
    assert KeyTemplate(template).render(EVENT) == key


def test_an_event_without_names_of_stages_has_no_key_of_them() -> None:
    """Not a fault."""
    event = Event(token="8201", operation="insert", database="shop", collection="products")
    assert KeyTemplate("{meta.severity}").render(event) is None
