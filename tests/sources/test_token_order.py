"""What everything rests on, asked of the server itself: tokens sort as text in the order of their sending.

A route skips what is at or before its `admitted`, whichever reader it comes from. That is right only if every
reader, wherever it began, is sent the same tokens in the same order, and if that is the order of their text.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

import pytest
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase

from eventbus.devservices import MongoService
from eventbus.sources.mongodb.cursor import can_split
from eventbus.sources.mongodb.tokens import cluster_time_of, high_water_mark, timestamp_of
from tests.sources.watching import Client, Document
from tests.sources.wire import Sent, Wire, assert_sorted, changes_of, wire

Database: TypeAlias = AsyncDatabase[Document]

pytestmark = [pytest.mark.anyio, pytest.mark.services]

LARGE = 6_000_000
"""Characters: images before and after with what was set do not fit into one change, and are split."""
SPLIT: Document = {"$changeStreamSplitLargeEvent": {}}
IMAGES: Document = {"fullDocument": "whenAvailable", "fullDocumentBeforeChange": "whenAvailable"}
SAMPLES = 15


PER_ENTRY = 50
"""How many operations of a transaction one entry of the oplog may hold here; so, too, do larger documents."""


@pytest.fixture(scope="module", params=["6.0.27", "6.0.5"])
def mongo_of_small_entries(request: pytest.FixtureRequest) -> Iterator[MongoService]:
    """Each of the two builds in turn, which spreads a transaction over several entries of its oplog."""
    entries = ("--setParameter", f"maxNumberOfTransactionOperationsInSingleOplogEntry={PER_ENTRY}")
    with MongoService.start(version=request.param, oplog_mb=256, extra_args=entries, own=True) as service:
        yield service


@pytest.fixture
async def scene(mongo_of_small_entries: MongoService) -> AsyncIterator[Scene]:
    """A database of the server, and how it is watched."""
    async with Client(mongo_of_small_entries.uri) as client:
        yield Scene(client, f"test_{uuid.uuid4().hex[:12]}", splits=await can_split(client))


async def test_every_kind_of_change(scene: Scene) -> None:
    """Transactions, one second full of changes, split changes, renames, drops, and idle tokens among them."""
    sent = await scene.make_history()
    assert_sorted(sent)
    kinds = Counter(one.kind for one in sent)
    assert kinds.keys() >= {"insert", "update", "replace", "delete", "rename", "drop", "batch"}
    assert bool(kinds["fragment"]) == scene.splits
    times = Counter(one.time for one in sent if one.time)
    assert max(times.values()) > 300, "no transaction shared one cluster time"
    assert max(Counter(time.time for time in times).values()) > 300, "no second was full of changes"


async def test_every_reader_is_sent_the_same(scene: Scene) -> None:
    """From any token, by `resumeAfter` or `startAfter`, comes exactly what is greater than it, in order."""
    seed = time.time_ns() % 10_000
    print(f"seed {seed}")
    history = await scene.make_history()
    changes = changes_of(history)
    for sent in _sample(history, Random(seed)):
        for option in ("resumeAfter", "startAfter"):
            again = await scene.read(changes[-1], **{option: {"_data": sent.token}})
            assert changes_of(again) == [token for token in changes if token > sent.token], (option, sent)
            assert_sorted([sent, *again])


async def test_every_reader_from_a_moment_is_sent_the_same(scene: Scene) -> None:
    """From a cluster time, given as such or as the token that we make of it, comes all from then on."""
    changes = changes_of(await scene.make_history())
    moments = sorted({cluster_time_of(token) for token in changes})
    for moment in Random(1).sample(moments, SAMPLES):
        mark = high_water_mark(moment).token
        expected = [token for token in changes if token > mark]
        assert expected == [token for token in changes if cluster_time_of(token) >= moment]
        starts = ({"startAtOperationTime": timestamp_of(moment)}, {"resumeAfter": {"_data": mark}})
        for start in starts:
            again = await scene.read(changes[-1], **start)
            assert changes_of(again) == expected, start
            assert_sorted([Sent(mark, "batch"), *again])


async def test_what_a_filter_leaves_keeps_its_tokens(scene: Scene) -> None:
    """A change has one token whatever a stream leaves out; an idle token moves on over that."""
    only_stock: Document = {"$match": {"ns.coll": "stock"}}
    async with scene.wire() as everything, scene.wire(only_stock) as some:
        for number in range(10):
            await scene.database.orders.insert_one({"_id": f"order {number}"})
            await everything.read_to(f"order {number}")
            await some.read_idle()
            idle, left_out = some.sent[-1].token, changes_of(everything.sent)[-1]
            assert cluster_time_of(idle) >= cluster_time_of(left_out), "the idle token did not move"
            await scene.database.stock.insert_one({"_id": f"stock {number}"})
            await everything.read_to(f"stock {number}")
            await some.read_to(f"stock {number}")
    assert_sorted(some.sent)
    assert changes_of(some.sent) == changes_of(everything.sent)[1::2]


async def test_across_an_invalidate(scene: Scene) -> None:
    """The invalidate follows the drop, also as text, and what comes after both follows them."""
    async with scene.wire(collection="orders") as before:
        await scene.database.orders.insert_one({"_id": 1})
        await scene.database.orders.drop()
        while before.is_open:
            await before.read_idle()
    (end,) = [sent for sent in before.sent if sent.kind == "invalidate"]
    await scene.database.orders.insert_one({"_id": "last"})
    async with scene.wire(collection="orders", startAfter={"_data": end.token}) as after:
        await after.read_to("last")
    assert_sorted([*before.sent, *after.sent])
    assert [sent.kind for sent in before.sent if sent.is_change] == ["insert", "drop", "invalidate"]
    assert len(changes_of(after.sent)) == 1


@dataclass(frozen=True)
class Scene:
    """A database, and how it is watched.

    Args:
        client: Of the server.
        name: The database.
        splits: Whether the server splits large changes; if so, our streams have it do that.
    """

    client: Client
    name: str
    splits: bool

    @property
    def database(self) -> Database:
        """Where the changes are made."""
        return self.client[self.name]

    def wire(
        self, *stages: Document, collection: str | None = None, **options: Any
    ) -> AbstractAsyncContextManager[Wire]:
        """A stream of the database, ending with the stage with which ours end."""
        ours = [SPLIT] if self.splits else []
        return wire(self.client, self.name, *stages, *ours, collection=collection, **IMAGES, **options)

    async def read(self, end: str, **start: Any) -> list[Sent]:
        """What a new reader is sent from a start up to a token."""
        async with self.wire(**start) as stream:
            await stream.read_past(end)
        return stream.sent

    async def make_history(self) -> list[Sent]:
        """Make changes of every kind; what a reader is sent that reads on as they are made, and idles."""
        await self.database.create_collection("orders", changeStreamPreAndPostImages={"enabled": True})
        async with self.wire() as stream:
            if self.splits:
                await self._change_much("large", "also")
                await stream.read_to("also")
            await self.database.orders.insert_many([{"_id": number} for number in range(400)])
            await stream.read_to(399)
            await self._transaction("of one entry", rounds=PER_ENTRY // 4)
            await self._transaction("of many entries", rounds=160)
            await stream.read_to("of many entries")
            await self.database.orders.update_many({}, {"$inc": {"updated": 1}})
            await self.database.orders.replace_one({"_id": 0}, {"replaced": True})
            await self.database.stock.rename("old")
            await self.database.old.drop()
            await self.database.orders.delete_many({"_id": {"$gte": 300}})
            await self.database.orders.insert_one({"_id": "last"})
            await stream.read_to("last")
        return stream.sent

    async def _change_much(self, *keys: str) -> None:
        """Changes that are split, the one right behind the other."""
        for key in keys:
            await self.database.orders.insert_one({"_id": key, "text": "a" * LARGE})
        for key in keys:
            await self.database.orders.update_one({"_id": key}, {"$set": {"text": "b" * LARGE}})

    async def _transaction(self, last: str, *, rounds: int) -> None:
        """Two operations a round, on two collections in turn; then `last` is inserted."""
        orders, stock = self.database.orders, self.database.stock

        async def write(session: AsyncClientSession) -> None:
            for number in range(rounds):
                await orders.update_one({"_id": 399 - number}, {"$set": {last: number}}, session=session)
                await stock.insert_one({"_id": f"{last} {number}"}, session=session)
            await stock.insert_one({"_id": last}, session=session)

        async with self.client.start_session() as session:
            await session.with_transaction(write)


def _sample(sent: Sequence[Sent], rng: Random) -> list[Sent]:
    """Some tokens of changes of a usual kind, and each of another: of fragments, of the ends of replies."""
    usual = [one for one in sent if one.kind in {"insert", "update", "delete"}]
    unusual = {one.token: one for one in sent if one.kind not in {"insert", "update", "delete"}}
    return [*rng.sample(usual, SAMPLES), *unusual.values()]
