"""What the source has lost is skipped by policy: recorded first, told where it would have been, once."""

from __future__ import annotations

from functools import partial

import anyio
import pytest

from eventbus.errors import PositionLost
from eventbus.model import ClusterTime, Event, Operation, Position
from eventbus.runtime.recovery import Recovery
from eventbus.sdk import OnPositionLost, SnapshotMode, SourcePolicy
from eventbus.state.gaps import Gap
from eventbus.state.operations import OperationStatus
from tests.runtime.history import FIRST_SECOND, Pace
from tests.runtime.scenes import changes, delivered, lateness, load, route, running
from tests.runtime.target import Trouble
from tests.runtime.vault import MemoryStore, StoreTrouble, Witness
from tests.runtime.world import NAME, Life, World, WorldPlan

OLDEST, NOW, STOP = OnPositionLost.OLDEST, OnPositionLost.NOW, OnPositionLost.STOP
TAKES_PART = [OLDEST, NOW]


def _world(
    policy: OnPositionLost,
    *names: str,
    tells: bool = True,
    snapshot: SnapshotMode = SnapshotMode.NEVER,
) -> World:
    routes = [route(name) for name in names or ("behind", "well")]
    lost = SourcePolicy(on_position_lost=policy, tells_gaps=tells)
    return World(routes, WorldPlan(pace=Pace(batch=20), policy=lost, snapshot=snapshot))


def _gaps(world: World, name: str = "behind") -> list[Gap]:
    return [gap for gap in world.vault.gaps.values() if gap.route == name]


def _told(world: World, name: str = "behind") -> list[Event]:
    return world.ledgers[name].told_gaps


def _at(position: Position) -> str:
    time = position.cluster_time
    assert time is not None
    return f"{time.seconds}.{time.increment}"


async def _forgotten_while_paused(world: World, *names: str) -> Life:
    """Routes are paused, changes come, and the source forgets half of those."""
    life = await running(world)
    await load(world, until=5.0, per_sec=10)
    await world.all_passed()
    for name in names or ("behind",):
        world.pause(name)
    await anyio.sleep(3.0)
    await load(world, until=20.0, per_sec=10)
    await anyio.sleep(15.0)
    half = (len(world.history.events) + 50) // 2
    world.source.forgotten = world.history.tokens[half]
    return life


@pytest.mark.parametrize("policy", TAKES_PART)
def test_a_paused_route_goes_on_by_policy_and_its_sink_is_told(policy: OnPositionLost) -> None:
    """The gap reaches from what was taken to where reading goes on; the other route never notices."""
    world = _world(policy)

    async def scene() -> None:
        life = await _forgotten_while_paused(world)
        stood = life.subscription.routes["behind"].admitted
        world.resume("behind")
        await world.until(lambda: _told(world))
        changes(world, "abc")
        await world.all_passed()
        await world.until(lambda: life.subscription.routes["behind"].flow is not None)
        assert life.subscription.routes["behind"].flow is life.subscription.routes["well"].flow
        await life.stop()
        (gap,) = _gaps(world)
        assert (gap.start, gap.policy) == (stood, policy.value)
        if policy is OLDEST:
            assert gap.end.token == world.source.forgotten
        else:
            assert gap.end.token > world.history.tokens[-4]
        (told,) = _told(world)
        assert told.document == {
            "from": {"time": _time(gap.start), "clustertime": _at(gap.start)},
            "to": {"time": _time(gap.end), "clustertime": _at(gap.end)},
            "policy": policy.value,
            "reason": gap.reason,
            "subscription": NAME,
        }
        after = sorted(event.token for event in delivered(world, "behind") if event.token > stood.token)
        assert after == world.history.tokens[world.history.after(gap.end.token) :]

    world.play(scene)
    assert _gaps(world, "well") == []
    assert _told(world, "well") == []
    assert lateness(world, "well") < 1.0


