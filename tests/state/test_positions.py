"""Positions, as every state store promises them."""

from __future__ import annotations

import bson
import pytest

from eventbus.model import ClusterTime, Origin, Position, PositionKind, Snapshot
from eventbus.state.store import Lease, Save, Store
from tests.state.conftest import Home
from tests.state.leases import LONG, acquired, at

pytestmark = [pytest.mark.anyio, pytest.mark.services]


async def test_a_save_after_a_takeover_writes_nothing(home: Home) -> None:
    first = await home.start("a")
    lost = await acquired(first, lease_secs=0.001)
    assert await first.save([Save(lost, {"r": at("1")})], lease_secs=0.001) == [True]
    second = await home.start("b")
    lease = await acquired(second)
    assert await second.save([Save(Lease("s", lost.epoch), {"r": at("2")})], lease_secs=LONG) == [False]
    assert await second.positions("s") == {"r": at("1")}
    assert await second.save([Save(lease, {"r": at("3")})], lease_secs=LONG) == [True]


async def test_one_save_of_several_tells_which_lease_is_lost(store: Store) -> None:
    kept, lost, also_kept = [await acquired(store, name) for name in ("kept", "lost", "also")]
    await store.release(lost)
    await acquired(store, "lost")
    saves = [Save(lease, {"r": at("1")}) for lease in (kept, lost, also_kept, Lease("never seen", 1))]
    assert await store.save(saves, lease_secs=LONG) == [True, False, True, False]
    assert await store.positions("lost") == {}
    assert await store.positions("also") == {"r": at("1")}
    assert await store.positions("never seen") == {}


async def test_a_save_of_nothing_is_no_write(store: Store) -> None:
    assert list(await store.save([], lease_secs=LONG)) == []


async def test_positions_come_back_as_they_were(home: Home) -> None:
    store = await home.start("a")
    lease = await acquired(store)
    positions = {
        "hook": Position("8263", PositionKind.EVENT, ClusterTime(4_294_967_295, 4_294_967_295)),
        "idle": Position("8264", PositionKind.IDLE, None),
        "gone": Position("8265", PositionKind.INVALIDATE, ClusterTime(0, 0), extra=b"\0\xff"),
        "replay@7.x": Position("", PositionKind.EVENT, ClusterTime(1, 2)),
        "$odd.name": Position("zz", PositionKind.EVENT),
        "once": Position("83", committed="82"),
    }
    assert await store.save([Save(lease, positions)], lease_secs=LONG) == [True]
    assert await (await home.start("b")).positions("s") == positions


async def test_how_a_route_came_to_its_position_is_kept_until_it_moves(store: Store) -> None:
    lease = await acquired(store)
    await store.save([Save(lease, {"r": Position("1", origin=Origin.SET)})], lease_secs=LONG)
    assert (await store.positions("s"))["r"].origin is Origin.SET
    await store.save([Save(lease, {"r": at("2")})], lease_secs=LONG)
    assert (await store.positions("s"))["r"].origin is Origin.REACHED


async def test_a_save_moves_the_routes_it_names_and_no_other(store: Store) -> None:
    lease = await acquired(store)
    first = {"a": Position("1", PositionKind.EVENT, ClusterTime(1, 1), extra=b"of 1"), "a.b": at("1")}
    await store.save([Save(lease, first)], lease_secs=LONG)
    await store.save([Save(lease, {"a": Position("2", PositionKind.IDLE)})], lease_secs=LONG)
    assert await store.positions("s") == {"a": Position("2", PositionKind.IDLE), "a.b": at("1")}


async def test_how_far_a_snapshot_has_come_is_part_of_a_position(home: Home) -> None:
    store = await home.start("a")
    lease = await acquired(store)
    scope, after = bson.encode({"match": {"$a.b": 1}}), bson.encode({"_id": {"$x": "\0"}})
    begun = Snapshot("first")
    under_way = Snapshot("7$.x", scope, "shop.a.b", after, read=2**40, total=2**41)
    finished = Snapshot("z", scope, "shop.z", after, 5, 4, is_finished=True)
    positions = {
        name: Position("8263/000000000007", PositionKind.IDLE, ClusterTime(5, 1), snapshot=snapshot)
        for name, snapshot in {"begun": begun, "under_way": under_way, "finished": finished}.items()
    }
    assert await store.save([Save(lease, positions)], lease_secs=LONG) == [True]
    assert await (await home.start("b")).positions("s") == positions


async def test_a_position_without_a_snapshot_takes_the_place_of_one_that_had_it(store: Store) -> None:
    lease = await acquired(store)
    had = Position("1", PositionKind.IDLE, ClusterTime(1, 1), extra=b"of 1", snapshot=Snapshot("s"))
    await store.save([Save(lease, {"r": had})], lease_secs=LONG)
    await store.save([Save(lease, {"r": at("2")})], lease_secs=LONG)
    assert await store.positions("s") == {"r": at("2")}


async def test_positions_of_many_routes_fit_into_one_save(store: Store) -> None:
    lease = await acquired(store)
    many = {f"route-{number}": at(str(number)) for number in range(300)}
    assert await store.save([Save(lease, many)], lease_secs=LONG) == [True]
    assert await store.positions("s") == many


async def test_a_subscription_never_seen_has_no_positions(store: Store) -> None:
    assert await store.positions("unknown") == {}


async def test_opening_again_keeps_everything(home: Home) -> None:
    store = await home.start("a")
    await store.open()
    lease = await acquired(store)
    await store.save([Save(lease, {"r": at("1")})], lease_secs=LONG)
    await store.close()
    await store.open()
    assert await store.save([Save(lease, {"q": at("2")})], lease_secs=LONG) == [True]
    assert await store.positions("s") == {"r": at("1"), "q": at("2")}


async def test_subscriptions_with_positions_are_known_by_name(store: Store) -> None:
    """Whether they are configured or not; one that never had a position is none."""
    assert await store.subscriptions() == []
    for name in ("b", "a", "empty"):
        lease = await acquired(store, name)
        await store.save([Save(lease, {} if name == "empty" else {"r": at("1")})], lease_secs=LONG)
    assert list(await store.subscriptions()) == ["a", "b"]
