"""What the workload calls committed is what the server's own change stream tells, also across faults."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import DuplicateKeyError, PyMongoError

from eventbus.demo.ledger import LAST_REV, Change, Ledger, Receipt, canonical_id
from eventbus.demo.shop import Shop
from eventbus.demo.workload import Workload, _OutOfTurn
from eventbus.devservices import MongoService

pytestmark = [pytest.mark.anyio, pytest.mark.services]

Document = dict[str, Any]
Client = AsyncMongoClient[Document]

WRITES = ["insert", "update", "delete"]


@asynccontextmanager
async def connected(uri: str) -> AsyncIterator[Client]:
    client: Client = AsyncMongoClient(uri, serverSelectionTimeoutMS=2000)
    async with client:
        yield client


@pytest.fixture
async def client(mongo: MongoService) -> AsyncIterator[Client]:
    async with connected(mongo.uri) as client:
        yield client


async def start_of(client: Client, database: str) -> Document:
    """Where a stream begins that sees everything from now on."""
    async with await client[database].watch() as stream:
        await stream.try_next()
        assert stream.resume_token is not None
        return dict(stream.resume_token)


async def told_by_server(client: Client, database: str, start: Document) -> list[Receipt]:
    """Every change since `start`, as MongoDB itself tells it, up to a marker written now."""
    await client[database]["marker"].insert_one({})
    receipts: list[Receipt] = []
    async with await client[database].watch(resume_after=start) as stream:
        async for event in stream:
            if event["ns"]["coll"] == "marker":
                return receipts
            if "documentKey" in event:
                receipts.append(receipt(event))
    raise AssertionError("the stream ended")


def receipt(event: Document) -> Receipt:
    match event["operationType"]:
        case "delete":
            rev = LAST_REV
        case "update":
            rev = event["updateDescription"]["updatedFields"]["rev"]
        case _:
            rev = event["fullDocument"]["rev"]
    namespace, identity = event["ns"], canonical_id(event["documentKey"]["_id"])
    change = Change(namespace["db"], namespace["coll"], identity, event["operationType"], rev)
    return Receipt(event["_id"]["_data"], change)


async def test_the_ledger_is_what_the_server_tells(client: Client, fresh_database: str) -> None:
    ledger = Ledger()
    workload = Workload(client, fresh_database, ledger, seed=1)
    await workload.prepare()
    start = await start_of(client, fresh_database)

    await workload.run(changes=400)

    assert len(ledger.committed) >= 400
    assert not ledger.uncertain
    assert set(ledger.operations()) == {"insert", "update", "replace", "delete"}
    assert ledger.check(await told_by_server(client, fresh_database, start)).is_clean


@pytest.mark.parametrize(
    "fault",
    [
        {"failCommands": [*WRITES, "commitTransaction", "find"], "closeConnection": True},
        {
            "failCommands": [*WRITES, "commitTransaction"],
            "writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"},
        },
        {"failCommands": WRITES, "errorCode": 112, "errorLabels": ["TransientTransactionError"]},
    ],
    ids=["not done, not answered", "done, not confirmed", "write conflict"],
)
async def test_a_write_of_unknown_outcome_is_counted_once(
    mongo: MongoService, client: Client, fresh_database: str, fault: Document
) -> None:
    """The server fails one command of eight; the driver's own retries are off."""
    app = f"workload-{uuid.uuid4().hex}"
    failure = {"appName": app, **fault}
    often = {"activationProbability": 0.125}
    ledger = Ledger()
    start = await start_of(client, fresh_database)
    doubtful: Client = AsyncMongoClient(mongo.uri, appname=app, retryWrites=False, retryReads=False)
    await client.admin.command("configureFailPoint", "failCommand", mode=often, data=failure)
    try:
        async with doubtful:
            await Workload(doubtful, fresh_database, ledger, seed=2).run(changes=100)
    finally:
        await client.admin.command("configureFailPoint", "failCommand", mode="off")

    assert len(ledger.committed) >= 100
    assert not ledger.uncertain
    assert ledger.check(await told_by_server(client, fresh_database, start)).is_clean


