"""The MongoDB sink on a real replica set: what it writes in each mode, and what each refusal means."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import anyio.to_thread
import bson
import pytest
from bson.raw_bson import RawBSONDocument
from pydantic import ValidationError
from pymongo import AsyncMongoClient

from eventbus.devservices import MongoService
from eventbus.sdk import (
    DELIVERED,
    ConfigurationError,
    Event,
    Failure,
    Fault,
    LeaseLost,
    Message,
    Outcome,
    Rejected,
    Retry,
    Sink,
    Unreachable,
)
from eventbus.sinks.mongodb import MongoSink, MongoSinkOptions
from eventbus.testing import (
    Changes,
    PlainEncoder,
    Received,
    SinkContract,
    SinkOutageContract,
    SinkRejectionContract,
    TransactionContract,
    TransactionOutageContract,
    TransactionRejectionContract,
)

pytestmark = [pytest.mark.anyio, pytest.mark.services]

Client = AsyncMongoClient[dict[str, Any]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def own() -> Iterator[MongoService]:
    """A replica set that the tests kill, and whose commands they make fail."""
    with MongoService.start(own=True) as service:
        yield service


@pytest.fixture
async def client(own: MongoService) -> AsyncIterator[Client]:
    async with Client(own.uri, tz_aware=True) as client:
        yield client


@pytest.fixture
def changes() -> Changes:
    return Changes()


def _inserts(entry: dict[str, Any], namespace: str) -> list[Any]:
    """What an entry of the oplog has put there, a whole transaction perhaps."""
    parts = entry["o"].get("applyOps", [entry])
    return [part["o"]["_id"] for part in parts if (part["ns"], part["op"]) == (namespace, "i")]


class MongoHarness:
    """A database that only one test has; what is in its collection is read raw."""

    def __init__(self, service: MongoService, **options: Any) -> None:
        self._service = service
        self._options = options
        self.database = f"test_{bson.ObjectId()}"

    def make_sink(self) -> Sink:
        options = {"uri": self._service.uri, "database": self.database, "timeout": "1s"} | self._options
        return MongoSink("copy", MongoSinkOptions.model_validate(options))

    async def received(self) -> Sequence[Received]:
        """In the order of the oplog: a server that was killed may put its documents into another one."""
        async with Client(self._service.uri) as client:
            stored = await client[self.database]["orders"].find().to_list()
            namespace = f"{self.database}.orders"
            entries = client["local"]["oplog.rs"].find(
                {"$or": [{"ns": namespace, "op": "i"}, {"o.applyOps.ns": namespace}]}
            )
            inserted = [one async for entry in entries for one in _inserts(entry, namespace)]
            order = {identity: number for number, identity in enumerate(inserted)}
        stored.sort(key=lambda document: order[document["_id"]])
        return [self._received(document) for document in stored]

    def _received(self, document: dict[str, Any]) -> Received:
        return Received(document["_id"], bson.encode(document))

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        self._service.kill()
        try:
            yield
        finally:
            await anyio.to_thread.run_sync(self._service.restart)


class GuardedHarness(MongoHarness):
    def _received(self, document: dict[str, Any]) -> Received:
        return Received(document.pop("_eventbus")["id"], bson.encode(document))


class TestInsert(
    SinkContract,
    SinkRejectionContract,
    SinkOutageContract,
    TransactionContract,
    TransactionRejectionContract,
    TransactionOutageContract,
):
    @pytest.fixture
    def harness(self, own: MongoService) -> MongoHarness:
        return MongoHarness(own, mode="insert")

    def poison(self, changes: Changes) -> Event:
        return changes.change("poison", text="x" * (16 << 20))


class TestReplace(SinkContract, SinkRejectionContract, SinkOutageContract):
    keeps_history = False

    @pytest.fixture
    def harness(self, own: MongoService) -> MongoHarness:
        return GuardedHarness(own, mode="replace", guard=True)

    def poison(self, changes: Changes) -> Event:
        """MongoDB stores no document whose ``_id`` is a list, and says so for each write."""
        event = changes.change("poison")
        event.document = {"_id": ["poison"]}
        return event


@asynccontextmanager
async def _opened(own: MongoService, database: str, **options: Any) -> AsyncIterator[MongoSink]:
    written = {"uri": own.uri, "database": database, "timeout": "3s"} | options
    sink = MongoSink("copy", MongoSinkOptions.model_validate(written))
    try:
        await sink.open()
        yield sink
    finally:
        await sink.close()


@pytest.fixture
def database() -> str:
    return f"test_{bson.ObjectId()}"


def _message(sink: MongoSink, event: Event) -> Message:
    made = sink.encode(event, PlainEncoder())
    assert isinstance(made, Message), made
    return made


async def _send(sink: MongoSink, events: Sequence[Event]) -> Sequence[Outcome]:
    return await sink.send([_message(sink, event) for event in events])


def _of(changes: Changes, key: Any, document: dict[str, Any] | None, operation: str = "update") -> Event:
    """A change whose parts are raw, as they come from the source."""
    event = changes.change(str(key), operation=operation)
    event.document_key = bson.encode({"_id": key})
    event.document = bson.encode({"_id": key} | document) if document is not None else None
    return event


async def test_an_event_is_a_document_with_the_types_of_extended_json(
    own: MongoService, client: Client, database: str, changes: Changes
) -> None:
    """Its `_id` is the event's id; a repetition is known by it."""
    event = changes.change("a")

    class Typed(PlainEncoder):
        def encode(self, event: Event) -> bytes:
            return b'{"at": {"$date": "2026-01-02T03:04:05Z"}, "n": 5, "_id": "not mine"}'

    async with _opened(own, database, mode="insert", collection="log.{collection}") as sink:
        made = sink.encode(event, Typed())
        assert isinstance(made, Message)
        assert await sink.send([made]) == [DELIVERED]
        assert await sink.send([made]) == [DELIVERED]
    stored = await client[database]["log.orders"].find().to_list()
    assert len(stored) == 1
    assert (stored[0]["at"], stored[0]["n"]) == (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), 5)


