"""An event with other parts is the same change: its place, id and key stay, whatever else is replaced."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import pytest

from eventbus.model import ClusterTime, Event, PositionKind

PARTS: dict[str, Any] = {
    "token": "8201",
    "operation": "update",
    "database": "shop",
    "collection": "orders",
    "cluster_time": ClusterTime(7, 1),
    "time_ms": 7,
    "document_key": {"_id": 1},
    "document": {"a": 1},
    "before": {"a": 0},
    "changed": {"a": 1},
    "removed": ("b",),
    "size": 9,
    "fragment": 2,
    "kind": PositionKind.EVENT,
    "attributes": {"n": 1},
    "extra": b"x",
    "snapshot": None,
    "details": {"d": 1},
}
OTHERS: dict[str, Any] = {
    "token": "8202",
    "operation": "replace",
    "database": "shop2",
    "collection": "o2",
    "cluster_time": ClusterTime(8, 1),
    "time_ms": 8,
    "document_key": {"_id": 2},
    "document": {"a": 2},
    "before": {"a": 5},
    "changed": {"a": 2},
    "removed": ("c",),
    "size": 10,
    "fragment": 3,
    "kind": PositionKind.INVALIDATE,
    "attributes": {"n": 2},
    "extra": b"y",
    "details": {"d": 2},
}


@pytest.mark.parametrize("name", OTHERS)
def test_one_part_is_replaced_and_all_others_stay(name: str) -> None:
    """The id and the key are those of the change, also if what they derive from is replaced."""
    event, first = Event(**PARTS), Event(**PARTS)
    revised = event.revised(**{name: OTHERS[name]})
    assert {part: getattr(revised, part) for part in PARTS} == {**PARTS, name: OTHERS[name]}
    assert (revised.id, revised.key, revised.key_hash) == (first.id, first.key, first.key_hash)
    assert {part: getattr(event, part) for part in PARTS} == PARTS


def test_what_was_encoded_of_the_first_is_not_of_the_second() -> None:
    """They say different things."""
    event = Event(**PARTS)
    event.keep_encoded(self := object(), b"old")
    assert event.revised(document={}).encoded(self) is None
    assert event.encoded(self) == b"old"


def test_a_key_and_an_id_may_be_given() -> None:
    """The lane is that of the new key."""
    event = Event(**PARTS)
    assert event.key_hash == crc32(event.key)
    revised = event.revised(key=b"k", id="i")
    assert (revised.id, revised.key, revised.key_hash) == ("i", b"k", crc32(b"k"))
