"""Nothing that the daemon asks of its dead letters looks through all of them, by the server's own profile."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from eventbus.devservices import MongoService
from eventbus.state.mongodb import MongoStore
from eventbus.state.store import LetterQuery, LetterStatus
from tests.state.letters import collected, event, found, letter

pytestmark = [pytest.mark.anyio, pytest.mark.services]

BY_CREATION = "{ created_at: 1, token: 1, _id: 1 }"
BY_EVENT = "{ token: 1, _id: 1 }"
PARKED = [LetterStatus.PARKED]


@pytest.fixture
async def store(mongo: MongoService, fresh_database: str, anyio_backend: str) -> AsyncIterator[MongoStore]:
    """A store with 600 letters of 20 keys on one route, and 600 on another, a third of them replayed."""
    store = MongoStore(mongo.uri, database=fresh_database, instance="a")
    await store.open()
    for route in ("hook", "topic"):
        letters = [
            letter(
                number, route=route, event=event(number, key=b"%d" % (number % 20)), expire_after_secs=600.0
            )
            for number in range(600)
        ]
        await store.park(letters)
        sent = [(route, one.event.id) for one in letters[::3]]
        await store.conclude_letters("orders", sent, operation="op")
    yield store
    await store.close()


@asynccontextmanager
async def profiled(mongo: MongoService, store: MongoStore) -> AsyncIterator[list[dict[str, Any]]]:
    """What the server did with dead letters while the body ran."""
    seen: list[dict[str, Any]] = []
    async with AsyncMongoClient[dict[str, Any]](mongo.uri) as client:
        database = client[store._name]
        await database.command("profile", 2)
        yield seen
        await database.command("profile", 0)
        of_letters = {"ns": f"{store._name}.dead_letters", "op": {"$ne": "insert"}}
        seen += await database["system.profile"].find(of_letters, sort=[("ts", 1)]).to_list()


def indexes(seen: list[dict[str, Any]]) -> set[str]:
    """What was looked through, collections included."""
    scans = [scan for entry in seen for scan in re.split(", (?=[A-Z])", entry["planSummary"])]
    return {scan.removeprefix("IXSCAN ") for scan in scans}


async def test_ids_beyond_a_token_are_read_from_an_index_alone(
    mongo: MongoService, store: MongoStore
) -> None:
    async with profiled(mongo, store) as seen:
        assert len(await store.parked_after("orders", "hook", event(299).token)) == 300
    assert indexes(seen) == {"{ subscription: 1, route: 1, token: 1, event_id: 1 }"}
    assert sum(entry["docsExamined"] for entry in seen) == 0


@pytest.mark.parametrize(
    ("query", "by_token", "index", "pages"),
    [
        (LetterQuery(), False, BY_CREATION, 6),
        (LetterQuery("orders", ["hook"]), False, BY_CREATION, 4),
        (LetterQuery("orders"), True, BY_EVENT, 6),
        (LetterQuery("orders", ["hook"], statuses=PARKED), True, BY_EVENT, 3),
    ],
)
async def test_a_page_is_read_in_the_order_of_an_index(
    mongo: MongoService, store: MongoStore, query: LetterQuery, by_token: bool, index: str, pages: int
) -> None:
    async with profiled(mongo, store) as seen:
        letters = await collected(store.find_letters(query, by_token=by_token))
    assert len(letters) == (await store.count_letters(query)).letters
    assert len(seen) == pages
    assert indexes(seen) == {index}
    assert not any(entry.get("hasSortStage") for entry in seen)
    assert sum(entry["docsExamined"] for entry in seen) <= 1200 + 600 + pages  # the end may be read twice


async def test_held_keys_are_counted_from_an_index_and_read_once_each(
    mongo: MongoService, store: MongoStore
) -> None:
    async with profiled(mongo, store) as seen:
        assert len(await store.held_keys("orders", "hook")) == 20
    counting, reading = seen
    assert "status: 1, key_id: 1, token: 1, event_id: 1" in counting["planSummary"]
    assert (counting["keysExamined"], counting["docsExamined"]) == (400, 0)
    assert reading["docsExamined"] == 20


async def test_dead_keys_are_read_from_an_index_alone(mongo: MongoService, store: MongoStore) -> None:
    async with profiled(mongo, store) as seen:
        assert len(await store.dead_key_hashes("orders", "hook")) == 20
    (asked,) = seen
    assert "is_superseded: 1, key_hash: 1" in asked["planSummary"]
    assert asked["docsExamined"] == 0
    assert asked["keysExamined"] <= 401


async def test_superseding_touches_the_letters_of_the_key_only(
    mongo: MongoService, store: MongoStore
) -> None:
    async with profiled(mongo, store) as seen:
        await store.supersede_letters("orders", "hook", event(1000, key=b"7"))
    (marked,) = seen
    assert marked["nModified"] == 20
    assert marked["docsExamined"] <= 20


async def test_removing_touches_what_has_expired_only(mongo: MongoService, store: MongoStore) -> None:
    await store.park([letter(number, expire_after_secs=0.0) for number in range(1000, 1010)])
    async with profiled(mongo, store) as seen:
        assert await store.purge_letters() == 10
    looking, removing = seen
    assert looking["planSummary"] == "IXSCAN { legal_hold: 1, expires_at: 1 }"
    assert looking["docsExamined"] == 10
    assert removing["ndeleted"] == 10


async def test_concluding_goes_by_the_names_of_the_letters(mongo: MongoService, store: MongoStore) -> None:
    parked = await found(store, statuses=PARKED)
    sent = [(one.letter.route, one.letter.event.id) for one in parked[:50]]
    async with profiled(mongo, store) as seen:
        await store.conclude_letters("orders", sent, operation="op 2")
        await store.forwarded_letters("orders", sent)
        await store.park_again([one.letter for one in parked[50:52]], operation="op 2")
    assert [entry["docsExamined"] for entry in seen] == [50, 50, 1, 1]
