"""How many dead letters there were in each hour, as every state store promises it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from eventbus.model import Failure
from eventbus.state.store import LetterHour, LetterQuery, Store
from tests.state.letters import found, letter

pytestmark = [pytest.mark.anyio, pytest.mark.services]


async def test_each_is_counted_in_the_hour_in_which_it_was_first_parked(store: Store) -> None:
    """By subscription, route and kind; whatever became of it, and once however often it is parked."""
    letters = [
        letter(1),
        letter(2),
        letter(3, kind=Failure.TIMEOUT),
        letter(4, route="feed"),
        letter(5, subscription="stock"),
    ]
    await store.park(letters)
    await store.park(letters[:2])
    await store.discard_letters(LetterQuery(match={"event_id": letters[0].event.id}), by="me")
    stored = await found(store)
    first = min(one.created_at for one in stored)
    latest = {(one.letter.subscription, one.letter.route, one.letter.kind): one.created_at for one in stored}
    since = first - timedelta(hours=2, minutes=1)
    assert list(await store.letter_hours(since)) == [
        LetterHour(*names, 2, count, latest[names])
        for names, count in (
            (("orders", "feed", Failure.REJECTED), 1),
            (("orders", "hook", Failure.REJECTED), 2),
            (("orders", "hook", Failure.TIMEOUT), 1),
            (("stock", "hook", Failure.REJECTED), 1),
        )
    ]
    [*_, last] = sorted(latest.values())
    assert await store.letter_hours(last + timedelta(milliseconds=1)) == []
    assert sum(one.letters for one in await store.letter_hours(first)) == 5


async def test_a_store_without_dead_letters_has_no_hours(store: Store) -> None:
    """Nothing is nothing."""
    await store.park([letter(1)])
    (stored,) = await found(store)
    assert await store.letter_hours(stored.created_at + timedelta(hours=1)) == []