async def test_a_mirror_has_the_documents_as_they_are(
    own: MongoService, client: Client, database: str, changes: Changes
) -> None:
    """Byte for byte, odd names of fields included; a deleted one is gone, if it is wanted so."""
    document = {"a.b": 1, "$c": {"d": [1, bson.Int64(2)]}, "at": datetime(2026, 1, 1, tzinfo=UTC)}
    kept, gone = _of(changes, 1, document), _of(changes, 2, {"x": 1})
    async with _opened(own, database, mode="replace") as sink:
        assert await _send(sink, [kept, gone]) == [DELIVERED] * 2
        assert await _send(sink, [_of(changes, 2, None, "delete")]) == [DELIVERED]
    async with _opened(own, database, mode="replace", deletes="ignore") as sink:
        assert await _send(sink, [_of(changes, 1, None, "delete")]) == [DELIVERED]
    raw = client[database].get_collection("orders", bson.CodecOptions(document_class=RawBSONDocument))
    stored: list[Any] = await raw.find().to_list()
    assert [one.raw for one in stored] == [kept.document]


@pytest.mark.parametrize("options", [{"mode": "replace"}, {"mode": "upsert", "fields": ["sku.code"]}])
async def test_a_guarded_document_never_goes_back_in_time(
    own: MongoService, client: Client, database: str, changes: Changes, options: dict[str, Any]
) -> None:
    """Whatever comes late, twice or after a delete: in the end there is the newest state, or a marker."""
    order = random.Random(str(options))
    async with _opened(own, database, guard=True, marker_ttl="1h", **options) as sink:
        for attempt in range(8):
            events = []
            for number, operation in enumerate(order.choices(["insert", "update", "delete"], k=12)):
                key = f"{attempt}-{number % 3}"
                document = {"sku": {"code": key}, "number": number}
                events.append(_of(changes, key, document, operation))
                events[-1].before = bson.encode({"_id": key} | document)
            newest = {event.document_key: event for event in events}
            scrambled = events + order.sample(events, 6)
            order.shuffle(scrambled)
            for event in scrambled:
                assert await _send(sink, [event]) == [DELIVERED]
            for event in newest.values():
                key = bson.decode(event.document_key)["_id"]  # type: ignore[arg-type] # it is raw
                [found] = await client[database]["orders"].find({"sku.code": key}).to_list() or [
                    await client[database]["orders"].find_one({"_id": key}) or {}
                ]
                assert found["_eventbus"]["id"] == event.id
                assert ("until" in found["_eventbus"]) == (event.operation == "delete")
                assert ("number" in found) == (event.operation != "delete")


async def test_markers_go_by_themselves(
    own: MongoService, client: Client, database: str, changes: Changes
) -> None:
    """The server removes them; documents stay."""
    async with _opened(own, database, mode="replace", guard=True, marker_ttl="2h") as sink:
        await _send(sink, [_of(changes, 1, {}), _of(changes, 2, None, "delete")])
    marker = await client[database]["orders"].find_one({"_id": 2})
    assert marker is not None
    assert timedelta(hours=1) < marker["_eventbus"]["until"] - datetime.now(UTC) <= timedelta(hours=2)
    indexes = await client[database]["orders"].index_information()
    assert indexes["eventbus_markers"]["key"] == [("_eventbus.until", 1)]
    assert indexes["eventbus_markers"]["expireAfterSeconds"] == 0


