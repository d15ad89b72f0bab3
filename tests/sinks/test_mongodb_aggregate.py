"""The mode `aggregate` on a real replica set: groups are what a query gives, whatever comes again."""

from __future__ import annotations

import itertools
import random
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import bson
import pytest
from bson import Decimal128
from pydantic import ValidationError
from pymongo import AsyncMongoClient

from eventbus.devservices import MongoService
from eventbus.sdk import (
    DELIVERED,
    ConfigurationError,
    Event,
    Failure,
    Message,
    Outcome,
    Rejected,
    Retry,
    TransactionalSink,
)
from eventbus.sinks.mongodb import MongoSink, MongoSinkOptions
from eventbus.testing import PlainEncoder

pytestmark = [pytest.mark.anyio, pytest.mark.services]

Client = AsyncMongoClient[dict[str, Any]]
COUNTED: dict[str, Any] = {
    "by": {"status": "document.status"},
    "values": {
        "orders": "count",
        "revenue": {"sum": "document.total"},
        "mean": {"avg": "document.total"},
        "least": {"min": "document.total"},
        "most": {"max": "document.total"},
        "skus": {"add_to_set": "document.sku"},
    },
    "where": "document.total >= 0",
}
PARTS = {"_id": {"$ne": "eventbus.session"}}
RECOMPUTED: list[dict[str, Any]] = [
    {"$match": {"total": {"$gte": 0}}},
    {
        "$group": {
            "_id": {"status": {"$ifNull": ["$status", None]}},
            "orders": {"$sum": 1},
            "revenue": {"$sum": "$total"},
            "mean": {"$avg": "$total"},
            "least": {"$min": "$total"},
            "most": {"$max": "$total"},
            "skus": {"$addToSet": "$sku"},
        }
    },
]
"""The same, as MongoDB computes it over the documents that are there."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def own() -> Iterator[MongoService]:
    """A replica set whose commands the tests make fail."""
    with MongoService.start(own=True) as service:
        yield service


@pytest.fixture
async def client(own: MongoService) -> AsyncIterator[Client]:
    async with Client(own.uri) as client:
        yield client


@pytest.fixture
def database() -> str:
    return f"test_{bson.ObjectId()}"


@asynccontextmanager
async def _opened(own: MongoService, database: str, **aggregate: Any) -> AsyncIterator[MongoSink]:
    sink = _sink(own.uri, database, **aggregate)
    try:
        await sink.open()
        yield sink
    finally:
        await sink.close()


def _sink(uri: str, database: str, **aggregate: Any) -> MongoSink:
    written = {"uri": uri, "database": database, "collection": "totals", "mode": "aggregate", "timeout": "5s"}
    return MongoSink(
        "totals", MongoSinkOptions.model_validate({**written, "aggregate": {**COUNTED, **aggregate}})
    )


class Orders:
    """A collection whose changes are told as events, in order."""

    def __init__(self) -> None:
        self.documents: dict[int, dict[str, Any]] = {}
        self._tokens = itertools.count(1)

    def put(self, key: int, **fields: Any) -> Event:
        """A document is there, with these fields."""
        operation = "update" if key in self.documents else "insert"
        self.documents[key] = {"_id": key, **fields}
        return self._event(operation, key, self.documents[key])

    def delete(self, key: int) -> Event:
        """A document is gone."""
        del self.documents[key]
        return self._event("delete", key, None)

    def _event(self, operation: str, key: int, document: Mapping[str, Any] | None) -> Event:
        return Event(
            token=f"82{next(self._tokens):08}",
            operation=operation,
            database="shop",
            collection="orders",
            document_key=bson.encode({"_id": key}),
            document=bson.encode(document) if document is not None else None,
        )


def _messages(sink: MongoSink, events: Sequence[Event]) -> list[Message]:
    made = [sink.encode(event, PlainEncoder()) for event in events]
    assert all(isinstance(one, Message) for one in made), made
    return [one for one in made if isinstance(one, Message)]


async def _send(sink: MongoSink, *events: Event) -> Sequence[Outcome]:
    return await sink.send(_messages(sink, events))


async def _groups(client: Client, database: str) -> dict[Any, dict[str, Any]]:
    """What is there, less what is internal; by what is grouped by."""
    found = await client[database].totals.find({}, {"_eventbus": 0}).to_list()
    return {_hashable(group.pop("_id")): _sorted(group) for group in found}


def _hashable(group: Mapping[str, Any]) -> Any:
    return tuple(group.values())


def _sorted(group: dict[str, Any]) -> dict[str, Any]:
    """Sets in order, and numbers by their value: sums keep the widest type that was ever in them."""
    return {
        name: sorted(value) if isinstance(value, list) else _number(value) for name, value in group.items()
    }


def _number(value: Any) -> Any:
    exact = value.to_decimal() if isinstance(value, Decimal128) else value
    return round(Decimal(exact), 8) if isinstance(exact, int | float | Decimal) else exact


async def _recomputed(client: Client, database: str, orders: Orders) -> dict[Any, dict[str, Any]]:
    await client[database].orders.delete_many({})
    if orders.documents:
        await client[database].orders.insert_many(list(orders.documents.values()))
    found = await (await client[database].orders.aggregate(RECOMPUTED)).to_list()
    return {_hashable(group.pop("_id")): _sorted(group) for group in found}


@pytest.mark.parametrize("seed", range(6))
async def test_groups_are_what_a_query_over_the_documents_gives(
    own: MongoService, client: Client, database: str, seed: int
) -> None:
    """After any changes, in batches of any size, of which some come again, in part, or late."""
    rng = random.Random(seed)
    orders, told = Orders(), []
    async with _opened(own, database) as sink:
        for _ in range(12):
            for _ in range(rng.randrange(1, 30)):
                key = rng.randrange(20)
                if key in orders.documents and rng.random() < 0.3:
                    told.append(orders.delete(key))
                    continue
                total: Any = rng.choice([rng.randrange(-3, 50), Decimal128(f"{rng.randrange(50)}.25")])
                fields = {"status": rng.choice("abc"), "total": total, "sku": rng.choice("xyz")}
                told.append(orders.put(key, **{name: fields[name] for name in fields if rng.random() < 0.95}))
            sent = 0
            while sent < len(told):
                count = rng.randrange(1, 9)
                back = rng.randrange(0, 12) if rng.random() < 0.4 else 0
                batch = told[max(0, sent - back) : sent + count]
                assert await _send(sink, *batch) == [DELIVERED] * len(batch)
                sent += count
            assert await _groups(client, database) == await _recomputed(client, database, orders)
            told = told[-20:]
            assert await _send(sink, *rng.sample(told, len(told))) == [DELIVERED] * len(told)
            assert await _groups(client, database) == await _recomputed(client, database, orders)


async def test_events_count_once_and_for_good(own: MongoService, client: Client, database: str) -> None:
    """Each counts as what it was, and one that comes again does not."""
    counted = {"of": "events", "by": {"kind": "operation"}, "values": {"events": "count"}, "where": None}
    orders = Orders()
    async with _opened(own, database, **counted) as sink:
        events = [orders.put(1), orders.put(1), orders.put(2), orders.delete(1)]
        await _send(sink, *events)
        await _send(sink, *events[1:])
        groups = await _groups(client, database)
        kept = await client[database].totals_contributions.find(PARTS).to_list()
    assert groups == {("insert",): {"events": 2}, ("update",): {"events": 1}, ("delete",): {"events": 1}}
    assert len(kept) == len(events)
    assert all(entry["until"] for entry in kept)


async def test_a_group_of_which_nothing_is_left_is_gone(
    own: MongoService, client: Client, database: str
) -> None:
    """And what is kept of a deleted document goes when its time has come."""
    orders = Orders()
    async with _opened(own, database, contributions="parts") as sink:
        await _send(sink, orders.put(1, status="a", total=1), orders.put(1, status="b", total=1))
        assert list(await _groups(client, database)) == [("b",)]
        await _send(sink, orders.delete(1))
        assert await _groups(client, database) == {}
        (entry,) = await client[database].parts.find(PARTS).to_list()
        assert entry.keys() == {"_id", "token", "until"}
        indexes = await client[database].parts.index_information()
    assert indexes["eventbus_until"]["expireAfterSeconds"] == 0


async def test_without_anything_to_group_by_there_is_one_group(
    own: MongoService, client: Client, database: str
) -> None:
    """Of all that counts; a mean of nothing is null."""
    orders = Orders()
    values = {"n": "count", "mean": {"avg": "document.nothing"}, "whole": {"sum": "document.total"}}
    async with _opened(own, database, by={}, values=values) as sink:
        await _send(sink, orders.put(1, total=2**62), orders.put(2, total=2**62), orders.put(3, total=-1))
        groups = await _groups(client, database)
    assert groups == {(): {"n": 2, "mean": None, "whole": Decimal(2**63)}}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"total": "7"}, "where: the types of its values do not go together"),
        ({"total": 1, "n": "7"}, "values.sum: sum takes numbers, and this is text"),
        ({"total": 1, "n": float("nan")}, "values.sum: sum takes finite numbers"),
    ],
)
async def test_what_cannot_be_counted_is_refused(
    own: MongoService, database: str, fields: dict[str, Any], reason: str
) -> None:
    """With the value that it is about, and nothing of the document."""
    sink = _sink(own.uri, database, values={"sum": {"sum": "document.n"}})
    made = sink.encode(Orders().put(1, **fields), PlainEncoder())
    assert made == Rejected(reason, Failure.ENCODING)


async def test_what_tells_nothing_of_a_document_is_refused(own: MongoService, database: str) -> None:
    """The groups would be wrong from there on, so somebody has to know."""
    sink = _sink(own.uri, database)
    event = Orders().put(1, total=1)
    made = sink.encode(event.revised(operation="update", document=None), PlainEncoder())
    why = "the update has no document: choose another full_document of the source"
    assert made == Rejected(why, Failure.ENCODING)
    drop = Event(token="9", operation="drop", database="shop", collection="orders")
    made = sink.encode(drop, PlainEncoder())
    assert made == Rejected("drop concerns no single document: the groups may be stale", Failure.ENCODING)


async def test_a_batch_that_fails_changes_nothing_and_may_come_again(
    own: MongoService, client: Client, database: str
) -> None:
    """Whichever of its writes it is, and if it is the commit."""
    orders = Orders()
    async with _opened(own, database) as sink:
        await _send(sink, orders.put(1, status="a", total=1, sku="x"))
        for number, command in enumerate(("find", "update", "delete", "aggregate", "commitTransaction")):
            batch = [
                orders.put(1, status="a", total=5 + number, sku=f"y{number}"),
                orders.put(2 + number, status="a", total=2, sku="x"),
            ]
            data = {"failCommands": [command], "appName": "eventbus-sink-totals", "errorCode": 112}
            point = {"configureFailPoint": "failCommand", "mode": {"times": 1}, "data": data}
            await client.admin.command(point)
            outcomes = await _send(sink, *batch)
            assert all(isinstance(outcome, Retry) for outcome in outcomes), command
            assert await _send(sink, *batch) == [DELIVERED] * 2
            assert await _groups(client, database) == await _recomputed(client, database, orders), command


async def test_what_a_killed_process_left_open_holds_up_nobody(
    own: MongoService, client: Client, database: str
) -> None:
    """Its transaction would last for a minute, with the groups that it has written to."""
    orders = Orders()
    killed = _sink(own.uri, database)
    await killed.open()
    await _send(killed, orders.put(1, status="a", total=1))
    assert killed._contributions is not None
    session = killed._contributions._session
    assert session is not None
    await session.start_transaction()
    await client_of(killed)[database].totals.update_one({}, {"$set": {"x": 1}}, session=session)
    async with _opened(own, database) as sink:
        assert await _send(sink, orders.put(2, status="a", total=2)) == [DELIVERED]
        assert await _groups(client, database) == await _recomputed(client, database, orders)
    await killed.close()


def client_of(sink: MongoSink) -> Client:
    """The client of a sink, for what a process of its own would do."""
    assert sink._client is not None
    return sink._client


async def test_one_that_is_refused_takes_no_other_with_it(
    own: MongoService, client: Client, database: str
) -> None:
    """A set that would be larger than a document may be: that event is refused, and the others count."""
    orders = Orders()
    values = {"n": "count", "texts": {"add_to_set": "document.text"}}
    async with _opened(own, database, values=values, by={}, where=None) as sink:
        text = "x" * (9 << 20)
        outcomes = await _send(
            sink, orders.put(1, text="a"), orders.put(2, text=text), orders.put(3, text=f"{text}y")
        )
        groups = await _groups(client, database)
    assert outcomes[:2] == [DELIVERED] * 2
    assert isinstance(outcomes[2], Rejected)
    assert groups[()]["n"] == 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"aggregate": None}, "aggregate is needed by mode aggregate"),
        ({"collection": None}, "needs the collection that gets the groups"),
        ({"guard": True}, "has no guard"),
        ({"aggregate": {"by": {}, "values": {}}}, "at least 1"),
        ({"aggregate": {"by": {"n": "operation"}, "values": {"n": "count"}}}, "both in by and in values"),
        ({"aggregate": {"by": {"a.b": "operation"}, "values": {"n": "count"}}}, "not a name of a field"),
        ({"aggregate": {"by": {}, "values": {"n": {"sum": "1", "avg": "1"}}}}, "write one of sum"),
        ({"aggregate": {"by": {}, "values": {"n": {"sum": "1 +"}}}}, "column"),
    ],
)
def test_bad_options_are_errors_of_the_configuration(options: dict[str, Any], says: str) -> None:
    """Before anything is connected to."""
    written = {"uri": "mongodb://localhost", "collection": "totals", "mode": "aggregate"}
    whole = {**written, "aggregate": {"by": {}, "values": {"n": "count"}}, **options}
    with pytest.raises(ValidationError, match=says):
        MongoSinkOptions.model_validate({key: value for key, value in whole.items() if value is not None})


def test_delivery_is_left_out() -> None:
    """Everything counts once in any case."""
    sink = _sink("mongodb://localhost", "shop")
    assert isinstance(sink, TransactionalSink)
    with pytest.raises(ConfigurationError, match="leave delivery out"):
        sink.transactions("orders/totals")
