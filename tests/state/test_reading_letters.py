"""Reading dead letters, as every state store promises it."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from eventbus.state.store import LetterQuery, Store
from tests.state.letters import collected, event, found, letter

pytestmark = [pytest.mark.anyio, pytest.mark.services]


async def test_dead_letters_are_read_in_pages_in_their_order(store: Store) -> None:
    numbers = list(range(2500))
    random.Random(7).shuffle(numbers)
    for start in range(0, 2500, 500):
        batch = numbers[start : start + 500]
        await store.park([letter(n, route="even" if n % 2 == 0 else "odd") for n in batch])
    everything = await found(store)
    assert sorted(one.letter.event.token for one in everything) == [event(n).token for n in range(2500)]
    places = [(one.created_at, one.letter.event.token) for one in everything]
    assert places == sorted(places)

    even = await found(store, subscription="orders", routes=["even"])
    assert [one.letter.event.id for one in even] == [
        one.letter.event.id for one in everything if one.letter.route == "even"
    ]
    assert len(await collected(store.find_letters(LetterQuery(), limit=333))) == 333
    assert len(await collected(store.find_letters(LetterQuery(), limit=9999))) == 2500
    assert await collected(store.find_letters(LetterQuery(), limit=0)) == []
    assert await found(store, subscription="orders", routes=["neither"]) == []
    assert await found(store, subscription="other") == []


async def test_reading_dead_letters_needs_memory_for_a_page_only(store: Store) -> None:
    blob = random.Random(3).randbytes(400_000)
    for number in range(250):  # 100 MB
        await store.park([letter(number, body=blob)])
    tracemalloc.start()
    try:
        total = 0
        async for stored in store.find_letters(LetterQuery()):
            total += len(stored.letter.body or b"")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total == 250 * 400_000
    assert peak < 60_000_000  # a reply of 16 MB, the driver's copies of it, and one letter


async def test_reading_may_stop_half_way_and_go_on_while_letters_come(store: Store) -> None:
    await store.park([letter(number) for number in range(600)])
    seen = []
    async for stored in store.find_letters(LetterQuery()):
        seen.append(stored.letter.event.id)
        if len(seen) == 100:
            await store.park([letter(number) for number in range(600, 700)])
    assert seen == [event(number).id for number in range(700)]
