"""What a route lets in, and when: windows, skips, heartbeats, barriers."""

from __future__ import annotations

from itertools import pairwise

import anyio

from tests.runtime.history import Fate, Pace
from tests.runtime.scenes import changes, delivered, open_events, route, running
from tests.runtime.target import Trouble
from tests.runtime.world import World, WorldPlan


def test_a_batch_larger_than_a_window_enters_in_parts() -> None:
    """Each route takes what fits and goes on where it stopped; nobody gets anything twice."""
    world = World(
        [route("small", window=8, secs=0.2), route("large", window=200)], WorldPlan(pace=Pace(batch=100))
    )

    async def scene() -> None:
        life = await running(world)
        events = changes(world, "abcde", 20)
        await world.until(lambda: len(delivered(world, "large")) == 100)
        assert len(delivered(world, "small")) < 50
        await world.all_passed()
        await life.stop()
        assert sorted(event.token for event in delivered(world, "small")) == [event.token for event in events]

    world.play(scene)


def test_a_slow_sink_stops_no_other_route_as_long_as_its_window_has_room() -> None:
    """One hangs for a minute; the other has its fifty events at once."""
    world = World([route("hanging", Trouble("hanging", end=60.0)), route("healthy")])

    async def scene() -> None:
        await running(world)
        changes(world, "abcde", 10)
        await world.until(lambda: len(delivered(world, "healthy")) == 50)
        assert anyio.current_time() < 2.0
        assert delivered(world, "hanging") == []
        await world.all_passed()
        assert anyio.current_time() >= 60.0

    world.play(scene)


def test_a_full_window_holds_the_flow_which_goes_on_with_the_first_room() -> None:
    """The oplog is the buffer: what is admitted is bounded, and the wait ends by itself."""
    world = World([route("hanging", Trouble("hanging", end=60.0), window=16)], WorldPlan(pace=Pace(batch=10)))

    async def scene() -> None:
        life = await running(world)
        changes(world, "abcde", 20)
        await anyio.sleep(30)
        assert open_events(life, "hanging") == 16
        await world.all_passed()
        await life.stop()

    world.play(scene)


def test_heartbeats_take_no_room_and_pass_no_open_event() -> None:
    """One event hangs for a minute while the position of the source moves on 120 times."""
    world = World([route("hanging", Trouble("hanging", start=1.0, end=61.0), window=4)])

    async def scene() -> None:
        life = await running(world)
        before = world.change("a")
        await world.all_passed()
        await anyio.sleep_until(1.0)
        hanging = world.change("b")
        await anyio.sleep_until(60.0)
        assert open_events(life, "hanging") == 1
        watermark = life.subscription.routes["hanging"].watermark().token
        assert before.token <= watermark < hanging.token
        assert life.subscription.routes["hanging"].admitted.token > hanging.token
        await world.all_passed()
        await world.until(lambda: not open_events(life, "hanging"))
        assert life.subscription.routes["hanging"].watermark().token > hanging.token
        await life.stop()

    world.play(scene)


def test_an_idle_position_is_stored_now_and_then_and_the_lease_renewed_all_the_time() -> None:
    """A minute of nothing: a write of positions every ten seconds, of the lease every five."""
    world = World([route("only")])
    stored: list[float] = []

    async def scene() -> None:
        life = await running(world)
        first = world.stored("only")
        for _ in range(600):
            await anyio.sleep(0.1)
            if world.stored("only") != first:
                first = world.stored("only")
                stored.append(anyio.current_time())
        lease = world.vault.leases["orders"]
        assert lease.until > anyio.current_time() + world.plan.lease_secs / 2
        await life.stop()

    world.play(scene)
    gaps = [later - earlier for earlier, later in pairwise(stored)]
    assert min(gaps) >= 9.9
    assert max(gaps) <= 15.1


def test_positions_are_stored_every_second_while_events_are_settled() -> None:
    """So that a crash costs no more than a second and a window."""
    world = World([route("only")], WorldPlan(every_secs=1.0))

    async def scene() -> None:
        await running(world)
        for _ in range(100):
            event = world.change("a")
            await anyio.sleep(0.1)
            behind = len([other for other in world.history.tokens if other > world.stored("only").token])
            assert behind <= 13
            assert event.token in world.history.tokens
        await world.all_passed()

    world.play(scene)


