"""What the server itself does by ``fields``, ``classify`` and ``project``, shown on real servers."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import bson
import pytest
from bson.raw_bson import RawBSONDocument
from pymongo.errors import WriteError

from eventbus.encoding.projection import Projection
from eventbus.errors import ConfigurationError
from eventbus.model import Event, Position, Snapshot
from eventbus.sources.mongodb.classify import Classified
from tests.sources.updates import Scenario
from tests.sources.watching import Document, Watch, document

pytestmark = [pytest.mark.anyio, pytest.mark.services]

ORDER: Document = {
    "_id": 1,
    "status": "open",
    "payment": {"status": "open", "card": "4111"},
    "items": [{"quantity": place, "pad": "x" * 200} for place in range(4)],
    "totals": {"2024": {"paid": 1}},
}


async def given(watch: Watch, *updates: Any, **options: Any) -> list[Event]:
    """What comes of updates of one document, between its insert and its delete."""
    reading = await watch.reader(collections=["orders"], **options)
    await watch.database.orders.insert_one(ORDER)
    for update in updates:
        assert (await watch.database.orders.update_one({}, update)).modified_count
    await watch.database.orders.delete_one({})
    events: list[Event] = []
    while not events or events[-1].operation != "delete":
        events += [slot.event for slot in (await reading.batch()).slots]
    return events


@pytest.mark.parametrize(
    ("field", "update", "passes"),
    [
        ("status", {"$set": {"status": "paid"}}, True),
        ("status", {"$unset": {"status": 1}}, True),
        ("status", {"$set": {"payment.status": "paid", "statuses": 1}}, False),
        ("payment.status", {"$set": {"payment.status": "paid"}}, True),
        ("payment.status", {"$set": {"payment.card": "4242", "payment.status_at": 1}}, False),
        ("payment.status", {"$set": {"payment": {"status": "open", "card": "4242"}}}, True),
        ("payment.status", {"$unset": {"payment": 1}}, True),
        ("payment", {"$set": {"payment.card": "4242"}}, True),
        ("payment", {"$unset": {"payment.card": 1}}, True),
        ("items", {"$set": {"items.0.quantity": 9}}, True),
        ("items.quantity", {"$set": {"items.2.quantity": 9}}, True),
        ("items.quantity", {"$set": {"items.2.pad": ""}}, False),
        ("items.2.quantity", {"$set": {"items.2.quantity": 9}}, True),
        ("items.2.quantity", {"$set": {"items.1.quantity": 9}}, False),
        ("items.2.quantity", {"$set": {"items.2": 9}}, True),
        ("items.2.quantity", {"$set": {"items.1": 9}}, False),
        ("items.quantity", [{"$set": {"items": {"$slice": ["$items", 3]}}}], True),
        ("status", [{"$set": {"items": {"$slice": ["$items", 3]}}}], False),
        ("totals.2024", {"$set": {"totals.2024.paid": 9}}, True),
        ("totals.2025", {"$set": {"totals.2024.paid": 9}}, False),
        ("totals.paid", {"$set": {"totals.2024.paid": 9}}, True),
    ],
    ids=str,
)
async def test_an_update_passes_if_it_touched_a_field(
    either_watch: Watch, field: str, update: Any, passes: bool
) -> None:
    """At a path, above it as a whole, or below it; a number that may be a place is reached past."""
    events = await given(either_watch, update, fields=["other", field])
    assert [event.operation for event in events] == ["insert", *["update"] * passes, "delete"]


async def test_every_other_change_passes(watch: Watch) -> None:
    """A replace tells of no paths, so it passes, and so does all that is no update."""
    reading = await watch.reader(fields=["status"])
    await watch.database.orders.insert_one({"_id": 1})
    await watch.database.orders.replace_one({"_id": 1}, {"other": 1})
    await watch.database.orders.drop()
    assert [event.operation for event in await reading.events(3)] == ["insert", "replace", "drop"]


async def test_names_that_are_no_text_end_no_stream(either_watch: Watch) -> None:
    """The server stores names that are no UTF-8, and fails where they meet a regular expression."""
    reading = await either_watch.reader(
        fields=["status", "payment.status"],
        classify={"paid": {"cases": [{"changed": "payment.status", "then": True}]}},
        project=["status", "payment.status"],
    )
    orders = either_watch.database.orders
    await orders.insert_one({"_id": 1})
    for operator in ("$set", "$unset"):
        odd = b"\x10caf\xff.\xfe\0\x01\0\0\0"
        inner = (len(odd) + 5).to_bytes(4, "little") + odd + b"\0"
        update = b"\x03%b\0%b\0" % (operator.encode(), inner)
        raw = RawBSONDocument((len(update) + 4).to_bytes(4, "little") + update)
        await either_watch.database.command({"update": "orders", "updates": [{"q": {"_id": 1}, "u": raw}]})
    await orders.update_one({"_id": 1}, {"$set": {"payment.status": "paid"}})
    insert, update_of_payment = await reading.events(2)
    assert (insert.operation, insert.attributes) == ("insert", {"paid": None})
    assert update_of_payment.attributes == {"paid": True}


SEVERITY: Document = {
    "severity": {
        "cases": [
            {"changed": ["payment.status", "other"], "then": "high"},
            {"when": {"$eq": ["$operationType", "delete"]}, "then": {"$numberLong": "7"}},
            {"changed": "status", "when": {"$eq": ["$fullDocument.status", "gone"]}, "then": "low"},
        ],
        "otherwise": "normal",
    },
    "large": {"cases": [{"when": {"$gt": ["$fullDocument.payment.total", 100]}, "then": True}]},
}


async def test_names_by_cases(either_watch: Watch) -> None:
    """The first case that holds gives the value; none gives `otherwise`, which is null by default."""
    await either_watch.database.create_collection("orders", changeStreamPreAndPostImages={"enabled": True})
    events = await given(
        either_watch,
        {"$set": {"payment.status": "paid", "payment.total": 500}},
        {"$set": {"status": "paid"}},
        {"$set": {"status": "gone"}},
        classify=SEVERITY,
        full_document="required",
    )
    assert [event.attributes for event in events] == [
        {"severity": "normal", "large": None},
        {"severity": "high", "large": True},
        {"severity": "normal", "large": True},
        {"severity": "low", "large": True},
        {"severity": 7, "large": None},
    ]
    assert document(events[0].document) == ORDER, "the document itself has no names"


async def test_stages_of_the_user_come_last(watch: Watch) -> None:
    """They see what was classified, after the documents were projected, and may filter by it."""
    deleted = {"when": {"$eq": ["$operationType", "delete"]}, "then": "high"}
    cases = [{"changed": "payment.status", "then": "high"}, deleted]
    stages = [{"$match": {"classified.severity": "high"}}, {"$set": {"fullDocument.seen": "$fullDocument"}}]
    await watch.database.create_collection("orders", changeStreamPreAndPostImages={"enabled": True})
    events = await given(
        watch,
        {"$set": {"status": "paid"}},
        {"$set": {"payment.status": "paid"}},
        classify={"severity": {"cases": cases}},
        project=["status"],
        pipeline=stages,
        full_document="required",
    )
    assert [event.operation for event in events] == ["update", "delete"]
    kept = {"_id": 1, "status": "paid"}
    assert document(events[0].document) == kept | {"seen": kept}


@pytest.mark.parametrize(
    "fields",
    [
        ["status"],
        ["payment.status", "items.quantity", "items.tags"],
        ["payment.card.number", "payment", "totals"],
        ["home.town", "payment.card.number", "payment.card.none", "kind"],
    ],
    ids=str,
)
async def test_the_server_projects_like_the_stage(either_watch: Watch, fields: list[str]) -> None:
    """Random updates come with what the stage `project` would have left of them, and with nothing else.

    But for a field whose name has a dot in it: that only the stage finds.
    """
    database = either_watch.database
    await database.create_collection("orders", changeStreamPreAndPostImages={"enabled": True})
    options: Document = {"collections": ["orders"], "full_document": "required", "before": "required"}
    whole = await either_watch.reader(**options)
    projected = await either_watch.reader(whole.position, project=fields, **options)
    scenario, count = Scenario(7), 0
    for number in range(20):
        await database.orders.insert_one(scenario.document(number))
        count += 1
        for _ in range(10):
            update, _ = scenario.update()
            with suppress(WriteError):  # a path that leads through what is no document
                count += (await database.orders.update_one({"_id": number}, update)).modified_count
    projection = Projection(fields=fields)
    pairs = zip(await whole.events(count), await projected.events(count), strict=True)
    sizes = [0, 0]
    for before, after in pairs:
        token, *documents, changed, removed, told = parts(projection(before))
        assert (token, *map(without_dots, documents), changed, removed, told) == parts(after)
        sizes[0] += before.size
        sizes[1] += after.size
    assert sizes[1] < sizes[0] * 0.8


async def test_documents_that_a_snapshot_reads_are_narrowed_too(watch: Watch) -> None:
    """They pass `fields`, and have names and fewer fields like changes."""
    await watch.database.orders.insert_one(ORDER)
    source = watch.source(
        collections=["orders"],
        fields=["other"],
        classify={"is_read": {"cases": [{"when": {"$eq": ["$operationType", "read"]}, "then": True}]}},
        project=["payment.status"],
    )
    start = await source.now()
    snapshot: Snapshot = await source.begin_snapshot("s")
    reader = source.reader(Position(start.token, start.kind, start.cluster_time, start.extra, snapshot))
    watch.closing.push_async_callback(reader.close)
    events: list[Event] = []
    while not events:
        batch = await reader.next()
        assert batch is not None
        events += [slot.event for slot in batch.slots]
    (event,) = events
    assert event.operation == "read"
    assert event.attributes == {"is_read": True}
    assert document(event.document) == {"_id": 1, "payment": {"status": "open"}}


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"classify": {"a": {"cases": [{"when": {"$unknown": 1}, "then": 1}]}}}, "classify"),
        ({"pipeline": [{"$set": {"a": {"$unknown": 1}}}]}, "pipeline"),
    ],
    ids=["classify", "pipeline"],
)
async def test_what_the_server_refuses_is_told_where_it_is(
    watch: Watch, options: Document, where: str
) -> None:
    """By the option that it comes from, though others are right."""
    with pytest.raises(ConfigurationError) as caught:
        await watch.source(fields=["a"], project=["b.c"], **options).check()
    (problem,) = caught.value.problems
    assert problem.startswith(f"subscriptions.test.source.{where}: the server says: ")


async def test_names_are_remembered_within_bounds() -> None:
    """Stages of the user may put anything where names are; a text of BSON that comes again is not decoded."""
    classified = Classified()
    first = classified[bson.encode({"n": 0})]
    assert classified[bson.encode({"n": 0})] is first
    for number in range(3000):
        assert classified[bson.encode({"n": number})] == {"n": number}
    assert len(classified) <= 1000


def without_dots(document_: Document | None) -> Document | None:
    """Without fields whose names have a dot in them."""
    return document_ and {name: value for name, value in document_.items() if "." not in name}


def parts(event: Event) -> tuple[Any, ...]:
    """What is left of an event. Order does not count among paths, and an empty list counts as none."""
    document_, before, changed, details = (
        bson.decode(one) if isinstance(one, bytes) else one
        for one in (event.document, event.before, event.changed, event.details)
    )
    told = {name: one for name, one in (details or {}).items() if one}
    return event.token, document_, before, changed, sorted(event.removed), told
