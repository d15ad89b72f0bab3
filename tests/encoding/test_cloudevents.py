"""The default envelope, read by the CloudEvents project's own package."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import bson
import orjson
import pytest
from bson import Binary, Decimal128, Int64, ObjectId
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given
from hypothesis import strategies as st

from eventbus.encoding.cloudevents import CloudEventsEncoder
from eventbus.errors import EncodingError
from eventbus.model import ClusterTime, Event

_OBJECT_ID = ObjectId("64b7f0c2a1b2c3d4e5f60718")
_KEY = bson.encode({"_id": _OBJECT_ID})
_DATA_KEYS = [
    "operation",
    "database",
    "collection",
    "document_key",
    "document",
    "before",
    "changed",
    "removed",
]


def _event(**parts: Any) -> Event:
    defaults: dict[str, Any] = {
        "token": "8264B7F0C2",
        "operation": "update",
        "database": "shop",
        "collection": "orders",
        "cluster_time": ClusterTime(1_700_000_000, 7),
        "time_ms": 1_700_000_000_045,
        "document_key": _KEY,
        "document": bson.encode({"_id": _OBJECT_ID, "status": "paid", "total": 19.99}),
        "changed": bson.encode({"status": "paid"}),
        "removed": ["note", "a.b"],
    }
    return Event(**defaults | parts)


def _read(event: Event, encoder: CloudEventsEncoder | None = None) -> BaseCloudEvent:
    encoder = encoder or CloudEventsEncoder("order-events", "orders")
    return JSONFormat().read(None, encoder.encode(event))


def test_an_update_as_others_read_it() -> None:
    """Every attribute, and the whole of data."""
    event = _event()
    read = _read(event)
    assert read.get_attributes() == {
        "specversion": "1.0",
        "id": event.id,
        "source": "/mongodb/shop/orders",
        "type": "mongodb.update",
        "datacontenttype": "application/json",
        "subscription": "order-events",
        "service": "orders",
        "time": datetime(2023, 11, 14, 22, 13, 20, 45000, UTC),
        "subject": str(_OBJECT_ID),
        "clustertime": "1700000000.7",
    }
    assert read.get_data() == {
        "operation": "update",
        "database": "shop",
        "collection": "orders",
        "document_key": {"_id": {"$oid": str(_OBJECT_ID)}},
        "document": {"_id": {"$oid": str(_OBJECT_ID)}, "status": "paid", "total": 19.99},
        "before": None,
        "changed": {"status": "paid"},
        "removed": ["note", "a.b"],
    }


@pytest.mark.parametrize(
    "parts",
    [
        {"operation": "delete", "document": None, "changed": None, "removed": ()},
        {"operation": "insert", "changed": None, "removed": (), "before": None},
        {"operation": "update", "changed": bson.encode({}), "removed": ()},
        {"operation": "drop", "document_key": None, "document": None, "changed": None, "removed": ()},
        {"operation": "dropDatabase", "collection": "", "document_key": None, "document": None},
        {"before": bson.encode({"_id": _OBJECT_ID, "status": "new"})},
    ],
    ids=["delete", "insert", "update of nothing", "drop", "dropDatabase", "before"],
)
def test_data_always_has_its_eight_keys(parts: dict[str, Any]) -> None:
    """In their order, with null for what there is not."""
    body = orjson.loads(CloudEventsEncoder("s").encode(_event(**parts)))
    assert list(body["data"]) == _DATA_KEYS
    for name in ("document_key", "document", "before", "changed"):
        if name in parts:
            assert (body["data"][name] is None) == (parts[name] is None)
    if parts.get("collection") == "":
        assert body["data"]["collection"] is None
        assert body["source"] == "/mongodb/shop"
    JSONFormat().read(None, orjson.dumps(body))


def test_what_else_the_source_tells_stands_behind() -> None:
    """Under its own names; a change without it has the eight keys only."""
    details = {"transaction": {"number": Int64(4), "index": Int64(2)}, "description": {"idIndex": {"v": 2}}}
    for told in (details, bson.encode(details)):
        body = orjson.loads(CloudEventsEncoder("s").encode(_event(details=told)))
        assert list(body["data"]) == [*_DATA_KEYS, "transaction", "description"]
        assert body["data"]["transaction"] == {"number": 4, "index": 2}
    assert list(orjson.loads(CloudEventsEncoder("s").encode(_event(details={})))["data"]) == _DATA_KEYS


def test_removed_is_a_list_for_an_update_and_null_elsewhere() -> None:
    """An update that removed nothing says so."""
    update = orjson.loads(CloudEventsEncoder("s").encode(_event(removed=())))
    insert = orjson.loads(CloudEventsEncoder("s").encode(_event(removed=(), changed=None)))
    assert (update["data"]["removed"], insert["data"]["removed"]) == ([], None)


def test_attributes_that_do_not_apply_are_absent() -> None:
    """No service, no wall-clock time, no cluster time, no document."""
    event = _event(time_ms=0, cluster_time=None, document_key=None)
    body = orjson.loads(CloudEventsEncoder("s").encode(event))
    assert list(body) == ["specversion", "id", "source", "type", "datacontenttype", "subscription", "data"]


@pytest.mark.parametrize("time_ms", [-1, 253_402_300_800_000, 2**63])
def test_a_time_that_no_calendar_has_is_absent(time_ms: int) -> None:
    """The event is delivered all the same."""
    assert "time" not in orjson.loads(CloudEventsEncoder("s").encode(_event(time_ms=time_ms)))


@pytest.mark.parametrize(
    ("identifier", "subject"),
    [
        (_OBJECT_ID, "64b7f0c2a1b2c3d4e5f60718"),
        ("order-7", "order-7"),
        ("größe", "größe"),
        ("two\nlines", '"two\\nlines"'),
        ("\x85", '"\\u0085"'),
        ("", None),
        (7, "7"),
        (Int64(7), "7"),
        (7.0, "7"),
        (7.5, "7.5"),
        (True, "true"),
        (Decimal128("7.25"), "7.25"),
        (
            Binary.from_uuid(uuid.UUID("fd4c537a-dbb6-46b9-b659-b175d111c290")),
            "fd4c537a-dbb6-46b9-b659-b175d111c290",
        ),
        ({"shop": 1, "number": "a\x7f"}, '{"shop": 1, "number": "a\\u007f"}'),
        ({"shop": 1}, '{"shop":1}'),
        (None, None),
    ],
    ids=repr,
)
def test_the_subject_is_the_identifier_as_people_write_it(identifier: Any, subject: str | None) -> None:
    """Raw or decoded, alone or beside a shard key."""
    for key in ({"_id": identifier}, {"region": "eu", "_id": identifier}):
        assert _read(_event(document_key=bson.encode(key))).get_subject() == subject
        assert _read(_event(document_key=key)).get_subject() == subject


@given(st.text(), st.text(), st.text(min_size=1), st.text())
def test_any_names_make_a_valid_event(
    database: str, collection: str, operation: str, subscription: str
) -> None:
    """The source is a URI reference; nothing escapes its place."""
    event = _event(database=database, collection=collection, operation=operation)
    read = _read(event, CloudEventsEncoder(subscription, "s"))
    assert read.get_source().isascii()
    assert read.get_type() == f"mongodb.{operation}"
    assert read.get_extension("subscription") == subscription


def test_a_document_that_a_snapshot_read() -> None:
    """It has the shape of a change, and its type says what it is."""
    key, document = bson.encode({"_id": 7}), bson.encode({"_id": 7, "a": 1})
    read = _read(_event(operation="read", document_key=key, document=document, id="0123456789abcdef" * 2))
    assert (read.get_type(), read.get_id()) == ("mongodb.read", "0123456789abcdef" * 2)
    assert read.get_subject() == "7"


def test_a_slash_in_a_name_stays_in_its_place() -> None:
    """Collections may have such names."""
    assert _read(_event(database="a", collection="b/c d")).get_source() == "/mongodb/a/b%2Fc%20d"


def test_the_same_change_gives_the_same_bytes() -> None:
    """Whoever encodes it, whenever, after whatever other events, from raw or decoded documents."""
    first = CloudEventsEncoder("s", "o")
    body = first.encode(_event())
    second = CloudEventsEncoder("s", "o")
    for number in range(3):
        second.encode(_event(token=f"9{number}", time_ms=1_600_000_000_999 + number, collection=f"c{number}"))
    assert second.encode(_event()) == body
    decoded = {name: bson.decode(getattr(_event(), name)) for name in ("document_key", "document", "changed")}
    assert second.encode(_event(**decoded)) == body


def test_times_in_one_second_differ_in_their_milliseconds() -> None:
    """The encoder remembers the second that it wrote last."""
    encoder = CloudEventsEncoder("s")
    times = [_read(_event(token=str(ms), time_ms=ms), encoder).get_time() for ms in (5999, 5001, 6000, 5002)]
    assert times == [datetime.fromtimestamp(ms / 1000, UTC) for ms in (5999, 5001, 6000, 5002)]


def test_routes_with_the_same_encoder_share_the_work() -> None:
    """Another encoder makes its own bytes."""
    event = _event()
    encoder = CloudEventsEncoder("s")
    assert encoder.encode(event) is encoder.encode(event)
    assert CloudEventsEncoder("other").encode(event) != encoder.encode(event)


@pytest.mark.parametrize("part", ["document_key", "document", "before", "changed"])
def test_an_error_names_the_part(part: str) -> None:
    """So that people know where to look."""
    broken = b"\x0e\0\0\0\x02v\0\x02\0\0\0\xff\0\0"
    with pytest.raises(EncodingError, match=f"^{part}: not valid BSON"):
        CloudEventsEncoder("s").encode(_event(**{part: broken}))


def test_what_is_kept_by_collection_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster may have any number of collections."""
    monkeypatch.setattr("eventbus.encoding.cloudevents._MOST_KINDS", 4)
    encoder = CloudEventsEncoder("s")
    for number in range(20):
        assert _read(_event(collection=f"c{number}"), encoder).get_source() == f"/mongodb/shop/c{number}"
    assert len(encoder._by_kind) <= 4
