"""A query selects the same rows on both stores, whatever it is and whatever is in the rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from bson import Binary, Code, Decimal128, Int64, MaxKey, ObjectId, Regex, Timestamp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventbus.devservices import MongoService
from eventbus.model import ClusterTime, DeadLetter, FailedAttempt, Failure
from eventbus.state.mongodb import MongoStore
from eventbus.state.sqlite import SqliteStore
from eventbus.state.store import LetterQuery, LetterStatus, Store
from tests.state.letters import event, letter

pytestmark = pytest.mark.services

TEXTS = st.sampled_from(["", "a", "A", "ab", "b\n", "a\nb", "é", "É", "😀", "5", "time out", "\0"])
KINDS = st.sampled_from(list(Failure))
NUMBERS = st.sampled_from([0, 1, -1, 1.0, 2.5, Int64(1), Decimal128("1.0"), Decimal128("2.50"), 2**40, 1e300])
SINGLE = st.one_of(
    TEXTS,
    NUMBERS,
    st.booleans(),
    st.sampled_from([ObjectId(b"a" * 12), ObjectId(b"b" * 12), b"", b"a", b"ab", Binary(b"a", 4)]),
    st.sampled_from([datetime(2024, 1, 1, tzinfo=UTC), Timestamp(1, 2), Timestamp(2, 1)]),
)
ODD = st.sampled_from(
    [None, float("nan"), Decimal128("NaN"), Code("a"), MaxKey(), {}, {"_id": "a"}, ["a"], Regex("b")]
)
NAMES = st.sampled_from(["_id", "a", "b", "0"])
DOCUMENT_KEYS = st.one_of(
    st.none(),
    st.dictionaries(
        NAMES, st.one_of(SINGLE, ODD, st.dictionaries(NAMES, st.one_of(SINGLE, ODD))), max_size=3
    ),
)
OPTIONAL = st.one_of(st.none(), TEXTS)
LETTERS = st.builds(
    lambda number, document_key, cluster_time, **fields: letter(
        number, event=event(number, document_key=document_key, cluster_time=cluster_time), **fields
    ),
    number=st.integers(0, 10**9),
    document_key=DOCUMENT_KEYS,
    cluster_time=st.sampled_from([None, ClusterTime(1, 1), ClusterTime(1, 2), ClusterTime(2, 1)]),
    route=st.sampled_from(["hook", "topic"]),
    reason=TEXTS,
    kind=KINDS,
    attempts=st.integers(0, 3),
    held_behind=OPTIONAL,
    config=TEXTS,
    expire_after_secs=st.sampled_from([None, 1000.0]),
    errors=st.lists(st.builds(FailedAttempt, st.just(1), KINDS, TEXTS), max_size=3).map(tuple),
)

ORDERINGS = st.sampled_from(["$gt", "$gte", "$lt", "$lte"])
PATTERNS = st.sampled_from(
    ["a", "^a", "a$", "^$", ".b", "a.b", r"\w", r"^\W", "[^a]", "(a|é)+", "^(ab?){1,2}$", r"^\s*b", "", "E|É"]
)  # fmt: skip


def conditions(values: st.SearchStrategy[Any], *, nullable: bool, text: bool) -> st.SearchStrategy[Any]:
    """What can be said about a field with such values."""
    equal = st.one_of(values, st.none()) if nullable else values
    said = [
        st.builds(lambda operator, value: {operator: value}, st.sampled_from(["$eq", "$ne"]), equal),
        st.builds(lambda operator, value: {operator: value}, ORDERINGS, values),
        st.builds(lambda low, high: {"$gte": low, "$lt": high}, values, values),
        st.builds(
            lambda operator, many: {operator: many},
            st.sampled_from(["$in", "$nin"]),
            st.lists(equal, max_size=3),
        ),
        st.builds(lambda there: {"$exists": there}, st.booleans()),
    ]
    if text:
        options = st.sets(st.sampled_from("imsx")).map("".join)
        said.append(st.builds(lambda source, on: {"$regex": source, "$options": on}, PATTERNS, options))
    operators = st.one_of(said)
    return st.one_of(equal, operators, operators.map(lambda operator: {"$not": operator}))


def about(
    names: Sequence[str], values: st.SearchStrategy[Any], *, nullable: bool = False, text: bool = False
) -> Any:
    said = conditions(values, nullable=nullable, text=text)
    return st.builds(lambda name, condition: {name: condition}, st.sampled_from(names), said)


STATUSES = st.sampled_from([status.value for status in LetterStatus])
TIMES = st.sampled_from([{"$date": "2000-01-01T00:00:00Z"}, {"$date": "2100-01-01T00:00:00.001Z"}])
LEAVES = st.one_of(
    about(["reason", "config", "errors.reason"], TEXTS, text=True),
    about(["held_behind", "superseded_by", "operation_id"], TEXTS, nullable=True, text=True),
    about(["kind", "errors.kind"], KINDS.map(str), text=True),
    about(["status"], STATUSES, text=True),
    about(["route", "operation", "database", "collection"], st.sampled_from(["hook", "insert", "shop"])),
    about(["attempts", "size"], st.sampled_from([0, 1, 2, 77, 1.5, {"$numberLong": "2"}])),
    about(["legal_hold"], st.booleans()),
    about(["created_at"], TIMES),
    about(["expires_at"], TIMES, nullable=True),
    about(["cluster_time"], st.sampled_from([Timestamp(1, 1), Timestamp(1, 2)]), nullable=True),
    about(["document_key._id", "document_key.a"], SINGLE, nullable=True, text=True),
    about(["document_key.a._id", "document_key.a.0"], SINGLE, nullable=True, text=True),
)  # fmt: skip
QUERIES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(
            lambda name, parts: {name: parts},
            st.sampled_from(["$and", "$or", "$nor"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
        st.builds(lambda one, other: {**one, **other}, inner, inner),
    ),
    max_leaves=6,
)


@pytest.fixture
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture
def stores(
    portal: BlockingPortal, mongo: MongoService, fresh_database: str, tmp_path: Path
) -> Iterator[list[Store]]:
    both: list[Store] = [
        MongoStore(mongo.uri, database=fresh_database, instance="a"),
        SqliteStore(tmp_path / "state.db", instance="a"),
    ]
    for store in both:
        portal.call(store.open)
    yield both
    for store in both:
        portal.call(store.close)


async def keep(store: Store, subscription: str, letters: Sequence[DeadLetter]) -> None:
    """Park them, and let something different become of each fourth."""
    await store.park(letters)
    places = [(one.route, one.event.id) for one in letters]
    await store.conclude_letters(subscription, places[::4], operation="ab")
    await store.discard_letters(LetterQuery(subscription, match=among(places[1::4])), by="me")
    await store.hold_letters(LetterQuery(subscription, match=among(places[2::4])), hold=True)
    for one in letters[3::4]:
        await store.supersede_letters(subscription, one.route, event(2 * 10**9, key=one.event.key))


def among(places: Sequence[tuple[str, str]]) -> dict[str, Any]:
    return {"event_id": {"$in": [event_id for _, event_id in places]}}


async def selected(store: Store, subscription: str, match: dict[str, Any]) -> list[str]:
    query = LetterQuery(subscription, match=match)
    found = [one.id async for one in store.find_letters(query, by_token=True)]
    assert (await store.count_letters(query)).letters == len(found)
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    letters=st.lists(LETTERS, min_size=4, max_size=12, unique_by=lambda one: one.event.token),
    queries=st.lists(QUERIES, min_size=5, max_size=25),
    number=st.integers(0, 2**62),
)
def test_both_stores_select_the_same_rows(
    portal: BlockingPortal, stores: list[Store], letters: list[DeadLetter], queries: list[Any], number: int
) -> None:
    subscription = f"s{number}"
    letters = [replace(one, subscription=subscription) for one in letters]
    for store in stores:
        portal.call(keep, store, subscription, letters)
    for match in queries:
        on_mongodb, on_sqlite = (portal.call(selected, store, subscription, match) for store in stores)
        assert on_mongodb == on_sqlite, match
