"""What an event carries of the documents, by mode, from a real server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from bson import (
    Binary,
    Code,
    DBRef,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)

from eventbus.errors import ConfigurationError
from eventbus.model import ClusterTime, Event
from tests.sources.watching import Document, Watch, document

pytestmark = [pytest.mark.anyio, pytest.mark.services]


async def an_update(watch: Watch, **options: Any) -> Event:
    """The event of an update of one field of ``{_id: 1, a: 1, b: 1}`` and the removal of another."""
    reading = await watch.reader(collections=["orders"], **options)
    await watch.database.orders.insert_one({"_id": 1, "a": 1, "b": 1})
    await watch.database.orders.update_one({"_id": 1}, {"$set": {"a": 2, "c.d": 3}, "$unset": {"b": 1}})
    return (await reading.events(2))[1]


async def with_images(watch: Watch) -> None:
    await watch.database.create_collection("orders", changeStreamPreAndPostImages={"enabled": True})


async def test_update_by_default(watch: Watch) -> None:
    """An update brings what was set and removed, and no document."""
    event = await an_update(watch)
    assert (event.document, event.before) == (None, None)
    assert document(event.changed) == {"a": 2, "c": {"d": 3}}
    assert event.removed == ("b",)
    assert document(event.document_key) == {"_id": 1}


async def test_update_lookup(watch: Watch) -> None:
    """``update_lookup`` brings the document as it is at the time of reading."""
    event = await an_update(watch, full_document="update_lookup")
    assert document(event.document) == {"_id": 1, "a": 2, "c": {"d": 3}}


async def test_update_lookup_of_a_document_that_is_gone(watch: Watch) -> None:
    """The document may be gone when the change is read: then there is none, and the event comes."""
    reading = await watch.reader(full_document="update_lookup")
    await watch.database.orders.insert_one({"_id": 1})
    await watch.database.orders.update_one({"_id": 1}, {"$set": {"a": 2}})
    await watch.database.orders.delete_one({"_id": 1})
    update = (await reading.events(3))[1]
    assert (update.operation, update.document) == ("update", None)
    assert document(update.changed) == {"a": 2}


@pytest.mark.parametrize("mode", ["when_available", "required"])
async def test_images(watch: Watch, mode: str) -> None:
    """Where the collection keeps images, both come as they were at the change."""
    await with_images(watch)
    event = await an_update(watch, full_document=mode, before=mode)
    assert document(event.document) == {"_id": 1, "a": 2, "c": {"d": 3}}
    assert document(event.before) == {"_id": 1, "a": 1, "b": 1}


async def test_images_when_available_and_not_there(watch: Watch) -> None:
    """Where the collection keeps none, the event comes without them."""
    event = await an_update(watch, full_document="when_available", before="when_available")
    assert (event.document, event.before) == (None, None)
    assert event.operation == "update"


@pytest.mark.parametrize("options", [{"full_document": "required"}, {"before": "required"}])
async def test_required_images_that_are_not_there(watch: Watch, options: dict[str, str]) -> None:
    """An image that is required and missing stops the stream, and says what to do; no document is shown."""
    with pytest.raises(ConfigurationError, match="changeStreamPreAndPostImages") as caught:
        await an_update(watch, **options)
    assert watch.name not in str(caught.value)


async def test_images_switched_on_later(watch: Watch) -> None:
    """Switching images on by collMod works under an open stream: later changes have them."""
    reading = await watch.reader(before="when_available")
    await watch.database.orders.insert_one({"_id": 1, "a": 1})
    await watch.database.orders.delete_one({"_id": 1})
    await watch.database.orders.insert_one({"_id": 1, "a": 2})
    await watch.database.command("collMod", "orders", changeStreamPreAndPostImages={"enabled": True})
    await watch.database.orders.delete_one({"_id": 1})
    events = await reading.events(4)
    assert events[1].before is None
    assert document(events[3].before) == {"_id": 1, "a": 2}


async def test_times(watch: Watch) -> None:
    """An event's cluster time is the server's, to the increment; its wall-clock time is in milliseconds."""
    reading = await watch.reader()
    plain = await watch.database.watch()
    async with plain:
        await watch.database.orders.insert_one({"_id": 1})
        seen = await plain.next()
    (event,) = await reading.events(1)
    assert event.cluster_time == ClusterTime(seen["clusterTime"].time, seen["clusterTime"].inc)
    wall_time: datetime = seen["wallTime"].replace(tzinfo=UTC)
    assert event.time_ms == round(wall_time.timestamp() * 1000)


async def test_without_wall_time(watch: Watch) -> None:
    """If stages of the user took the wall-clock time away, the cluster time's second stands for it."""
    reading = await watch.reader(pipeline=[{"$unset": ["wallTime", "clusterTime"]}])
    await watch.database.orders.insert_one({"_id": 1})
    (event,) = await reading.events(1)
    assert event.cluster_time is not None
    assert event.time_ms == event.cluster_time.seconds * 1000


