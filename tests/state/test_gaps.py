"""Gaps, as every state store promises them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from eventbus.model import ClusterTime, Position, PositionKind
from eventbus.state.gaps import Gap
from eventbus.state.store import Store
from tests.state.conftest import Home

pytestmark = [pytest.mark.anyio, pytest.mark.services]


def place(number: int, token: str = "") -> Position:
    return Position(token or f"82{number:04d}", PositionKind.IDLE, ClusterTime(number, 1))


def gap(start: int = 100, end: int = 250, *, route: str = "hook", subscription: str = "orders") -> Gap:
    return Gap(subscription, route, place(start), place(end), "oldest", "the oplog is too short")


async def recorded(store: Store) -> list[tuple[str, str, str, str]]:
    found = await store.gaps()
    return [(one.subscription, one.route, one.start.token, one.end.token) for one in found]


async def test_a_gap_comes_back_as_it_was_with_the_stores_time(home: Home) -> None:
    store = await home.start("a")
    odd = Gap("$orders", "a.b", Position("$x", extra=b"\0\xff"), Position("$y"), "$now", "$$ROOT")
    before = datetime.now(UTC) - timedelta(seconds=1)
    for one in (gap(), odd):
        assert await store.record_gap(one) is None
    store = await home.start("b")
    found = {one.route: one for one in await store.gaps()}
    assert {name: replace(one, created_at=None) for name, one in found.items()} == {"hook": gap(), "a.b": odd}
    created_at = found["hook"].created_at
    assert created_at is not None
    assert before < created_at < datetime.now(UTC) + timedelta(seconds=1)
    assert (found["hook"].secs, found["a.b"].secs) == (150, 0)


async def test_the_same_gap_is_recorded_once_and_its_end_never_goes_back(store: Store) -> None:
    assert await store.record_gap(gap(end=250)) is None
    (first,) = await store.gaps()
    further = replace(gap(end=300), policy="now", reason="another")
    before = await store.record_gap(further)
    assert before == first
    assert await store.record_gap(gap(end=200)) == replace(further, created_at=first.created_at)
    assert await store.gaps() == [replace(further, created_at=first.created_at)]
    assert await store.record_gap(replace(further, reason="at the same place")) is not None
    assert [one.reason for one in await store.gaps()] == ["at the same place"]


async def test_gaps_are_found_by_subscription_route_and_start_the_newest_first(store: Store) -> None:
    for one in (gap(1), gap(2, route="feed"), gap(3), gap(1, subscription="products")):
        await store.record_gap(one)
        await anyio.sleep(0.002)  # the store's clock counts milliseconds
    newest = [("products", "hook", 1), ("orders", "hook", 3), ("orders", "feed", 2), ("orders", "hook", 1)]
    everything = [(of, on, place(start).token, place(250).token) for of, on, start in newest]
    assert await recorded(store) == everything
    assert len(await store.gaps(limit=2)) == 2
    assert [one.start for one in await store.gaps(subscription="orders", route="hook")] == [
        place(3),
        place(1),
    ]
    found = await store.gaps(subscription="orders", route="hook", start=place(1).token)
    assert [one.start for one in found] == [place(1)]
    assert await store.gaps(subscription="unknown") == []


async def test_one_gap_that_several_daemons_meet_at_once(home: Home) -> None:
    rivals = await home.rivals()
    for number in range(10):
        async with anyio.create_task_group() as group:
            for index, rival in enumerate(rivals):
                group.start_soon(rival.record_gap, gap(number, 200 + index))
    found = await rivals[0].gaps()
    assert [one.end for one in found] == [place(200 + len(rivals) - 1)] * 10
