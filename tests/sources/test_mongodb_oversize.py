"""Changes larger than a document may be: put together where the server splits them, elsewhere parked."""

from __future__ import annotations

import bson
import pytest
from structlog.testing import capture_logs

from eventbus.model import Event, Parked
from tests.sources.watching import Document, Watch, document, ids

pytestmark = [pytest.mark.anyio, pytest.mark.services]

LARGE = 6_000_000
"""Characters of a text: the images before and after an update and what it set are too much for one document,
which may have 16 MiB."""
IMAGES: Document = {"full_document": "required", "before": "required"}


async def large_changes(watch: Watch) -> None:
    """Small changes around two that are too large to be sent whole: of ``_id`` "large" and "also"."""
    await watch.database.create_collection("orders", changeStreamPreAndPostImages={"enabled": True})
    orders = watch.database.orders
    await orders.insert_one({"_id": "before"})
    for key in ("large", "also"):
        await orders.insert_one({"_id": key, "text": "a" * LARGE})
        await orders.update_one({"_id": key}, {"$set": {"text": "b" * LARGE}})
    await orders.insert_many([{"_id": i} for i in range(5)])


async def test_a_document_as_large_as_can_be(either_watch: Watch) -> None:
    """A document of all of 16 MiB comes like any other, on a server that splits and on one that cannot."""
    watch = either_watch
    text = "a" * (16 * 1024 * 1024 - len(bson.encode({"_id": 1, "text": ""})))
    reading = await watch.reader()
    for written in ({"_id": 0}, {"_id": 1, "text": text}, {"_id": 2}):
        await watch.database.orders.insert_one(dict(written))
    events = await reading.events(3)
    assert ids(events) == [0, 1, 2]
    assert len(bson.encode({"_id": 1, "text": text})) == 16 * 1024 * 1024
    assert document(events[1].document)["text"] == text


async def test_split_changes(watch: Watch) -> None:
    """The fragments of a change make one event with all its sections; its position resumes behind it."""
    reading = await watch.reader(**IMAGES)
    await large_changes(watch)
    events = await reading.events(10)
    assert ids(events) == ["before", "large", "large", "also", "also", *range(5)]
    for event in (events[2], events[4]):
        assert event.size > 3 * LARGE
        assert event.fragment > 0
        assert document(event.before)["text"] == "a" * LARGE
        assert document(event.document)["text"] == "b" * LARGE
        assert document(event.changed) == {"text": "b" * LARGE}
    for start, count in ((1, 8), (2, 7), (3, 6)):
        again = await watch.reader(events[start].position, **IMAGES)
        assert [event.id for event in await again.events(count)] == [
            event.id for event in events[start + 1 :]
        ]


async def test_the_position_between_fragments_is_that_before_them(watch: Watch) -> None:
    """Whatever a batch ends with, a reader from its end gets only whole events, and all of them."""
    reading = await watch.reader(**IMAGES)
    await large_changes(watch)
    batches = [await reading.batch()]
    while sum(map(len, batches)) < 10:
        batches.append(await reading.batch())
    empty = [i for i, batch in enumerate(batches[:-1]) if not batch.slots and batches[i - 1].slots]
    assert empty, "no batch ended between two fragments"
    for i in empty:
        assert batches[i].end == batches[i - 1].end
        again = await watch.reader(batches[i].end, **IMAGES)
        rest = [slot.event.id for batch in batches[i:] for slot in batch.slots]
        assert [event.id for event in await again.events(len(rest))] == rest


async def test_a_position_behind_fragments_after_other_images_were_chosen(watch: Watch) -> None:
    """Without the images the change is not split any more, so that its last fragment's token is refused."""
    reading = await watch.reader(**IMAGES)
    await large_changes(watch)
    large = (await reading.events(10))[2]
    again = await watch.reader(large.position)
    assert ids(await again.events(7)) == ["also", "also", *range(5)]


async def parked_and_around(watch: Watch, options: Document) -> tuple[list[Event], list[Parked]]:
    """The events around the large changes, and what became of those."""
    reading = await watch.reader(**options)
    everything = await watch.reader()
    await large_changes(watch)
    with capture_logs() as logs:
        slots = await reading.take(10)
    parked = [slot for slot in slots if isinstance(slot, Parked)]
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["change_parked"] * len(
        parked
    )
    expected = await everything.events(10)
    for slot, whole in zip(slots, expected, strict=True):
        event = slot.event
        assert (event.operation, event.document_key) == (whole.operation, whole.document_key)
        assert (event.cluster_time, event.time_ms) == (whole.cluster_time, whole.time_ms)
    for i in range(9):  # whatever came before, the rest comes
        again = await watch.reader(slots[i].event.position, **options)
        assert [slot.event.id for slot in await again.take(9 - i)] == [
            slot.event.id for slot in slots[i + 1 :]
        ]
    return [slot for slot in slots if isinstance(slot, Event)], parked


async def test_where_the_server_cannot_split(old_watch: Watch) -> None:
    """The change is parked by its identity with the reason, and every change around it comes."""
    events, parked = await parked_and_around(old_watch, IMAGES)
    assert ids(events) == ["before", "large", "also", *range(5)]
    assert ids([slot.event for slot in parked]) == ["large", "also"]
    for slot in parked:
        assert "16 MiB" in slot.reason
        assert (slot.event.operation, slot.event.collection) == ("update", "orders")
        assert (slot.event.document, slot.event.before, slot.event.changed) == (None, None, None)


async def test_a_field_too_large_to_be_split(watch: Watch) -> None:
    """A stage of the user may make one field larger than any fragment: such a change is parked, too."""
    parts = {"after": "$fullDocument", "before": "$fullDocumentBeforeChange", "update": "$updateDescription"}
    events, parked = await parked_and_around(
        watch, {**IMAGES, "pipeline": [{"$set": {"fullDocument": parts}}]}
    )
    assert ids([slot.event for slot in parked]) == ["large", "also"]
    assert len(events) == 8