ODD: Document = {
    "double": float("nan"),
    "inf": float("-inf"),
    "text": "a\nb\u0000c\u2028",
    "document": {"": {"x": []}},
    "array": [1, [2, {"a": None}]],
    "binary": Binary(b"\0\1", 128),
    "uuid": Binary(b"0123456789abcdef", 4),
    "oid": ObjectId(),
    "bool": True,
    "date": datetime(1969, 12, 31, 23, 59, 59, 999000),  # noqa: DTZ001 - as the driver gives it back
    "null": None,
    "regex": Regex("a/b\n", "imx"),
    "ref": DBRef("other", ObjectId(), "db"),
    "code": Code("return 1"),
    "scope": Code("return x", {"x": 1}),
    "int32": -1,
    "timestamp": Timestamp(1, 2),
    "int64": Int64(2**63 - 1),
    "decimal": Decimal128("NaN"),
    "decimals": [Decimal128("sNaN"), Decimal128("-Infinity"), Decimal128("1E-6176"), Decimal128("-0")],
    "min": MinKey(),
    "max": MaxKey(),
    "a\nkey\twith \"'\\ everything": 1,
    "fullDocument": {"ns": 1},
    "_data": "82",
}


def sent(written: Document) -> str:
    """A document as the driver sends it and reads it back, for comparison where NaN is not NaN."""
    return repr(bson.decode(bson.encode(written)))


async def test_every_type(watch: Watch) -> None:
    """Every BSON type comes through unchanged: NaN of both kinds, keys with newlines, our own field names."""
    await with_images(watch)
    reading = await watch.reader(full_document="required", before="required")
    await watch.database.orders.insert_one({"_id": 1, **ODD})
    await watch.database.orders.update_one({"_id": 1}, {"$set": {"double": 1.5}})
    insert, update = await reading.events(2)
    assert repr(document(insert.document)) == sent({"_id": 1, **ODD})
    assert repr(document(update.before)) == sent({"_id": 1, **ODD})
    assert repr(document(update.document)) == sent({"_id": 1, **ODD, "double": 1.5})


KEYS = [value for value in ODD.values() if not isinstance(value, list | Regex)]
"""MongoDB takes no array and no regular expression as ``_id``."""


@pytest.mark.parametrize("value", [*KEYS, 1.5, Decimal128("3.10"), -0.0], ids=str)
async def test_every_type_as_key(watch: Watch, value: object) -> None:
    """Whatever type an ``_id`` has, a reader resumes behind it: the token keeps the types of numbers."""
    reading = await watch.reader()
    await watch.database.orders.insert_one({"_id": value})
    (event,) = await reading.events(1)
    assert repr(document(event.document_key)) == sent({"_id": value})
    again = await watch.reader(event.position)
    await watch.database.orders.insert_one({"_id": "later"})
    (later,) = await again.events(1)
    assert document(later.document_key) == {"_id": "later"}


@pytest.mark.parametrize(
    ("stage", "named"),
    [
        ({"$project": {"_id": 0}}, "_id"),
        ({"$set": {"_id": 1}}, "_id"),
        ({"$unset": "operationType"}, "operationType"),
        ({"$unset": "documentKey"}, "documentKey"),
        ({"$unset": "ns"}, "ns"),
        ({"$set": {"fullDocument": "text"}}, "fullDocument"),
        ({"$set": {"x": {"$divide": [1, "$fullDocument.zero"]}}}, "stages"),
    ],
    ids=str,
)
async def test_stages_that_spoil_changes(watch: Watch, stage: Document, named: str) -> None:
    """Stages that take away what an event needs, or fail, stop the stream at once, with the reason."""
    reading = await watch.reader(pipeline=[stage])
    await watch.database.orders.insert_one({"_id": 1, "zero": 0})
    with pytest.raises(ConfigurationError, match=named):
        await reading.events(1)