async def test_fields_go_into_the_document_that_agrees(
    own: MongoService, client: Client, database: str, changes: Changes
) -> None:
    """Other fields of it stay; one that is not there yet is made, with an `_id` of its own."""
    target = client[database]["orders"]
    await target.insert_one({"_id": "theirs", "sku": "a", "stock": 7})
    async with _opened(own, database, mode="upsert", fields=["sku"]) as sink:
        events = [_of(changes, 1, {"sku": "a", "$p": 1}), _of(changes, 2, {"sku": "b", "$p": 2})]
        assert await _send(sink, events) == [DELIVERED] * 2
        found = {one["sku"]: one for one in await target.find().to_list()}
        assert found["a"] == {"_id": "theirs", "sku": "a", "stock": 7, "$p": 1}
        assert isinstance(found["b"].pop("_id"), bson.ObjectId)
        assert found["b"] == {"sku": "b", "$p": 2}
        deleted = _of(changes, 1, None, "delete")
        refused = sink.encode(deleted, PlainEncoder())
        assert isinstance(refused, Rejected)
        assert "before images" in refused.reason
        deleted.before = bson.encode({"_id": 1, "sku": "a"})
        assert await _send(sink, [deleted]) == [DELIVERED]
    assert await target.count_documents({"sku": "a"}) == 0


async def test_what_cannot_be_mirrored_is_refused_or_passed_over(
    own: MongoService, client: Client, database: str, changes: Changes
) -> None:
    """An update without its document, a change of no document, bytes that are no BSON."""
    told = Event(token="82", operation="eventbus.watermark", database="", collection="")
    broken = _of(changes, 1, {})
    broken.document = b"\7\0\0\0\1a"
    async with _opened(own, database, mode="replace") as sink:
        for event in (_of(changes, 1, None), _of(changes, 1, {}, "drop"), broken):
            made = sink.encode(event, PlainEncoder())
            assert isinstance(made, Rejected)
            assert made.kind is Failure.ENCODING
        assert await sink.send([_message(sink, told)]) == [DELIVERED]
    assert database not in await client.list_database_names()


async def test_what_a_collection_refuses_takes_nothing_else_with_it(
    own: MongoService, client: Client, database: str, changes: Changes
) -> None:
    """Its validation, its unique indexes, and what no server stores; no document is quoted."""
    target = client[database]["orders"]
    await client[database].create_collection("orders", validator={"n": {"$gte": 0}})
    await target.create_index("email", unique=True, sparse=True)
    await target.insert_one({"_id": 0, "n": 0, "email": "secret@example.com"})
    events = [
        _of(changes, 1, {"n": 1}),
        _of(changes, 2, {"n": -1}),
        _of(changes, 3, {"n": 1, "email": "secret@example.com"}),
        _of(changes, 4, {"n": 4}),
    ]
    async with _opened(own, database, mode="replace") as sink:
        outcomes = await _send(sink, events)
    assert [type(outcome) for outcome in outcomes] == [type(DELIVERED), Rejected, Rejected, type(DELIVERED)]
    assert "validation" in outcomes[1].reason  # type: ignore[union-attr] # checked above
    assert "unique index" in outcomes[2].reason  # type: ignore[union-attr] # checked above
    assert "secret" not in str(outcomes)
    assert await target.distinct("_id") == [0, 1, 4]


@asynccontextmanager
async def _failing(client: Client, **how: Any) -> AsyncIterator[None]:
    """Have the server fail the sink's updates."""
    data = {"failCommands": ["update"], "appName": "eventbus-sink-copy", **how}
    await client.admin.command({"configureFailPoint": "failCommand", "mode": "alwaysOn", "data": data})
    try:
        yield
    finally:
        await client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


@pytest.mark.parametrize(
    ("how", "fault", "kind"),
    [
        ({"errorCode": 10107}, Fault.UNAVAILABLE, Failure.NETWORK),
        ({"errorCode": 13}, Fault.UNAUTHORISED, Failure.UNAUTHORISED),
        ({"errorCode": 14031}, Fault.UNAVAILABLE, Failure.SERVER),
        ({"errorCode": 8}, Fault.FAILED, Failure.SERVER),
        ({"writeConcernError": {"code": 100, "errmsg": "no"}}, Fault.UNAVAILABLE, Failure.SERVER),
        (
            {"blockConnection": True, "blockTimeMS": 1500, "errorCode": 50},
            Fault.UNAVAILABLE,
            Failure.TIMEOUT,
        ),
    ],
    ids=["no-primary", "no-right", "disk-full", "unknown", "no-majority", "silence"],
)
async def test_a_server_that_fails_costs_only_what_it_should(
    own: MongoService,
    client: Client,
    database: str,
    changes: Changes,
    how: dict[str, Any],
    fault: Fault,
    kind: Failure,
) -> None:
    """And the same sink goes on afterwards."""
    async with _opened(own, database, mode="replace", timeout="1s") as sink:
        async with _failing(client, **how):
            outcomes = await _send(sink, [_of(changes, 1, {}), _of(changes, 2, {})])
        assert len(set(outcomes)) == 1
        assert isinstance(outcomes[0], Retry), outcomes
        assert outcomes[0].fault is fault, outcomes[0]
        # Where the driver tries again until the time is over, it may say that instead.
        assert outcomes[0].kind in {kind, Failure.TIMEOUT}, outcomes[0]
        assert await _send(sink, [_of(changes, 1, {})]) == [DELIVERED]


