"""How many dead letters a store keeps, and what happens to one more."""

from __future__ import annotations

import pytest

from eventbus.errors import Unreachable
from eventbus.state.store import LetterLimit, LetterQuery, Store, WhenFull
from eventbus.telemetry.metrics import REGISTRY
from tests.state.conftest import Home
from tests.state.letters import event, found, letter

pytestmark = [pytest.mark.anyio, pytest.mark.services]

STOP = LetterLimit(5)
DROP = LetterLimit(5, WhenFull.DROP_OLDEST)


def dropped() -> float:
    return REGISTRY.get_sample_value("eventbus_dead_letters_dropped_total") or 0.0


async def tokens(store: Store) -> list[str]:
    return [one.letter.event.token for one in await found(store)]


def of(*numbers: int) -> list[str]:
    return [event(number).token for number in numbers]


async def test_a_full_store_takes_no_more_and_loses_nothing(home: Home) -> None:
    store = await home.start("a", limit=STOP)
    await store.park([letter(number) for number in range(5)])
    with pytest.raises(Unreachable, match="holds 5 dead letters, and at most 5 are allowed"):
        await store.park([letter(5)])
    with pytest.raises(Unreachable, match="at most 5"):
        await store.park([letter(4), letter(5)])
    assert await tokens(store) == of(0, 1, 2, 3, 4)


async def test_what_a_full_store_has_already_can_be_parked_again(home: Home) -> None:
    """Or a daemon that did not hear the answer would wait for ever."""
    store = await home.start("a", limit=STOP)
    await store.park([letter(number) for number in range(5)])
    await store.park([letter(2), letter(4)])
    assert len(await tokens(store)) == 5


async def test_what_is_there_already_takes_no_room(home: Home) -> None:
    store = await home.start("a", limit=STOP)
    await store.park([letter(number) for number in range(4)])
    await store.park([letter(number) for number in range(5)])
    store = await home.start("b", limit=DROP)
    await store.park([letter(3), letter(4), letter(5)])
    assert await tokens(store) == of(1, 2, 3, 4, 5)


async def test_a_full_store_goes_on_when_something_was_removed(home: Home) -> None:
    store = await home.start("a", limit=STOP)
    await store.park([letter(number, expire_after_secs=0.0) for number in range(5)])
    await store.purge_letters()
    await store.park([letter(5)])
    assert await tokens(store) == of(5)


async def test_the_limit_may_be_lowered_below_what_is_there(home: Home) -> None:
    store = await home.start("a")
    await store.park([letter(number) for number in range(9)])
    store = await home.start("b", limit=STOP)
    with pytest.raises(Unreachable, match="holds 9"):
        await store.park([letter(9)])
    await store.park([letter(8)])
    store = await home.start("c", limit=DROP)
    await store.park([letter(9)])
    assert await tokens(store) == of(5, 6, 7, 8, 9)


async def test_the_oldest_make_room_with_their_payloads(home: Home) -> None:
    store = await home.start("a", limit=DROP)
    before = dropped()
    for number in range(8):
        await store.park([letter(number, body=bytes(2_000_000))])
    await store.park([letter(7)])
    assert await tokens(store) == of(3, 4, 5, 6, 7)
    assert dropped() - before == 3
    assert await home.payload_pieces(store) == 5


async def test_the_oldest_on_legal_hold_stay(home: Home) -> None:
    store = await home.start("a", limit=DROP)
    await store.park([letter(number) for number in range(5)])
    kept = LetterQuery(match={"token": {"$in": of(0, 2)}})
    await store.hold_letters(kept, hold=True)
    await store.park([letter(5), letter(6)])
    assert await tokens(store) == of(0, 2, 4, 5, 6)


async def test_a_store_full_of_legal_holds_takes_no_more(home: Home) -> None:
    store = await home.start("a", limit=DROP)
    await store.park([letter(number) for number in range(5)])
    await store.hold_letters(LetterQuery(), hold=True)
    with pytest.raises(Unreachable, match="at most 5"):
        await store.park([letter(5)])
    assert await tokens(store) == of(0, 1, 2, 3, 4)


async def test_more_than_the_limit_at_once_are_all_kept(home: Home) -> None:
    store = await home.start("a", limit=DROP)
    await store.park([letter(number) for number in range(3)])
    await store.park([letter(number) for number in range(10, 18)])
    assert await tokens(store) == of(*range(10, 18))


async def test_without_a_limit_all_are_kept(store: Store) -> None:
    await store.park([letter(number) for number in range(30)])
    assert len(await tokens(store)) == 30
