"""What is MongoDB's own: rights, outages, concerns, indexes, and payloads in chunks."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import bson
import pytest
from pymongo import AsyncMongoClient, MongoClient, ReadPreference
from pymongo.errors import OperationFailure
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from eventbus.devservices import MongoService
from eventbus.errors import ConfigurationError, Unreachable
from eventbus.model import Position
from eventbus.state.mongodb import MongoStore
from eventbus.state.operations import Operation, OperationKind
from eventbus.state.store import Lease, LetterQuery, Save
from tests.state.letters import event, failures, found, letter, parts

pytestmark = [pytest.mark.anyio, pytest.mark.services]

# The driver forgets the socket of a connection attempt that it cancels while a server is away.
outage = pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning")

OPERATION = Operation("op", OperationKind.REPLAY, "s", "r")
PASSWORD = "r00t/pass:word"


IMPATIENT = """
import sys, anyio
from eventbus.errors import Unreachable
from eventbus.state.mongodb import MongoStore

async def ask(store, number):
    try:
        await store.positions(str(number))
    except Unreachable:
        pass

async def main(uri):
    store = MongoStore(uri, database="impatient", instance="a")
    await store.open()
    print("open", flush=True)
    sys.stdin.readline()
    with anyio.move_on_after(0.2):
        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(ask, store, number)
    print("cancelled", flush=True)
    try:
        await store.positions("s")
    except Unreachable:
        print("away", flush=True)
    await store.close()
    print("closed", flush=True)

anyio.run(main, sys.argv[1])
"""


@pytest.fixture(scope="module")
def own_mongo() -> Iterator[MongoService]:
    """One that may be killed, and that asks who is there."""
    with MongoService.start(own=True, auth=("root", PASSWORD)) as service:
        yield service


@asynccontextmanager
async def opened(uri: str, database: str, instance: str = "a") -> AsyncIterator[MongoStore]:
    store = MongoStore(uri, database=database, instance=instance)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store(mongo: MongoService, fresh_database: str, anyio_backend: str) -> AsyncIterator[MongoStore]:
    async with opened(mongo.uri, fresh_database) as store:
        yield store


@pytest.fixture
async def watched(own_mongo: MongoService, anyio_backend: str) -> AsyncIterator[tuple[MongoStore, Lease]]:
    """A store on the server that may be killed, with a lease and a position."""
    async with opened(own_mongo.uri, f"state_{os.urandom(4).hex()}") as store:
        lease = await store.acquire("s", lease_secs=600, reclaim=False)
        assert lease is not None
        await store.save([Save(lease, {"r": Position("1")})], lease_secs=600)
        yield store, lease
    gc.collect()  # while `outage` says what to make of it


@asynccontextmanager
async def failing(uri: str, commands: list[str], mode: Any, **data: Any) -> AsyncIterator[None]:
    """While the body runs, these commands of the state's client fail."""
    where = {"failCommands": commands, "appName": "eventbus-state", **data}
    async with AsyncMongoClient[dict[str, Any]](uri) as client:
        await client.admin.command({"configureFailPoint": "failCommand", "mode": mode, "data": where})
        try:
            yield
        finally:
            await client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


async def refused(uri: str, database: str = "state") -> str:
    """Why a store cannot be opened there."""
    with pytest.raises(ConfigurationError) as caught:
        await MongoStore(uri, database=database, instance="a").open()
    return str(caught.value)


# Rights and addresses


async def test_a_wrong_password_is_said_without_it(own_mongo: MongoService) -> None:
    said = await refused(f"mongodb://root:wr0ng@127.0.0.1:{own_mongo.port}/?authSource=admin")
    assert "refuses the state store's user name or password" in said
    assert "wr0ng" not in said


async def test_a_user_who_may_not_write_is_told_what_to_grant(own_mongo: MongoService) -> None:
    with MongoClient[dict[str, Any]](own_mongo.uri) as client:
        client.admin.command("createUser", "reader", pwd="r3ad", roles=[{"role": "read", "db": "state"}])
    said = await refused(f"mongodb://reader:r3ad@127.0.0.1:{own_mongo.port}/?authSource=admin")
    assert "grant it readWrite on the state database" in said
    assert "r3ad" not in said