def _time(position: Position) -> str:
    from datetime import UTC, datetime

    assert position.cluster_time is not None
    return datetime.fromtimestamp(position.cluster_time.seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_route_that_stops_has_what_is_gone_recorded_once() -> None:
    """It is asked for again each minute, and for a longer gap if more is gone; nothing is skipped."""
    world = _world(STOP)

    async def scene() -> None:
        life = await _forgotten_while_paused(world)
        world.resume("behind")
        await world.until(lambda: life.subscription.routes["behind"].lost)
        first = world.source.forgotten
        assert [gap.end.token for gap in _gaps(world)] == [first]
        await anyio.sleep(200.0)
        assert [gap.end.token for gap in _gaps(world)] == [first]
        world.source.forgotten = world.history.tokens[-2]
        await world.until(lambda: _gaps(world)[0].end.token > first)
        world.source.forgotten = ""
        await world.until(lambda: not life.subscription.routes["behind"].is_halted)
        await world.until(lambda: len(delivered(world, "behind")) == len(world.history.events))
        await life.stop()
        assert len(_gaps(world)) == 1

    world.play(scene)
    assert _told(world) == []


def test_all_routes_of_a_flow_leap_together_and_each_has_its_record() -> None:
    """After a long stop of the daemon: one reader, one leap, a record and an event for each route."""
    world = _world(OLDEST, "one", "two", "three")

    async def scene() -> None:
        life = await running(world)
        await load(world, until=5.0, per_sec=10)
        await world.all_passed()
        await life.stop()
        changes(world, "abc", 40)
        world.source.forgotten = world.history.tokens[-20]
        opened = len(world.source.readers)
        life = await running(world)
        await world.until(lambda: all(_told(world, name) for name in world.routes))
        await world.all_passed()
        await life.stop()
        starts = {name: [gap.start for gap in _gaps(world, name)] for name in world.routes}
        assert {
            name: [world.stored(name).token > one.token for one in of] for name, of in starts.items()
        } == {name: [True] for name in world.routes}
        assert len(world.source.readers) - opened <= 2 * len(world.routes)

    world.play(scene)


def test_a_route_whose_place_is_still_there_leaves_before_the_others_leap_to_now() -> None:
    """Two routes share a reader, for they stand close together; only one of them has lost its place."""
    slow = route("behind", Trouble("hanging", start=2.0, end=9.0), window=16)
    policy = SourcePolicy(on_position_lost=NOW)
    world = World([slow, route("well")], WorldPlan(pace=Pace(batch=1), policy=policy))

    async def scene() -> None:
        life = await running(world)
        await load(world, until=3.5, per_sec=30)
        await life.crash()
        behind, well = world.stored("behind").token, world.stored("well").token
        assert behind < well
        place = world.history.after(behind) + 1
        assert world.history.tokens[place] < well
        world.source.forgotten = world.history.tokens[place]
        changes(world, "abc", 10)
        life = await running(world)
        await world.until(lambda: _gaps(world))
        await world.all_passed()
        await life.stop()

    world.play(scene)
    assert _gaps(world, "well") == []
    assert len(delivered(world, "well")) >= len(world.history.events)


def test_nobody_joins_a_flow_before_it_has_leapt() -> None:
    """A route that stands where the main flow stands would leap with it, and have no record."""
    world = _world(NOW)
    world.vault.troubles.append(StoreTrouble("hanging", 40.0, 50.0, frozenset({"record_gap"})))

    async def scene() -> None:
        life = await running(world)
        changes(world, "abc", 5)
        await world.all_passed()
        world.pause("*")
        await anyio.sleep_until(35.0)
        for _ in range(10):
            world.change("a")
            await anyio.sleep(0.5)
        world.source.forgotten = world.history.tokens[-3]
        world.pause("well")
        world.resume("*")
        await anyio.sleep_until(42.0)
        routes = life.subscription.routes
        assert routes["behind"].flow is not None
        assert routes["behind"].flow.is_leaping
        world.resume("well")
        await world.all_passed()
        await world.until(lambda: len(_told(world, "well")) + len(_told(world)) == 2)
        await life.stop()

    world.play(scene)
    assert {gap.route for gap in world.vault.gaps.values()} == {"behind", "well"}


@pytest.mark.parametrize("policy", TAKES_PART)
def test_without_events_the_gap_is_recorded_all_the_same(policy: OnPositionLost) -> None:
    """`gap_events: false`."""
    world = _world(policy, tells=False)

    async def scene() -> None:
        life = await _forgotten_while_paused(world)
        world.resume("behind")
        await world.until(lambda: _gaps(world))
        changes(world, "abc")
        await world.all_passed()
        await life.stop()

    world.play(scene)
    assert len(_gaps(world)) == 1
    assert _told(world) == []


@pytest.mark.parametrize("policy", TAKES_PART)
def test_a_crash_between_the_record_and_the_leap_makes_no_second_gap(policy: OnPositionLost) -> None:
    """The next life meets the same gap, and tells of it under the same id."""
    world = World(
        [route("behind", Trouble("hanging", start=30.0, end=60.0)), route("well")],
        WorldPlan(pace=Pace(batch=20), policy=SourcePolicy(on_position_lost=policy)),
    )

    async def scene() -> None:
        life = await _forgotten_while_paused(world)
        world.resume("behind")
        await world.until(lambda: _gaps(world))
        (before,) = _gaps(world)
        await anyio.sleep(5.0)
        await life.crash()
        changes(world, "abc", 3)
        life = await running(world)
        await world.until(lambda: _told(world))
        await world.all_passed()
        await life.stop()
        assert _gaps(world) == [before]

    world.play(scene)
    assert len({event.id for event in _told(world)}) == 1


def test_what_an_earlier_life_meant_to_leap_to_may_be_gone_too() -> None:
    """Then the gap is longer, and is one all the same."""
    world = World(
        [route("behind", Trouble("hanging", start=30.0, end=60.0)), route("well")],
        WorldPlan(pace=Pace(batch=20), policy=SourcePolicy(on_position_lost=OLDEST)),
    )

    async def scene() -> None:
        life = await _forgotten_while_paused(world)
        world.resume("behind")
        await world.until(lambda: _gaps(world))
        await life.crash()
        world.source.forgotten = world.history.tokens[-3]
        life = await running(world)
        await world.until(lambda: _told(world))
        await world.all_passed()
        await life.stop()

    world.play(scene)
    assert [gap.end.token for gap in _gaps(world)] == [world.history.tokens[-3]]
    assert len({event.id for event in _told(world)}) <= 2


def test_what_was_read_before_the_place_was_lost_is_handed_out() -> None:
    """Nobody can read it again; a route that stops has it all the same."""
    slow = route("only", window=4, lanes=1, secs=1.0)
    policy = SourcePolicy(on_position_lost=STOP)
    world = World([slow], WorldPlan(pace=Pace(batch=20), policy=policy))

    async def scene() -> None:
        life = await running(world)
        changes(world, "ab", 20)
        await world.until(lambda: len(delivered(world, "only")) > 10)
        changes(world, "ab", 20)
        world.source.forgotten = world.history.tokens[-1]
        await world.until(lambda: life.subscription.routes["only"].lost)
        await anyio.sleep(10.0)
        assert len(delivered(world, "only")) >= 40
        (gap,) = _gaps(world, "only")
        assert gap.start.token == world.history.tokens[len(delivered(world, "only")) - 1]
        await life.crash()

    world.play(scene)


def test_a_place_that_is_lost_again_and_again_rests() -> None:
    """Two leaps in ten minutes; the third time the route stops and says why, and leaps when they are over."""
    world = _world(OLDEST, "only")

    async def scene() -> None:
        life = await running(world)
        only = life.subscription.routes["only"]
        losses = 0
        while only.lost is None and losses < 5:
            changes(world, "abc", 5)
            await world.all_passed()
            world.pause("only")
            await anyio.sleep(3.0)
            changes(world, "abc", 5)
            world.source.forgotten = world.history.tokens[-2]
            world.resume("only")
            losses += 1
            await world.until(partial(_is_through, world, life, losses))
        assert losses == 3
        assert "lost 3 times within 10 minutes" in str(only.lost)
        rests_since = anyio.current_time()
        polls = len(world.source.readers)
        await world.until(lambda: len(_gaps(world, "only")) == 3)
        assert anyio.current_time() - rests_since > 500
        assert len(world.source.readers) - polls <= 13
        await world.all_passed()
        await life.stop()

    world.play(scene)


def _is_through(world: World, life: Life, losses: int) -> bool:
    return life.subscription.routes["only"].lost is not None or len(_told(world, "only")) == losses


@pytest.mark.parametrize("policy", TAKES_PART)
def test_a_place_in_the_sources_future_is_no_gap(policy: OnPositionLost) -> None:
    """The data was restored from a backup: all that comes would be skipped, as what was taken before."""
    world = _world(policy)
    store = MemoryStore(world.vault, "a daemon", lambda: False, Witness(), world.rng)
    recovery = Recovery(NAME, world.source, store)

    async def scene() -> None:
        future = world.source.at(ClusterTime(FIRST_SECOND + 900, 0))
        with pytest.raises(PositionLost, match=f"gone; the policy '{policy}' leads to no place beyond it"):
            await recovery.leap(["behind"], future, PositionLost("gone"))

    world.play(scene)
    assert world.vault.gaps == {}


@pytest.mark.parametrize(
    ("policy", "snapshot"),
    [(OnPositionLost.SNAPSHOT, SnapshotMode.NEVER), (OnPositionLost.STOP, SnapshotMode.WHEN_NEEDED)],
)
def test_with_a_snapshot_the_route_goes_on_from_now_and_is_given_all_documents(
    policy: OnPositionLost, snapshot: SnapshotMode
) -> None:
    """It begins as part of the new position, is recorded like any other, and ends."""
    world = _world(policy, snapshot=snapshot)

    async def scene() -> None:
        life = await _forgotten_while_paused(world)
        before = set(world.vault.operations)
        world.resume("behind")
        await world.until(lambda: len(set(world.vault.operations) - before) == 1)
        (record,) = set(world.vault.operations) - before
        await world.until(lambda: world.vault.operations[record].status.is_over)
        assert world.vault.operations[record].status is OperationStatus.DONE
        assert world.vault.operations[record].routes == ("behind",)
        behind = life.subscription.routes["behind"]
        await world.until(lambda: behind.flow is life.subscription.routes["well"].flow)
        (gap,) = _gaps(world)
        reads = [event for event in delivered(world, "behind") if event.operation == Operation.READ]
        reads = [event for event in reads if event.token > gap.end.token]
        assert {event.key for event in reads} == {event.key for event in world.history.events}
        await life.stop()

    world.play(scene)


@pytest.mark.parametrize(
    ("policy", "snapshot"),
    [(OnPositionLost.SNAPSHOT, SnapshotMode.NEVER), (OnPositionLost.STOP, SnapshotMode.WHEN_NEEDED)],
)
def test_where_no_snapshot_can_be_begun_the_route_stops(
    policy: OnPositionLost, snapshot: SnapshotMode
) -> None:
    """It says why, and nothing is given up."""
    world = _world(policy, snapshot=snapshot)

    async def scene() -> None:
        life = await _forgotten_while_paused(world)
        world.source.refusal = "nothing but capped collections"
        behind = life.subscription.routes["behind"]
        world.resume("behind")
        await world.until(lambda: behind.lost is not None)
        assert "no snapshot can be begun: nothing but capped collections" in str(behind.lost)
        assert _gaps(world) == []
        await life.crash()

    world.play(scene)
