"""Very many dead letters are listed, counted, queried, paged, discarded and removed with flat memory.

The ordinary suite keeps a tenth of what the long proof keeps.
"""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from eventbus.state.store import LetterQuery, LetterStatus, LetterTotals, Store
from tests.state.letters import event, letter

pytestmark = [pytest.mark.anyio, pytest.mark.services, pytest.mark.proof]

MANY = 100_000 if os.environ.get("EVENTBUS_PROOF") == "full" else 10_000
TENTH = LetterQuery("orders", match={"reason": {"$regex": "^reason 3 "}, "document_key._id": {"$gte": 0}})
FLAT_BYTES = 30_000_000


@contextmanager
def flat_memory() -> Iterator[None]:
    """The body needs no more memory than for some pages, however many letters there are."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < FLAT_BYTES


async def test_very_many_letters_are_handled_with_flat_memory(store: Store) -> None:
    for start in range(0, MANY, 1000):
        await store.park(
            [
                letter(
                    number,
                    reason=f"reason {number % 10} of many",
                    event=event(number, key=b"%d" % (number // 2)),
                )
                for number in range(start, start + 1000)
            ]
        )
    with flat_memory():
        assert await listed(store, LetterQuery()) == MANY
        assert await listed(store, LetterQuery(), by_token=True) == MANY
        assert await listed(store, TENTH, by_token=True) == MANY // 10
        assert await store.count_letters(LetterQuery()) == LetterTotals(MANY, MANY // 2, MANY * 77)
        assert (await store.count_letters(TENTH)).keys == MANY // 10
        assert await replayed(store, TENTH) == MANY // 10
        assert await store.hold_letters(TENTH, hold=True) == MANY // 10
        parked = LetterQuery("orders", statuses=[LetterStatus.PARKED], match={"reason": {"$regex": "4 of"}})
        assert await store.discard_letters(parked, by="me") == MANY // 10
        assert (
            await store.count_letters(LetterQuery(statuses=[LetterStatus.PARKED]))
        ).letters == MANY * 8 // 10
    assert len(await store.held_keys("orders", "hook")) == MANY // 2


async def listed(store: Store, query: LetterQuery, *, by_token: bool = False) -> int:
    """How many are read, each once and in order."""
    count, last = 0, ""
    async for one in store.find_letters(query, by_token=by_token):
        assert one.letter.event.token > last
        count, last = count + 1, one.letter.event.token
    return count


async def replayed(store: Store, query: LetterQuery) -> int:
    """How many are sent again, page by page, from where the last page ended."""
    count, last = 0, ""
    while True:
        page = [
            one.letter.event async for one in store.find_letters(query, by_token=True, after=last, limit=500)
        ]
        if not page:
            return count
        await store.conclude_letters("orders", [("hook", one.id) for one in page], operation="op")
        count, last = count + len(page), page[-1].token