async def test_a_standalone_server_is_refused() -> None:
    with MongoService.start(replica_set=False, own=True) as standalone:
        assert "needs a replica set" in await refused(standalone.uri)


async def test_a_uri_that_is_none_is_refused_without_quoting_it() -> None:
    said = await refused("mongodb://u:p@127.0.0.1:s3cret/")
    assert "s3cret" not in said


async def test_the_uri_cannot_weaken_what_the_store_promises(
    mongo: MongoService, fresh_database: str
) -> None:
    weak = f"{mongo.uri}&w=1&journal=false&readPreference=secondary&readConcernLevel=local&retryWrites=false"
    async with opened(weak, fresh_database) as store:
        rows = store._letters.rows
        for collection in (store._subscriptions, rows, store._letters.chunks):
            assert collection.write_concern == WriteConcern("majority", j=True)
            assert collection.read_concern == ReadConcern("majority")
            assert collection.read_preference == ReadPreference.PRIMARY
        assert rows.database.client.options.retry_writes
        async with failing(mongo.uri, ["ping"], "alwaysOn", errorCode=2):
            with pytest.raises(OperationFailure):  # so the client is known to the server by its own name
                await rows.database.client.admin.command("ping")


# Outages


async def use_everything(store: MongoStore, lease: Lease) -> None:
    """Every method must say that the store is away."""

    async def use(call: Callable[[], Awaitable[object]]) -> None:
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1"):
            await call()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(use, lambda: store.save([Save(lease, {})], lease_secs=600))
            group.start_soon(use, lambda: store.acquire("t", lease_secs=600, reclaim=False))
            group.start_soon(use, lambda: store.positions("s"))
            group.start_soon(use, lambda: store.release(lease))
            group.start_soon(use, lambda: store.park([letter(1)]))
            group.start_soon(use, lambda: store.parked_after("orders", "hook", ""))
            group.start_soon(use, lambda: found(store))
            group.start_soon(use, lambda: store.count_letters(LetterQuery()))
            group.start_soon(use, lambda: store.park_again([letter(1)], operation="op"))
            group.start_soon(use, lambda: store.conclude_letters("s", [("r", "e")], operation="op"))
            group.start_soon(use, lambda: store.forwarded_letters("s", [("r", "e")]))
            group.start_soon(use, lambda: store.discard_letters(LetterQuery(), by="me"))
            group.start_soon(use, lambda: store.hold_letters(LetterQuery(), hold=True))
            group.start_soon(use, store.purge_letters)
            group.start_soon(use, lambda: store.held_keys("s", "r"))
            group.start_soon(use, lambda: store.dead_key_hashes("s", "r"))
            group.start_soon(use, lambda: store.supersede_letters("s", "r", event(1)))
            group.start_soon(use, lambda: store.controls({"s"}))
            group.start_soon(use, lambda: store.set_paused("s", "r", "why"))
            group.start_soon(use, lambda: store.add_operation(OPERATION))
            group.start_soon(use, store.find_operations)
            group.start_soon(use, lambda: store.move_operation(OPERATION, lease))
            group.start_soon(use, lambda: store.cancel_operation("op"))
            group.start_soon(use, lambda: store.forget_position(lease, "r"))


@outage
async def test_a_killed_server_is_unreachable_until_it_is_back(
    own_mongo: MongoService, watched: tuple[MongoStore, Lease]
) -> None:
    store, lease = watched
    newcomer = MongoStore(own_mongo.uri, database=store._name, instance="b")
    own_mongo.kill()
    await use_everything(store, lease)
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1"):
        await newcomer.open()

    own_mongo.restart()
    assert await store.save([Save(lease, {"q": Position("2")})], lease_secs=600) == [True]
    assert await store.positions("s") == {"r": Position("1"), "q": Position("2")}
    await newcomer.open()
    assert await newcomer.acquire("s", lease_secs=600, reclaim=False) is None
    await newcomer.close()