async def test_a_majority_acknowledges(
    own: MongoService, client: Client, database: str, changes: Changes
) -> None:
    """Whatever the URI says: the server's log of the command shows what it was asked."""
    uri = own.uri + ("&" if "?" in own.uri else "?") + "w=1&journal=false"
    async with _opened(own, database, uri=uri, mode="replace") as sink:
        await client[database].command("profile", 0, slowms=-1)
        try:
            assert await _send(sink, [_of(changes, 1, {})]) == [DELIVERED]
        finally:
            await client[database].command("profile", 0, slowms=100)
    lines = [json.loads(line) for line in (await client.admin.command("getLog", "global"))["log"]]
    commands = [line["attr"]["command"] for line in lines if line["msg"] == "Slow query"]
    updates = [command for command in commands if "update" in command and command["$db"] == database]
    assert [update["writeConcern"] for update in updates] == [{"w": "majority", "j": True}]


async def test_positions_lie_where_they_are_told_to(
    own: MongoService, client: Client, changes: Changes
) -> None:
    """In a document of the route; an operator reads there what the target has."""
    database = f"test_{bson.ObjectId()}"
    async with _opened(own, database, mode="insert", positions=f"{database}.kept") as sink:
        transactions = sink.transactions("orders/copy")
        assert await transactions.claim(7) is None
        message = sink.encode(changes.change("a"), PlainEncoder())
        assert isinstance(message, Message)
        assert await transactions.commit([message], b"there") == DELIVERED
    assert await client[database]["kept"].find({}, {"session": 0}).to_list() == [
        {"_id": "orders/copy", "epoch": 7, "position": b"there"}
    ]


async def test_what_a_killed_owner_left_open_holds_up_nobody(
    own: MongoService, client: Client, changes: Changes
) -> None:
    """Its transaction would last for a minute, with the position that it was about to write."""
    database = f"test_{bson.ObjectId()}"
    options = {"mode": "insert", "positions": f"{database}.kept"}
    async with _opened(own, database, **options) as killed, _opened(own, database, **options) as sink:
        first = killed.transactions("orders/copy")
        await first.claim(1)
        session = first._session
        assert session is not None
        await session.start_transaction()
        await first._positions().update_one({"_id": "orders/copy"}, {"$set": {"x": 1}}, session=session)
        transactions = sink.transactions("orders/copy")
        assert await transactions.claim(2) is None
        assert await transactions.commit([_message(sink, changes.change("a"))], b"there") == DELIVERED
        await session.abort_transaction()
        with pytest.raises(LeaseLost):
            await first.commit([_message(killed, changes.change("b"))], b"late")
        await transactions.close()
        await first.close()


async def test_nobody_there_is_unreachable(changes: Changes) -> None:
    """And what the driver does not understand is said without the password."""
    options = {"uri": "mongodb://u:hunter2@127.0.0.1:1/", "timeout": "200ms", "mode": "replace"}
    sink = MongoSink("copy", MongoSinkOptions.model_validate(options))
    with pytest.raises(Unreachable) as caught:
        await sink.open()
    await sink.close()
    assert "hunter2" not in str(caught.value)
    odd = MongoSinkOptions.model_validate(
        options | {"uri": "mongodb://u:hunter2@h/?tls=true&tlsCAFile=/etc/passwd"}
    )
    with pytest.raises(ConfigurationError) as refused:
        await MongoSink("copy", odd).open()
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mode": "upsert"},
        {"mode": "upsert", "fields": []},
        {"mode": "upsert", "fields": ["a..b"]},
        {"mode": "upsert", "fields": ["_id"]},
        {"mode": "replace", "fields": ["a"]},
        {"mode": "replace", "marker_ttl": "1h"},
        {"mode": "replace", "uri": "http://h"},
        {"mode": "replace", "collection": "{nonsense}"},
        {"mode": "insert", "guard": True},
        {"mode": "insert", "deletes": "ignore"},
    ],
)
def test_bad_options_are_errors_of_the_configuration(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MongoSinkOptions.model_validate({"uri": "mongodb://h"} | options)