async def test_a_write_that_is_sent_twice_happens_once(client: Client, fresh_database: str) -> None:
    """As when the first one was given up and arrives late."""
    workload = Workload(client, fresh_database, Ledger(), seed=8)
    shop = Shop(8, 0, hot_share=0)
    start = await start_of(client, fresh_database)
    writes = [write for _ in range(300) for write in shop.next_step()]
    for write in writes:
        await workload._write(write)
        with pytest.raises((_OutOfTurn, DuplicateKeyError)):
            await workload._write(write)

    told = await told_by_server(client, fresh_database, start)

    assert {write.operation for write in writes} == {"insert", "update", "replace", "delete"}
    assert [receipt.change for receipt in told] == [workload._change(write) for write in writes]


async def test_the_ledger_is_right_after_the_server_was_killed() -> None:
    """SIGKILL in mid-work; the workload goes on when the server is back, and nothing is guessed."""
    with MongoService.start(own=True) as mongo:
        ledger = Ledger()
        async with connected(mongo.uri) as client:
            start = await start_of(client, "shop")
            workload = Workload(client, "shop", ledger, seed=3)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(workload.run)
                await reached(ledger, 200)
                await anyio.to_thread.run_sync(mongo.kill)
                await anyio.to_thread.run_sync(mongo.restart)
                await reached(ledger, len(ledger.committed) + 200)
                workload.stop()

            assert not ledger.uncertain
            assert ledger.check(await told_by_server(client, "shop", start)).is_clean


async def test_stop_finishes_what_is_begun_and_begins_nothing(client: Client, fresh_database: str) -> None:
    ledger = Ledger()
    workload = Workload(client, fresh_database, ledger, seed=4, rate=300)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(workload.run)
        await reached(ledger, 20)
        workload.stop()
    count = len(ledger.committed)

    assert not ledger.uncertain
    await workload.run(changes=20)
    assert count + 20 <= len(ledger.committed) <= count + 20 + 4 * 3


async def test_cancelling_finishes_what_is_under_way(client: Client, fresh_database: str) -> None:
    ledger = Ledger()
    start = await start_of(client, fresh_database)
    workload = Workload(client, fresh_database, ledger, seed=5)
    await workload.prepare()  # collections that a transaction makes would be a conflict with the next one
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(workload.run)
        await reached(ledger, 50)
        tasks.cancel_scope.cancel()

    assert not ledger.uncertain
    assert ledger.check(await told_by_server(client, fresh_database, start)).is_clean


async def test_ids_that_are_taken_are_an_error_and_not_taken_for_ours(
    client: Client, fresh_database: str
) -> None:
    await Workload(client, fresh_database, Ledger(), seed=6).run(changes=10)

    with pytest.raises(ExceptionGroup) as caught:
        await Workload(client, fresh_database, Ledger(), seed=6).run(changes=10)

    assert caught.group_contains(DuplicateKeyError, depth=2)


async def test_a_server_that_stays_away_is_an_error_after_the_patience(fresh_database: str) -> None:
    async with connected("mongodb://127.0.0.1:1/?directConnection=true") as client:
        workload = Workload(client, fresh_database, Ledger(), patience_secs=0.5)
        with pytest.raises(ExceptionGroup) as caught:
            await workload.run(changes=10)

    assert caught.group_contains(PyMongoError, match="took no write for 0.5 s", depth=2)


async def test_the_rate_is_kept(client: Client, fresh_database: str) -> None:
    """Two hundred writes at 200 a second are not made in less than a second, all but the last few."""
    workload = Workload(client, fresh_database, Ledger(), seed=7, rate=200)
    begun = anyio.current_time()

    await workload.run(changes=200)

    assert anyio.current_time() - begun > 0.9


async def reached(ledger: Ledger, count: int) -> None:
    """Wait for the ledger to grow; a plain value that wakes nobody."""
    with anyio.fail_after(60):
        while len(ledger.committed) < count:  # noqa: ASYNC110 - see above
            await anyio.sleep(0.01)
