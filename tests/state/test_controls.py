"""Pauses and operations, as every state store promises them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from eventbus.errors import ConfigurationError
from eventbus.model import ClusterTime, Position, PositionKind
from eventbus.state.operations import Control, Operation, OperationKind, OperationStatus, Progress
from eventbus.state.store import Lease, Save, Store
from tests.state.conftest import Home
from tests.state.leases import LONG, acquired, at

pytestmark = [pytest.mark.anyio, pytest.mark.services]

DONE = Progress(3, 2, 1, 6, ClusterTime(7, 8), read=5, per_sec=1.5, through=("hook",))


def operation(operation_id: str = "op", subscription: str = "s") -> Operation:
    return Operation(operation_id, OperationKind.REPLAY, subscription, "hook")


async def one(store: Store, operation_id: str = "op") -> Operation:
    """An operation that is there."""
    (stored,) = await store.find_operations(operation_id=operation_id)
    return stored


# Pauses


async def test_a_route_is_paused_and_resumed_before_its_subscription_ever_ran(home: Home) -> None:
    store = await home.start("a")
    await store.set_paused("s", "hook", "too fast")
    await store.set_paused("s", "*", "night")
    await store.set_paused("s", "hook", "much too fast")
    store = await home.start("b")
    assert (await store.controls({"s"}))["s"].paused == {"hook": "much too fast", "*": "night"}
    await store.set_paused("s", "hook", None)
    await store.set_paused("s", "hook", None)
    await store.set_paused("never seen", "hook", None)
    assert await store.controls(["s", "never seen"]) == {
        "s": Control({"*": "night"}),
        "never seen": Control(),
    }
    assert await store.controls([]) == {}


async def test_pauses_disturb_neither_lease_nor_positions_nor_each_other(home: Home) -> None:
    store = await home.start("a")
    await store.set_paused("s", "hook", "")
    assert await store.positions("s") == {}
    lease = await acquired(store)
    assert await store.save([Save(lease, {"hook": at("1")})], lease_secs=LONG) == [True]
    await store.set_paused("s", "$odd.name", "why")
    assert await store.positions("s") == {"hook": at("1")}
    await store.release(lease)
    assert (await acquired(await home.start("b"))).epoch > lease.epoch
    store = await home.start("c")
    assert (await store.controls({"s"}))["s"].paused == {"hook": "", "$odd.name": "why"}
    await store.set_paused("s", "$odd.name", None)
    assert (await store.controls({"s"}))["s"].paused == {"hook": ""}


async def test_a_pause_and_the_first_lease_may_come_at_once(home: Home) -> None:
    rivals = await home.rivals()
    for number in range(20):
        name = f"s{number}"
        async with anyio.create_task_group() as group:
            for index, rival in enumerate(rivals):
                group.start_soon(rival.set_paused, name, f"route-{index}", "why")
            group.start_soon(acquired, rivals[0], name)
        paused = (await rivals[0].controls({name}))[name].paused
        assert set(paused) == {f"route-{index}" for index in range(len(rivals))}
        assert await rivals[0].acquire(name, lease_secs=LONG, reclaim=False) is None


# Operations


async def test_an_operation_comes_back_as_it_was_with_the_stores_times(home: Home) -> None:
    store = await home.start("a")
    full = Operation(
        "op-1",
        OperationKind.DEAD_LETTERS,
        "s",
        "hook",
        start=Position("82", PositionKind.IDLE, ClusterTime(4_294_967_295, 1), b"\0\xff"),
        until=Position("83"),
        routes=("hook", "topic"),
        match={"$or": [{"created_at": {"$lt": {"$date": "2026-01-01T00:00:00Z"}}}, {"document_key.a.b": 1}]},
        collections=("orders", "$odd.name"),
        rate=2.5,
        runner="process",
        requested_by="me",
        progress=DONE,
        problem="none",
    )
    before = datetime.now(UTC) - timedelta(seconds=1)
    await store.add_operation(full)
    await store.add_operation(operation("op-2"))
    store = await home.start("b")
    stored = await one(store, "op-1")
    assert stored.created_at is not None
    assert before < stored.created_at < datetime.now(UTC) + timedelta(seconds=1)
    assert stored.updated_at == stored.created_at
    assert replace(stored, created_at=None, updated_at=None) == full
    plain = await one(store, "op-2")
    assert replace(plain, created_at=None, updated_at=None) == operation("op-2")


async def test_two_operations_cannot_have_one_name(store: Store) -> None:
    await store.add_operation(operation())
    with pytest.raises(ConfigurationError, match="there is an operation op already"):
        await store.add_operation(replace(operation(), route="other"))
    assert (await one(store)).route == "hook"


async def test_what_is_live_is_a_control_and_all_can_be_found(store: Store) -> None:
    for number in range(4):
        await store.add_operation(operation(f"op-{number}"))
    await store.add_operation(operation("theirs", "t"))
    lease = await acquired(store)
    assert await store.move_operation(operation("op-1").moved(OperationStatus.RUNNING, DONE), lease)
    assert await store.move_operation(operation("op-2").moved(OperationStatus.DONE, DONE), lease)
    controls = await store.controls({"s", "t", "u"})
    assert [asked.id for asked in controls["s"].operations] == ["op-0", "op-1", "op-3"]
    assert [asked.id for asked in controls["t"].operations] == ["theirs"]
    assert controls["u"] == Control()
    everything = [found.id for found in await store.find_operations()]
    assert everything == ["theirs", "op-3", "op-2", "op-1", "op-0"]
    assert [found.id for found in await store.find_operations(subscription="s", limit=2)] == ["op-3", "op-2"]
    assert await store.find_operations(operation_id="unknown") == []


async def test_an_operation_is_moved_until_it_is_over(store: Store) -> None:
    await store.add_operation(operation())
    lease = await acquired(store)
    running = operation().moved(OperationStatus.RUNNING, DONE)
    assert await store.move_operation(running, lease)
    stored = await one(store)
    assert (stored.status, stored.progress, stored.problem) == (OperationStatus.RUNNING, DONE, "")
    assert await store.move_operation(running.moved(OperationStatus.FAILED, DONE, "why"), lease)
    assert not await store.move_operation(running, lease)
    assert (await one(store)).problem == "why"
    assert not await store.move_operation(operation("unknown"), lease)


async def test_who_lost_the_lease_cannot_move_an_operation_that_its_next_holder_has_moved(home: Home) -> None:
    store = await home.start("a")
    await store.add_operation(operation())
    lost = await acquired(store, lease_secs=0.001)
    store = await home.start("b")
    lease = await acquired(store)
    assert lease.epoch > lost.epoch
    assert await store.move_operation(operation().moved(OperationStatus.RUNNING, DONE), lease)
    assert not await store.move_operation(operation().moved(OperationStatus.DONE, DONE), lost)
    assert (await one(store)).status is OperationStatus.RUNNING


async def test_an_operation_can_be_cancelled_while_it_is_not_over(store: Store) -> None:
    await store.add_operation(operation())
    lease = await acquired(store)
    await store.move_operation(operation().moved(OperationStatus.RUNNING, DONE), lease)
    assert await store.cancel_operation("op")
    assert not await store.cancel_operation("op")
    assert not await store.cancel_operation("unknown")
    assert not await store.move_operation(operation().moved(OperationStatus.DONE, Progress()), lease)
    stored = await one(store)
    assert (stored.status, stored.progress) == (OperationStatus.CANCELLED, DONE)


# Positions of operations


async def test_the_position_of_an_ended_operation_is_forgotten_by_the_leases_holder_only(home: Home) -> None:
    store = await home.start("a")
    lost = await acquired(store, lease_secs=0.001)
    positions = {"hook": at("1"), "hook@op": at("2"), "hook@other.x": at("3")}
    await store.save([Save(lost, positions)], lease_secs=0.001)
    store = await home.start("b")
    lease = await acquired(store)
    await store.forget_position(lost, "hook")
    await store.forget_position(Lease("never seen", 1), "hook")
    assert await store.positions("s") == positions
    await store.forget_position(lease, "hook@op")
    await store.forget_position(lease, "hook@other.x")
    await store.forget_position(lease, "unknown")
    assert await store.positions("s") == {"hook": at("1")}
