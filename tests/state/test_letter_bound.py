"""How many dead letters a route has, counted no further than it matters, as every state store promises it."""

from __future__ import annotations

import pytest

from eventbus.state.store import LetterQuery, Store
from tests.state.letters import letter

pytestmark = [pytest.mark.anyio, pytest.mark.services]


async def test_parked_ones_of_a_route_and_its_replays_are_counted_up_to_a_bound(store: Store) -> None:
    """Not those of others whose names begin alike, nor what was discarded."""
    letters = [
        *(letter(number) for number in range(5)),
        letter(5, route="hook@1f0a9b8c7d"),
        letter(6, route="hookA"),
        letter(7, route="hook-2"),
        letter(8, route="feed"),
        letter(9, subscription="stock"),
    ]
    await store.park(letters)
    assert await store.count_parked("orders", "hook", most=100) == 6
    assert await store.count_parked("orders", "hook", most=6) == 6
    assert await store.count_parked("orders", "hook", most=4) == 4
    assert await store.count_parked("orders", "feed", most=4) == 1
    assert await store.count_parked("orders", "nobody", most=4) == 0
    await store.discard_letters(LetterQuery(match={"event_id": letters[0].event.id}), by="me")
    assert await store.count_parked("orders", "hook", most=100) == 5