def test_calls_that_are_cancelled_while_the_server_is_away_block_nobody(own_mongo: MongoService) -> None:
    """In a process of its own, since what it guards against cannot be cancelled either."""
    process = subprocess.Popen(
        [sys.executable, "-c", IMPATIENT, own_mongo.uri], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"open\n"
        own_mongo.kill()
        said, _ = process.communicate(b"killed\n", timeout=60)
        assert said.split() == [b"cancelled", b"away", b"closed"]
    finally:
        process.kill()
        process.communicate()
        own_mongo.restart()


@outage
async def test_a_server_that_hangs_is_unreachable_too(
    own_mongo: MongoService, watched: tuple[MongoStore, Lease]
) -> None:
    store, lease = watched

    async def save_for_ever() -> None:
        while True:  # the signal may need a moment
            await store.save([Save(lease, {"r": Position("2")})], lease_secs=600)

    own_mongo.pause()
    try:
        with anyio.fail_after(20), pytest.raises(Unreachable):
            await save_for_ever()
    finally:
        own_mongo.resume()
    assert await store.save([Save(lease, {"r": Position("3")})], lease_secs=600) == [True]
    assert await store.positions("s") == {"r": Position("3")}


@outage
async def test_a_connection_that_breaks_in_a_write_is_retried_by_the_driver(
    own_mongo: MongoService, watched: tuple[MongoStore, Lease]
) -> None:
    store, lease = watched
    async with failing(own_mongo.uri, ["update", "findAndModify"], {"times": 2}, closeConnection=True):
        assert await store.save([Save(lease, {"r": Position("2")})], lease_secs=600) == [True]
        assert await store.acquire("t", lease_secs=600, reclaim=False)


@outage
async def test_a_majority_that_cannot_be_had_is_unreachable(
    own_mongo: MongoService, watched: tuple[MongoStore, Lease]
) -> None:
    store, lease = watched
    concern = {"code": 64, "codeName": "WriteConcernFailed", "errmsg": "waiting for replication timed out"}
    async with failing(own_mongo.uri, ["update"], "alwaysOn", writeConcernError=concern):
        with pytest.raises(Unreachable):
            await store.save([Save(lease, {})], lease_secs=600)
        with pytest.raises(Unreachable):
            await store.park([letter(1)])


# Documents


async def test_a_subscription_is_one_document_of_the_agreed_shape(store: MongoStore) -> None:
    lease = await store.acquire("s", lease_secs=600, reclaim=False)
    assert lease is not None
    await store.save([Save(lease, {"r": Position("82")})], lease_secs=600)
    document = await store._subscriptions.find_one({"_id": "s"})
    assert document is not None
    assert set(document) == {"_id", "owner", "incarnation", "epoch", "lease_until", "updated_at", "routes"}
    assert document["routes"] == {"r": {"token": "82", "kind": "event", "cluster_time": None}}
    assert (document["lease_until"] - document["updated_at"]).total_seconds() == 600


async def test_a_save_keeps_what_others_have_put_into_the_document(store: MongoStore) -> None:
    lease = await store.acquire("s", lease_secs=600, reclaim=False)
    assert lease is not None
    theirs = {"routes.r.paused": True, "routes.only_paused.paused": True, "note": "kept"}
    await store._subscriptions.update_one({"_id": "s"}, {"$set": theirs})
    await store.save([Save(lease, {"r": Position("82")})], lease_secs=600)
    await store.acquire("s", lease_secs=600, reclaim=True)
    document = await store._subscriptions.find_one({"_id": "s"})
    assert document is not None
    assert document["routes"]["r"]["paused"] is True
    assert document["routes"]["only_paused"] == {"paused": True}
    assert document["note"] == "kept"
    assert await store.positions("s") == {"r": Position("82")}


async def test_a_dead_letter_can_be_searched_by_its_fields(store: MongoStore) -> None:
    await store.park([letter(7, reason="too large", attempts=3, errors=failures("e"))])
    row = await store._letters.rows.find_one(
        {
            "subscription": "orders",
            "route": "hook",
            "operation": "insert",
            "document_key._id": 7,
            "reason": {"$regex": "large"},
            "attempts": {"$gt": 2},
            "errors.reason": "e",
            "size": 77,
            "status": "parked",
            "key_hash": event(7).key_hash,
            "event_id": event(7).id,
            "cluster_time": {"$gt": bson.Timestamp(1_700_000_000, 1)},
            "created_at": {"$type": "date"},
        }
    )
    assert row is not None
    assert set(row) - {"payload"} == {
        *("_id", "subscription", "route", "event_id", "operation", "database", "collection", "document_key"),
        *("key_hash", "key_id", "key", "token", "cluster_time", "size", "reason", "kind", "config"),
        *("held_behind", "is_held", "superseded_by", "is_superseded", "legal_hold", "operation_id"),
        *("attempts", "errors", "status", "forwarded", "discarded_by"),
        *("created_at", "updated_at", "expires_at"),
    }


# Payloads in chunks


def large(number: int, fill: bytes, size: int = 9_000_000) -> Any:
    return letter(number, body=fill * size)


async def chunks(store: MongoStore) -> list[dict[str, Any]]:
    return await store._letters.chunks.find({}, {"digest": 1}).to_list()


async def test_a_crash_before_the_row_leaves_orphans_that_the_next_park_clears(
    mongo: MongoService, store: MongoStore
) -> None:
    rows = f"{store._name}.dead_letters"
    async with failing(mongo.uri, ["update"], "alwaysOn", errorCode=2, namespace=rows):
        with pytest.raises(OperationFailure):
            await store.park([large(1, b"a")])
    assert await found(store) == []
    assert len(await chunks(store)) == 3

    await store.park([large(2, b"other")])
    await store.park([large(1, b"b", 5_000_000)])
    stored = await found(store)
    assert {one.letter.event.id: one.letter.body for one in stored} == {
        event(2).id: b"other" * 9_000_000,
        event(1).id: b"b" * 5_000_000,
    }
    assert len(await chunks(store)) == 2 + 11


async def test_parking_a_large_one_again_writes_nothing(mongo: MongoService, store: MongoStore) -> None:
    await store.park([large(1, b"a")])
    before = await chunks(store)
    async with failing(mongo.uri, ["update", "delete"], "alwaysOn", errorCode=2):
        await store.park([large(1, b"b"), large(1, b"c", 20_000_000)])
    assert await chunks(store) == before
    (stored,) = await found(store)
    assert stored.letter.body == b"a" * 9_000_000


async def test_of_two_that_park_the_same_large_event_at_once_one_is_kept_whole(
    mongo: MongoService, store: MongoStore
) -> None:
    async with opened(mongo.uri, store._name, "b") as other, anyio.create_task_group() as group:
        group.start_soon(store.park, [large(1, b"a")])
        group.start_soon(other.park, [large(1, b"b", 13_000_000)])
    (stored,) = await found(store)
    assert stored.letter.body in (b"a" * 9_000_000, b"b" * 13_000_000)
    assert parts(stored.letter.event) == parts(event(1))
    assert len({chunk["digest"] for chunk in await chunks(store)}) == 1


async def test_of_many_that_park_the_same_event_at_once_nobody_fails(
    mongo: MongoService, store: MongoStore
) -> None:
    async with opened(mongo.uri, store._name, "b") as other:
        for number in range(20):
            async with anyio.create_task_group() as group:
                for rival in (store, other) * 3:
                    group.start_soon(rival.park, [letter(number)])
    assert len(await found(store)) == 20


async def test_what_operators_want_is_one_question(mongo: MongoService, fresh_database: str) -> None:
    """It is asked every second, of all subscriptions of a daemon, of which hardly any has an answer."""
    store = MongoStore(mongo.uri, database=fresh_database, instance="a")
    await store.open()
    await store.set_paused("s", "hook", "too fast")
    await store.add_operation(OPERATION)
    async with AsyncMongoClient[dict[str, Any]](mongo.uri) as client:
        database = client[fresh_database]
        await database.command("profile", 2)
        controls = await store.controls({"s", "neither"})
        await database.command("profile", 0)
        seen = await database["system.profile"].find({"command.profile": {"$exists": False}}).to_list()
    await store.close()
    assert controls["s"].paused == {"hook": "too fast"}
    assert [one.id for one in controls["s"].operations] == ["op"]
    assert [entry["command"].get("aggregate") for entry in seen] == ["subscriptions"]
