"""What is MongoDB's own about the fates of dead letters: transactions, and rows of an earlier version."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest
from pymongo import AsyncMongoClient

from eventbus.devservices import MongoService
from eventbus.errors import Unreachable
from eventbus.model import Failure
from eventbus.state.mongodb import MongoStore
from eventbus.state.store import LetterQuery
from tests.state.letters import event, found, letter

pytestmark = [pytest.mark.anyio, pytest.mark.services]

NEW_FIELDS = (
    *("key_id", "key", "kind", "config", "held_behind", "is_held", "superseded_by", "is_superseded"),
    *("legal_hold", "operation_id", "forwarded", "discarded_by", "updated_at", "expires_at"),
)


@pytest.fixture
async def store(mongo: MongoService, fresh_database: str, anyio_backend: str) -> AsyncIterator[MongoStore]:
    store = MongoStore(mongo.uri, database=fresh_database, instance="a")
    await store.open()
    yield store
    await store.close()


async def test_what_is_put_on_hold_while_it_is_removed_is_kept_whole_or_gone_whole(
    mongo: MongoService, store: MongoStore
) -> None:
    other = MongoStore(mongo.uri, database=store._name, instance="b")
    await other.open()
    for number in range(10):
        await store.park([letter(number, body=bytes(3_000_000), expire_after_secs=0.0)])

        async def remove() -> None:
            while True:
                try:
                    await store.purge_letters()
                except Unreachable:  # the hold came first
                    continue
                return

        held: list[int] = []

        async def hold(held: list[int] = held) -> None:
            held.append(await other.hold_letters(LetterQuery(), hold=True))

        async with anyio.create_task_group() as group:
            group.start_soon(remove)
            group.start_soon(hold)
        kept = await found(store)
        assert len(kept) == held[0]
        assert all(one.letter.body == bytes(3_000_000) for one in kept)
        assert await store._letters.chunks.count_documents({}) == len(kept)
        await store.hold_letters(LetterQuery(), hold=False)
        await store.purge_letters()
    await other.close()


async def test_a_row_of_an_earlier_version_reads_well_and_is_found_by_its_defaults(
    mongo: MongoService, store: MongoStore
) -> None:
    await store.park([letter(1)])
    async with AsyncMongoClient[dict[str, object]](mongo.uri) as client:
        old = dict.fromkeys(NEW_FIELDS, "")
        await client[store._name]["dead_letters"].update_one({}, {"$unset": old})
    (stored,) = await found(store)
    assert (stored.letter.kind, stored.letter.config, stored.letter.held_behind) == (
        Failure.REJECTED,
        "",
        None,
    )
    assert (stored.legal_hold, stored.forwarded, stored.expires_at) == (False, False, None)

    matching: list[dict[str, object]] = [
        {"kind": "rejected", "config": "", "legal_hold": False, "expires_at": None},
        {"kind": {"$in": ["rejected"]}, "held_behind": {"$exists": False}, "config": {"$exists": True}},
        {"kind": {"$ne": "timeout"}, "legal_hold": {"$ne": True}, "operation_id": None},
    ]
    others: list[dict[str, object]] = [
        {"kind": {"$ne": "rejected"}},
        {"legal_hold": True},
        {"config": {"$gt": ""}},
    ]
    for match in matching:
        assert len(await found(store, match=match, forwarded=False, not_operation="op")) == 1, match
    for match in others:
        assert await found(store, match=match) == [], match

    await store.park_again([letter(1, attempts=2)], operation="op")
    assert await store.hold_letters(LetterQuery(), hold=True) == 1
    assert await store.discard_letters(LetterQuery(), by="me") == 1
    (stored,) = await found(store)
    assert (stored.letter.attempts, stored.operation, stored.status) == (2, "op", "discarded")
    assert (await store.count_letters(LetterQuery())).keys == 1


async def test_the_letters_of_an_earlier_version_hold_no_keys(mongo: MongoService, store: MongoStore) -> None:
    """They were parked before keys could be held."""
    await store.park([letter(1), letter(2)])
    async with AsyncMongoClient[dict[str, object]](mongo.uri) as client:
        old = dict.fromkeys(NEW_FIELDS, "")
        await client[store._name]["dead_letters"].update_one({"event_id": event(1).id}, {"$unset": old})
    assert [key.first for key in await store.held_keys("orders", "hook")] == [event(2).id]
