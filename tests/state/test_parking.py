"""Parking dead letters, as every state store promises it."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import bson
import pytest

from eventbus.model import DeadLetter
from eventbus.state.store import Store
from tests.state.conftest import Home
from tests.state.letters import event, failures, found, letter, odd_events, parked_again, parts

pytestmark = [pytest.mark.anyio, pytest.mark.services]

ODD = odd_events()


async def test_parking_again_changes_nothing(home: Home) -> None:
    store = await home.start("a")
    await store.park([letter(1, reason="first", attempts=1, errors=failures("e1")), letter(2), letter(1)])
    before = await found(store)
    changed = letter(1, event=event(1, document=None), reason="second", attempts=9, errors=failures("e2"))
    await store.park([changed, letter(1, reason="third")])

    after = await found(await home.start("b"))
    assert [one.letter.reason for one in after] == ["first", "the sink said no"]
    assert [(one.created_at, one.status, one.letter.attempts, one.letter.errors) for one in after] == [
        (one.created_at, "parked", one.letter.attempts, one.letter.errors) for one in before
    ]
    assert parts(after[0].letter.event) == parts(event(1))


async def test_a_dead_letter_is_one_per_subscription_route_and_event(store: Store) -> None:
    places = [("s", "r"), ("s", "q"), ("t", "r"), ("s/r", ""), ("", "s/r")]
    await store.park([letter(1, subscription=name, route=route) for name, route in places])
    stored = await found(store)
    assert sorted((one.letter.subscription, one.letter.route) for one in stored) == sorted(places)


def test_no_field_of_an_event_is_left_untried() -> None:
    bare = parts(ODD["bare"])
    tried = {name for odd in ODD.values() for name, value in parts(odd).items() if value != bare[name]}
    assert tried == set(bare)


@pytest.mark.parametrize("odd", ODD)
async def test_an_event_comes_back_field_by_field(home: Home, odd: str) -> None:
    store = await home.start("a")
    parked = DeadLetter(
        "s", "r", ODD[odd], "why", attempts=3, body=b"\0body\xff", errors=failures("one", "two")
    )
    await store.park([parked])
    (stored,) = await found(await home.start("b"))
    rebuilt = stored.letter
    assert parts(rebuilt.event) == parts(ODD[odd])
    assert stored.key == ODD[odd].key
    assert (rebuilt.subscription, rebuilt.route, rebuilt.reason) == ("s", "r", "why")
    assert (rebuilt.attempts, rebuilt.body, rebuilt.errors) == (3, b"\0body\xff", failures("one", "two"))


async def test_an_event_of_20_mb_comes_back_whole(home: Home) -> None:
    document = bson.encode({"blob": random.Random(1).randbytes(20_000_000)})
    rebuilt = await parked_again(
        await home.start("a"), letter(1, event=event(1, document=document), body=document[::-1])
    )
    assert rebuilt.event.document == document
    assert rebuilt.body == document[::-1]


async def test_an_event_whose_key_cannot_be_read_is_parked_too(store: Store) -> None:
    unreadable = event(1, document_key={"_id": "\ud800"})
    rebuilt = await parked_again(store, letter(1, event=unreadable))
    assert rebuilt.event.document_key == {"_id": "\ud800"}
    (stored,) = await found(store)
    assert stored.key == b"unreadable:" + unreadable.id.encode()


async def test_an_event_without_a_body_has_none_afterwards(store: Store) -> None:
    assert (await parked_again(store, letter(1))).body is None
    await store.park([letter(2, body=b"")])
    assert [one.letter.body for one in await found(store)] == [None, b""]


async def test_reasons_and_errors_are_bounded_and_of_any_text(store: Store) -> None:
    wild = "\ud800\0" + "ä" * 5000
    rebuilt = await parked_again(
        store, letter(1, reason=wild, errors=failures(*(f"{n}{wild}" for n in range(25))))
    )
    assert rebuilt.reason.startswith(r"\ud800\x00ää")
    assert 2000 < len(rebuilt.reason.encode()) <= 2048
    assert [error.reason[:2] for error in rebuilt.errors] == [str(number) for number in range(15, 25)]
    assert all(1000 < len(error.reason.encode()) <= 1024 for error in rebuilt.errors)


async def test_a_stage_can_put_nothing_into_an_event_that_stops_the_parking(store: Store) -> None:
    class Hostile:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    endless: list[object] = []
    endless.append(endless)
    attributes = {"set": {1}, "hostile": Hostile(), "endless": endless, "plain": "\ud800"}
    rebuilt = await parked_again(store, letter(1, event=event(1, attributes=attributes)))
    assert rebuilt.event.attributes is not None
    assert rebuilt.event.attributes["set"] == "{1}"
    assert rebuilt.event.attributes["hostile"] == "<Hostile>"
    assert rebuilt.event.attributes["plain"] == "\ud800"


async def test_parked_after_compares_tokens(store: Store) -> None:
    tokens = ["82", "8200", "820A", "82A", "83"]
    letters = {token: letter(1, event=event(1, token=token)) for token in tokens}
    await store.park([*letters.values(), letter(1, route="other", event=event(1, token="84"))])
    for index, token in enumerate(tokens):
        beyond = {letters[later].event.id for later in tokens[index + 1 :]}
        assert set(await store.parked_after("orders", "hook", token)) == beyond
    assert await store.parked_after("orders", "unknown", "") == []


async def test_the_time_of_parking_is_the_stores(store: Store) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    await store.park([letter(1)])
    (stored,) = await found(store)
    assert before < stored.created_at < datetime.now(UTC) + timedelta(seconds=1)
    assert stored.created_at.tzinfo is not None
