"""Leases, as every state store promises them."""

from __future__ import annotations

import time

import anyio
import pytest

from eventbus.state.store import Lease, Save, Store
from tests.state.conftest import Home
from tests.state.leases import LONG, acquired, at

pytestmark = [pytest.mark.anyio, pytest.mark.services]


async def test_a_lease_is_held_until_its_end_and_then_anybody_takes_it(home: Home) -> None:
    first = await home.start("a")
    lease = await acquired(first, lease_secs=LONG)
    second = await home.start("b")
    assert await second.acquire("s", lease_secs=LONG, reclaim=False) is None

    short = await acquired(second, "short", lease_secs=0.5)
    third = await home.start("c")
    taken = await acquired(third, "short")
    assert lease.epoch > 0
    assert taken.epoch > short.epoch


async def test_a_short_lease_is_not_taken_before_its_time(home: Home) -> None:
    first = await home.start("a")
    begun = anyio.current_time()
    await acquired(first, lease_secs=0.5)
    second = await home.start("b")
    await acquired(second)
    assert anyio.current_time() - begun >= 0.4  # the store's clock need not run as ours does


async def test_of_those_who_try_at_once_exactly_one_wins(home: Home) -> None:
    rivals = await home.rivals()
    for round_number in range(20):
        won: list[Lease | None] = []

        async def compete(rival: Store, name: str, won: list[Lease | None]) -> None:
            won.append(await rival.acquire(name, lease_secs=LONG, reclaim=False))

        async with anyio.create_task_group() as group:
            for rival in rivals:
                group.start_soon(compete, rival, f"s{round_number}", won)
        assert len(won) == len(rivals)
        assert sum(lease is not None for lease in won) == 1


async def test_the_epoch_grows_with_every_takeover(home: Home) -> None:
    epochs = []
    for name in "abcab":
        store = await home.start(name)
        epochs.append((await acquired(store, lease_secs=0.001)).epoch)
    assert epochs == sorted(set(epochs))


async def test_no_epoch_is_lower_than_the_time(home: Home) -> None:
    """A store that is empty, or was restored, gives a higher one than targets have seen of the one before."""
    store = await home.start("a")
    begun = time.time()
    lease = await acquired(store)
    assert begun - 60 <= lease.epoch <= time.time() + 60  # the store's clock need not be ours


async def test_a_lease_that_ran_out_is_renewed_if_nobody_took_it(home: Home) -> None:
    first = await home.start("a")
    lease = await acquired(first, lease_secs=0.001)
    assert await first.save([Save(lease, {"r": at("1")})], lease_secs=LONG) == [True]

    second = await home.start("b")
    assert await second.acquire("s", lease_secs=LONG, reclaim=False) is None
    assert await second.positions("s") == {"r": at("1")}


async def test_a_save_renews_the_lease_even_without_positions(home: Home) -> None:
    first = await home.start("a")
    lease = await acquired(first, lease_secs=0.001)
    assert await first.save([Save(lease, {})], lease_secs=LONG) == [True]
    second = await home.start("b")
    assert await second.acquire("s", lease_secs=LONG, reclaim=False) is None


async def test_a_released_lease_is_free_at_once_and_its_epoch_still_grows(home: Home) -> None:
    first = await home.start("a")
    lease = await acquired(first)
    await first.release(lease)
    assert await first.save([Save(lease, {"r": at("1")})], lease_secs=LONG) == [False]
    second = await home.start("b")
    assert (await acquired(second)).epoch > lease.epoch
    assert await second.positions("s") == {}


async def test_releasing_a_lost_lease_takes_nothing_from_its_new_holder(home: Home) -> None:
    first = await home.start("a")
    lost = await acquired(first, lease_secs=0.001)
    second = await home.start("a")  # even one of the same name
    await acquired(second)
    await second.release(lost)
    assert await second.acquire("s", lease_secs=LONG, reclaim=False) is None


async def test_a_restarted_daemon_reclaims_its_own_lease_and_nobody_elses(home: Home) -> None:
    before = await home.start("a")
    lost = await acquired(before)
    other = await home.start("b")
    assert await other.acquire("s", lease_secs=LONG, reclaim=True) is None

    restarted = await home.start("a")
    assert await restarted.acquire("s", lease_secs=LONG, reclaim=False) is None
    reclaimed = await restarted.acquire("s", lease_secs=LONG, reclaim=True)
    assert reclaimed is not None
    assert reclaimed.epoch > lost.epoch
    assert await restarted.save([Save(lost, {"r": at("9")})], lease_secs=LONG) == [False]
    assert await restarted.positions("s") == {}


async def test_people_see_who_holds_a_lease_and_for_how_long(home: Home) -> None:
    """Those that ran out or were given back have no holder, nor what nobody ever ran."""
    store = await home.start("a")
    await acquired(store)
    await acquired(store, "over", lease_secs=0.001)
    await store.release(await acquired(store, "released"))
    await store.set_paused("never", "*", "no reason")
    holders = await store.holders(["s", "over", "released", "never", "unknown"])
    assert list(holders) == ["s"]
    assert holders["s"].instance == "a"
    assert LONG - 60 < holders["s"].left_secs <= LONG
    assert await store.holders([]) == {}