def test_what_is_settled_during_a_save_is_stored_by_the_next_one() -> None:
    """A save takes nearly a second; an event settled meanwhile does not wait for the idle save."""
    world = World([route("only")], WorldPlan(store_secs=0.9))

    async def scene() -> None:
        await running(world)
        for tenth in range(20):
            world.change("a")
            await anyio.sleep(tenth / 10)
            event = world.change("a")
            await anyio.sleep(4.5)
            assert world.stored("only").token >= event.token

    world.play(scene)


def test_filtered_events_need_no_room_and_move_the_position() -> None:
    """A thousand of them through a window of four, with one event that hangs in front of them."""
    world = World([route("hanging", Trouble("hanging", end=30.0), window=4)])

    async def scene() -> None:
        life = await running(world)
        world.change("a")
        for _ in range(1000):
            world.change("b", fate=Fate.FILTER)
        await anyio.sleep(20)
        assert open_events(life, "hanging") == 1
        await world.all_passed()
        await life.stop()
        assert world.stored("hanging").token >= world.history.tokens[-1]
        assert len(delivered(world, "hanging")) == 1

    world.play(scene)


def test_nothing_overtakes_a_barrier_in_either_direction() -> None:
    """What comes before it is delivered first, however slow; what comes after it waits, however fast."""
    world = World([route("slow", Trouble("failing", keys=frozenset("a"), times=2), lanes=4)])

    async def scene() -> None:
        life = await running(world)
        first, barrier, last = changes(world, "abcd"), world.change(None), changes(world, "abcd")
        await world.all_passed()
        await life.stop()
        order = delivered(world, "slow")
        place = order.index(barrier)
        assert set(order[:place]) == set(first)
        assert set(order[place + 1 :]) == set(last)

    world.play(scene)


def test_barriers_in_a_row_and_at_the_ends_of_batches() -> None:
    """Each is alone, whatever lies around it."""
    world = World([route("only", window=8, lanes=3)], WorldPlan(pace=Pace(batch=3)))

    async def scene() -> None:
        life = await running(world)
        events = changes(world, "-ab--c-abc---ab-", 5)
        await world.all_passed()
        await life.stop()
        assert len(delivered(world, "only")) == len(events)

    world.play(scene)


def test_an_event_larger_than_the_window_enters_alone() -> None:
    """It waits until nothing is open, and others wait for it."""
    world = World([route("only", size=100)])

    async def scene() -> None:
        life = await running(world)
        for size in (60, 60, 5000, 60, 60, 5000, 5000, 1):
            world.change("a", size=size)
        await world.all_passed()
        await life.stop()
        assert len(delivered(world, "only")) == 8

    world.play(scene)


def test_after_a_crash_the_flow_opens_at_the_lowest_position_and_the_others_skip() -> None:
    """One route hung while the other went on; the other gets nothing of it again that it had stored."""
    world = World([route("hanging", Trouble("hanging", end=20.0)), route("healthy")])

    async def scene() -> None:
        life = await running(world)
        changes(world, "abc", 10)
        await anyio.sleep(5)
        await life.crash()
        assert world.stored("hanging").token < world.stored("healthy").token
        life = await running(world)
        assert world.source.readers[-1].start == world.stored("hanging")
        await world.all_passed()
        await life.stop()
        assert len(delivered(world, "healthy")) == 30

    world.play(scene)


def test_a_route_that_is_new_begins_now_and_leaves_the_others_where_they_are() -> None:
    """Its start is durable before anything is read for it."""
    world = World([route("old"), route("new")])

    async def scene() -> None:
        life = await running(world, routes=["old"])
        changes(world, "abc", 5)
        await world.until(lambda: len(delivered(world, "old")) == 15)
        await life.crash()
        missed = changes(world, "abc")
        life = await running(world)
        later = changes(world, "abc")
        await world.all_passed()
        await life.stop()
        assert set(delivered(world, "old")) >= {*missed, *later}
        assert set(delivered(world, "new")) == set(later)

    world.play(scene)
