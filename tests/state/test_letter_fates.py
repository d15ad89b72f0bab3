"""What becomes of dead letters, as every state store promises it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import bson
import pytest

from eventbus.errors import ConfigurationError
from eventbus.model import DeadLetter, Failure
from eventbus.state.letters import letter_id
from eventbus.state.pattern import Pattern
from eventbus.state.store import HeldKey, LetterQuery, LetterStatus, LetterTotals, Store
from tests.state.conftest import Home
from tests.state.letters import collected, event, failures, found, letter

pytestmark = [pytest.mark.anyio, pytest.mark.services]

PARKED = [LetterStatus.PARKED]


def of_key(number: int, key: bytes, **fields: object) -> DeadLetter:
    """A dead letter whose event has this key."""
    return letter(number, event=event(number, key=key), **fields)


def places(letters: Sequence[DeadLetter]) -> list[tuple[str, str]]:
    return [(one.route, one.event.id) for one in letters]


async def numbers(store: Store, **query: object) -> list[int]:
    """Numbers of the events of the letters that a query finds."""
    by_id = {event(number).id: number for number in range(3000)}
    return [by_id[one.letter.event.id] for one in await found(store, **query)]


# Parking


async def test_all_that_is_known_of_a_dead_letter_comes_back(home: Home) -> None:
    store = await home.start("a")
    parked = letter(
        1,
        attempts=2,
        errors=failures("one", "two"),
        kind=Failure.TIMEOUT,
        held_behind="another",
        config="version 3",
        expire_after_secs=3600.5,
    )
    await store.park([parked, letter(2)])
    held, plain = await found(await home.start("b"))
    again = held.letter
    assert (again.kind, again.held_behind, again.config) == (Failure.TIMEOUT, "another", "version 3")
    assert again.expire_after_secs == 3600.5
    assert held.expires_at == held.created_at + timedelta(seconds=3600.5)
    assert held.id == letter_id("orders", "hook", event(1).id)
    assert (held.legal_hold, held.superseded_by, held.operation, held.forwarded) == (False, None, None, False)
    assert (plain.letter.kind, plain.letter.held_behind, plain.letter.config) == (Failure.REJECTED, None, "")
    assert (plain.expires_at, plain.letter.expire_after_secs) == (None, None)


async def test_an_expiry_in_thousands_of_years_is_kept(store: Store) -> None:
    await store.park([letter(1, expire_after_secs=1e15)])
    assert await store.purge_letters() == 0
    assert len(await found(store)) == 1


@pytest.mark.parametrize("fate", ["replayed", "discarded"])
async def test_parking_again_changes_nothing_whatever_became_of_it(store: Store, fate: str) -> None:
    parked = letter(1)
    await store.park([parked])
    if fate == "replayed":
        await store.conclude_letters("orders", places([parked]), operation="op")
    else:
        await store.discard_letters(LetterQuery(), by="me")
    before = await found(store)
    await store.park([letter(1, reason="again")])
    after = await found(store)
    assert [(one.status, one.letter.reason) for one in after] == [(fate, "the sink said no")]
    assert [one.created_at for one in after] == [one.created_at for one in before]
    assert await store.parked_after("orders", "hook", "") == [event(1).id]


# Sent again


async def test_a_letter_that_was_sent_is_never_found_as_parked_again(store: Store) -> None:
    sent, other, elsewhere = letter(1), letter(2), letter(1, route="topic")
    await store.park([sent, other, elsewhere])
    await store.conclude_letters("orders", places([sent]), operation="op 1")
    await store.conclude_letters("orders", places([sent]), operation="op 2")
    assert {(one.letter.route, one.letter.event.id) for one in await found(store, statuses=PARKED)} == {
        *places([other, elsewhere])
    }
    (replayed,) = await found(store, statuses=[LetterStatus.REPLAYED])
    assert (replayed.status, replayed.operation) == ("replayed", "op 1")


async def test_what_is_unknown_is_concluded_and_forwarded_without_effect(store: Store) -> None:
    await store.park([letter(1)])
    await store.conclude_letters("orders", [("hook", "unknown")], operation="op")
    await store.conclude_letters("orders", [], operation="op")
    await store.forwarded_letters("orders", [("hook", "unknown")])
    await store.park_again([letter(2)], operation="op")
    await store.park_again([], operation="op")
    (only,) = await found(store)
    assert (only.status, only.operation, only.forwarded) == ("parked", None, False)


async def test_failing_again_adds_attempts_and_keeps_the_newest_errors(store: Store) -> None:
    first = letter(
        1, attempts=8, errors=failures(*"abcdefgh"), kind=Failure.SERVER, body=b"first", config="v1"
    )
    await store.park([first])
    again = letter(
        1, reason="now \ud800", attempts=3, errors=failures(*"xyz"), kind=Failure.TIMEOUT, config="v2"
    )
    await store.park_again([again], operation="op")
    (stored,) = await found(store)
    now = stored.letter
    assert (now.attempts, now.reason, now.kind, now.config) == (11, r"now \ud800", Failure.TIMEOUT, "v2")
    assert [error.reason for error in now.errors] == list("bcdefghxyz")
    assert (stored.status, stored.operation) == ("parked", "op")
    assert now.body == b"first"


async def test_failing_again_counts_once_for_each_operation(store: Store) -> None:
    """Whoever did not hear the answer asks again."""
    await store.park([letter(1, attempts=1)])
    for operation in ("op 1", "op 1", "op 2"):
        await store.park_again([letter(1, attempts=2, errors=failures("x"))], operation=operation)
    (stored,) = await found(store)
    assert (stored.letter.attempts, len(stored.letter.errors)) == (5, 2)


async def test_a_held_letter_that_fails_itself_holds_others_from_then_on(store: Store) -> None:
    await store.park([of_key(1, b"k", kind=Failure.HELD, held_behind="x")])
    assert await store.held_keys("orders", "hook") == [HeldKey(b"k", 0, 1, event(1).id, event(1).token)]
    await store.park_again([of_key(1, b"k", attempts=1)], operation="op")
    assert await store.held_keys("orders", "hook") == [HeldKey(b"k", 1, 0, event(1).id, event(1).token)]
    assert (await store.count_letters(LetterQuery())).held == 0


async def test_what_was_discarded_meanwhile_does_not_fail_again(store: Store) -> None:
    await store.park([letter(1)])
    await store.discard_letters(LetterQuery(), by="me")
    await store.park_again([letter(1, attempts=1)], operation="op")
    (stored,) = await found(store)
    assert (stored.status, stored.letter.attempts) == ("discarded", 0)


async def test_an_operation_leaves_out_what_it_has_tried(store: Store) -> None:
    await store.park([letter(number) for number in range(6)])
    await store.park_again([letter(0), letter(1)], operation="op 1")
    await store.park_again([letter(2)], operation="op 2")
    await store.conclude_letters("orders", places([letter(3)]), operation="op 1")
    assert await numbers(store, statuses=PARKED, not_operation="op 1") == [2, 4, 5]
    assert await numbers(store, not_operation="op 2") == [0, 1, 3, 4, 5]


# Copies, discards, legal holds


async def test_a_copy_at_the_dead_letter_sink_is_noted(store: Store) -> None:
    await store.park([letter(number) for number in range(3)])
    await store.forwarded_letters("orders", places([letter(0), letter(2)]))
    assert await numbers(store, forwarded=True) == [0, 2]
    assert await numbers(store, forwarded=False) == [1]
    assert [one.forwarded for one in await found(store)] == [True, False, True]


async def test_only_parked_letters_are_discarded(store: Store) -> None:
    await store.park([letter(number, reason="bad" if number % 2 else "worse") for number in range(6)])
    await store.conclude_letters("orders", places([letter(1)]), operation="op")
    assert await store.discard_letters(LetterQuery(match={"reason": "bad"}), by="me") == 2
    assert await store.discard_letters(LetterQuery(match={"reason": "bad"}), by="you") == 0
    assert await numbers(store, statuses=[LetterStatus.DISCARDED]) == [3, 5]
    assert await numbers(store, statuses=[LetterStatus.REPLAYED]) == [1]


async def test_a_legal_hold_is_set_and_lifted_and_counts_what_changed(store: Store) -> None:
    await store.park([letter(number) for number in range(4)])
    some = LetterQuery(match={"token": {"$lt": event(3).token}})
    assert await store.hold_letters(some, hold=True) == 3
    assert await store.hold_letters(LetterQuery(), hold=True) == 1
    assert await store.hold_letters(some, hold=False) == 3
    assert [one.legal_hold for one in await found(store)] == [False, False, False, True]


async def test_thousands_are_changed_in_one_call(store: Store) -> None:
    await store.park([letter(number) for number in range(2300)])
    even = {"attempts": 0, "document_key._id": {"$lt": 2200}}
    assert await store.hold_letters(LetterQuery("orders", match=even), hold=True) == 2200
    assert await store.discard_letters(LetterQuery("orders", match=even), by="me") == 2200
    assert await store.count_letters(LetterQuery(statuses=PARKED)) == LetterTotals(100, 100, 7700, 0, 0, 0)


# Expiry


async def test_only_what_has_expired_and_is_not_on_hold_is_removed(home: Home) -> None:
    store = await home.start("a")
    large = bytes(9_000_000)
    await store.park(
        [
            letter(0, expire_after_secs=0.0),
            letter(1, expire_after_secs=0.0, body=large),
            letter(2, expire_after_secs=0.0, body=large),
            letter(3, expire_after_secs=600.0),
            letter(4),
        ]
    )
    assert await store.hold_letters(LetterQuery(match={"event_id": event(2).id}), hold=True) == 1
    assert await store.purge_letters() == 2
    assert await store.purge_letters() == 0
    assert await numbers(store) == [2, 3, 4]
    assert (await found(store))[0].letter.body == large

    await store.hold_letters(LetterQuery(), hold=False)
    assert await store.purge_letters() == 1
    assert await numbers(await home.start("b")) == [3, 4]


async def test_one_call_removes_a_bounded_number(store: Store) -> None:
    await store.park([letter(number, expire_after_secs=0.0) for number in range(2500)])
    removed = [await store.purge_letters() for _ in range(3)]
    assert removed == [2000, 500, 0]


# Keys


async def test_keys_with_parked_letters_are_counted_by_what_failed_and_what_waits(store: Store) -> None:
    long_key = b"long" * 1000
    await store.park(
        [
            of_key(5, b"a", held_behind="x", kind=Failure.HELD),
            of_key(3, b"a"),
            of_key(4, b"a", held_behind="x", kind=Failure.HELD),
            of_key(2, long_key),
            of_key(1, b""),
            of_key(6, b"a", route="other"),
            of_key(7, b"a", subscription="other"),
            of_key(8, b"sent"),
        ]
    )
    await store.conclude_letters("orders", places([of_key(8, b"sent")]), operation="op")
    keys = await store.held_keys("orders", "hook")
    assert {key.key: key for key in keys} == {
        b"a": HeldKey(b"a", 1, 2, event(3).id, event(3).token),
        long_key: HeldKey(long_key, 1, 0, event(2).id, event(2).token),
        b"": HeldKey(b"", 1, 0, event(1).id, event(1).token),
    }
    assert len(keys) == 3
    assert await store.held_keys("orders", "none") == []


async def test_a_newer_event_is_noted_once_on_the_older_letters_of_its_key(store: Store) -> None:
    newer, newest = event(5, key=b"k"), event(6, key=b"k")
    await store.park(
        [
            *(of_key(1, b"k"), of_key(2, b"k"), of_key(7, b"k"), of_key(3, b"other")),
            *(of_key(4, b"k", route="other"), of_key(5, b"k")),
        ]
    )
    await store.discard_letters(LetterQuery(match={"event_id": event(2).id}), by="me")
    assert set(await store.dead_key_hashes("orders", "hook")) == {
        newer.key_hash,
        event(3, key=b"other").key_hash,
    }
    await store.supersede_letters("orders", "hook", newer)
    await store.supersede_letters("orders", "hook", newest)
    marks = {one.letter.event.token: one.superseded_by for one in await found(store, routes=["hook"])}
    assert marks == {
        event(1).token: newer.id,
        event(2).token: None,
        event(3).token: None,
        event(5).token: newest.id,
        event(7).token: None,
    }
    assert (await found(store, routes=["other"]))[0].superseded_by is None


async def test_a_key_is_dead_until_all_its_letters_are_superseded_or_settled(store: Store) -> None:
    def hashes(*keys: bytes) -> set[int]:
        return {event(0, key=key).key_hash for key in keys}

    await store.park([of_key(1, b"a"), of_key(2, b"b"), of_key(3, b"c"), of_key(9, b"a")])
    assert set(await store.dead_key_hashes("orders", "hook")) == hashes(b"a", b"b", b"c")
    await store.supersede_letters("orders", "hook", event(8, key=b"a"))
    await store.supersede_letters("orders", "hook", event(8, key=b"b"))
    await store.conclude_letters("orders", places([of_key(3, b"c")]), operation="op")
    assert set(await store.dead_key_hashes("orders", "hook")) == hashes(b"a")
    assert set(await store.dead_key_hashes("orders", "other")) == set()


# Queries


async def test_conditions_of_a_query_hold_together(store: Store) -> None:
    await store.park(
        [
            letter(1),
            letter(2, route="topic"),
            letter(3, subscription="other"),
            letter(4, route="topic", reason="x"),
            letter(5, route="feed"),
        ]
    )
    assert await numbers(store, subscription="orders") == [1, 2, 4, 5]
    assert await numbers(store, routes=["topic", "feed"]) == [2, 4, 5]
    assert await numbers(store, routes=["topic", "feed"], match={"reason": {"$ne": "x"}}) == [2, 5]
    assert await numbers(store, subscription="orders", routes=["hook"], statuses=PARKED) == [1]
    assert await numbers(store, statuses=[LetterStatus.REPLAYED, LetterStatus.DISCARDED]) == []


async def test_counting_tells_how_many_keys_and_bytes_and_what_of_them(store: Store) -> None:
    await store.park(
        [
            of_key(1, b"a"),
            of_key(2, b"a", held_behind="x"),
            of_key(3, b"b", route="topic"),
            letter(4, event=event(4, key=b"c", size=23)),
        ]
    )
    await store.supersede_letters("orders", "hook", event(2, key=b"a"))
    await store.hold_letters(LetterQuery(routes=["topic"]), hold=True)
    assert await store.count_letters(LetterQuery()) == LetterTotals(4, 3, 3 * 77 + 23, 1, 1, 1)
    assert await store.count_letters(LetterQuery(match={"size": 23})) == LetterTotals(1, 1, 23, 0, 0, 0)
    assert await store.count_letters(LetterQuery("unknown")) == LetterTotals()


@pytest.mark.parametrize("by_token", [True, False])
async def test_letters_are_paged_in_the_order_asked_for(store: Store, by_token: bool) -> None:
    for start in (400, 0, 800):
        await store.park([letter(number) for number in range(start, start + 400)])
    tokens = [
        one.letter.event.token async for one in store.find_letters(LetterQuery("orders"), by_token=by_token)
    ]
    order = range(1200) if by_token else [*range(400, 800), *range(400), *range(800, 1200)]
    assert tokens == [event(number).token for number in order]


async def test_paging_by_token_goes_on_after_a_token_and_is_safe_while_letters_change(store: Store) -> None:
    await store.park(
        [letter(number, route=route) for number in range(0, 700, 2) for route in ("hook", "topic")]
    )
    parked = LetterQuery("orders", statuses=PARKED)
    seen: list[str] = []
    async for one in store.find_letters(parked, by_token=True, after=event(99).token):
        seen.append(one.id)
        await store.conclude_letters("orders", places([one.letter]), operation="op")
        if len(seen) == 100:
            await store.park([letter(number) for number in (3, 701, 703)])
    assert len(seen) == len(set(seen)) == 2 * 300 + 2
    assert await numbers(store, statuses=PARKED, match={"token": {"$gt": event(99).token}}) == []
    assert len(await collected(store.find_letters(parked, by_token=True, limit=7))) == 7


async def test_paging_goes_on_beyond_a_token_and_not_at_it(store: Store) -> None:
    await store.park([letter(number, route=route) for number in range(4) for route in ("hook", "topic")])
    after = store.find_letters(LetterQuery("orders"), by_token=True, after=event(1).token)
    assert {one.letter.event.id for one in await collected(after)} == {event(2).id, event(3).id}


async def test_a_search_that_finds_little_pages_on_to_the_end(store: Store) -> None:
    await store.park([letter(number, attempts=int(number % 997 == 0)) for number in range(2500)])
    match = {"attempts": 1}
    assert await numbers(store, match=match) == [0, 997, 1994]
    limited = store.find_letters(LetterQuery(match=match), by_token=True, limit=2)
    assert [one.letter.event.token for one in await collected(limited)] == [event(0).token, event(997).token]


@pytest.mark.parametrize(
    "source",
    ["(ab|c)*d", r"(\w+ )*z", "(a|b)+d", ".*.*.*d", r"(\w+\s)+z", "^x.*d$", "(err|word).*d", "(ab|c){1,20}d"],
)
async def test_patterns_search_the_longest_reasons(store: Store, source: str) -> None:
    """On MongoDB its engine counts its steps, and must not give up on these."""
    reasons = ["ab" * 950 + "d", "x " + "word " * 380 + "zd", "a" * 2000]
    await store.park([letter(number, reason=reason) for number, reason in enumerate(reasons)])
    expected = [number for number, reason in enumerate(reasons) if Pattern(source).search(reason)]
    assert len(expected) in {1, 2}
    assert await numbers(store, match={"reason": {"$regex": source}}) == expected


async def test_a_wrong_query_changes_nothing_and_says_where_it_is_wrong(store: Store) -> None:
    await store.park([letter(1)])
    wrong = LetterQuery(match={"reson": "x"})
    for call in (
        collected(store.find_letters(wrong)),
        store.count_letters(wrong),
        store.discard_letters(wrong, by="me"),
        store.hold_letters(wrong, hold=True),
    ):
        with pytest.raises(ConfigurationError, match=r"match\.reson: no such field, did you mean 'reason'"):
            await call
    (stored,) = await found(store)
    assert (stored.status, stored.legal_hold) == ("parked", False)


async def test_a_key_with_a_list_in_it_is_not_searched(store: Store) -> None:
    """In a query a list would mean several values at once."""
    keys: list[dict[str, Any]] = [{"_id": {"a": [1, 2]}}, {"_id": {"a": 1}}]
    await store.park([letter(n, event=event(n, document_key=bson.encode(key))) for n, key in enumerate(keys)])
    assert await numbers(store, match={"document_key._id.a": 1}) == [1]
    assert await numbers(store, match={"document_key._id": {"$exists": False}}) == [0]
