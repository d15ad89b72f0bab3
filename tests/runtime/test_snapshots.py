"""Documents that are there already, read beside the changes: all of them, none stale, whatever happens."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest

from eventbus.model import ClusterTime
from eventbus.runtime.arrangement import CatchUpPolicy
from eventbus.runtime.start import RouteStart
from eventbus.sdk import SnapshotMode
from eventbus.state.operations import Operation, OperationKind, OperationStatus
from tests.runtime.history import FIRST_SECOND, Fate, Pace
from tests.runtime.scenes import changes, delivered, documents, lateness, load, readers, route, running
from tests.runtime.target import Trouble
from tests.runtime.vault import StoreTrouble
from tests.runtime.world import NAME, Life, RoutePlan, World, WorldPlan

PACE = Pace(batch=20)
NEW = WorldPlan(pace=PACE, snapshot=SnapshotMode.INITIAL)
OLD = WorldPlan(pace=PACE)
KEYS = [f"doc-{number:03}" for number in range(100)]


def _world(*routes: RoutePlan, plan: WorldPlan = NEW, keys: Sequence[str] = KEYS) -> World:
    """A world in which documents are there without a change, as older than the oplog is."""
    world = World(routes, plan)
    world.history.documents = dict.fromkeys(keys, Fate.DELIVER)
    return world


def _records(world: World) -> Sequence[Operation]:
    return [one for one in world.vault.operations.values() if one.kind is OperationKind.SNAPSHOT]


async def _over(world: World, snapshot_id: str | None = None) -> Operation:
    """Wait until a snapshot, the only one by default, is over and no route carries anything of it."""
    await world.until(lambda: snapshot_id in world.vault.operations or _records(world))
    (name,) = [snapshot_id] if snapshot_id is not None else [one.id for one in _records(world)]
    await world.until(lambda: world.vault.operations[name].status.is_over)
    await world.until(lambda: not any(one.snapshot for one in world.lives[-1].subscription.routes.values()))
    return world.vault.operations[name]


async def _half_read(world: World, name: str = "live", count: int = 40) -> None:
    await world.until(lambda: len(documents(world, name)) >= count)


def test_a_new_route_gets_the_documents_that_are_there_and_every_change() -> None:
    """Each once; afterwards it is a route like any other, and its position knows of no snapshot."""
    world = _world(route("live"))

    async def scene() -> None:
        life = await running(world)
        await load(world, until=10.0, per_sec=20, keys="abc")
        record = await _over(world)
        await world.all_passed()
        await life.stop()
        assert (record.status, record.routes, record.route) == (OperationStatus.DONE, ("live",), "live")
        assert (record.progress.read, record.progress.total) == (len(documents(world, "live")), 100)
        assert world.stored("live").snapshot is None

    world.play(scene)
    assert [key for key in documents(world, "live") if key in KEYS] == KEYS
    assert readers(world) == 0


def test_documents_that_change_meanwhile_never_go_back() -> None:
    """The account compares what each reading knows of with what has arrived."""
    world = _world(route("live", window=16))

    async def scene() -> None:
        life = await running(world)
        for number in range(300):
            key = KEYS[(number * 37) % len(KEYS)]
            world.change(key, operation="delete" if number % 5 == 0 else "update")
            await anyio.sleep(0.02)
        await _over(world)
        await world.all_passed()
        await life.stop()

    world.play(scene)
    assert len(documents(world, "live")) > 20


def test_a_snapshot_on_demand_leaves_the_other_routes_alone() -> None:
    """It goes into the live route, in order with its changes; the other one reads nothing but changes."""
    world = _world(route("live"), route("other"), plan=OLD)

    async def scene() -> None:
        life = await running(world)
        await load(world, until=3.0, per_sec=20)
        wanted = world.snapshot("live", below="doc-050")
        await load(world, until=10.0, per_sec=20)
        record = await _over(world, wanted)
        await load(world, until=12.0, per_sec=20)
        await world.all_passed()
        assert record.status is OperationStatus.DONE
        await world.until(lambda: readers(world) == 1)
        await life.stop()

    world.play(scene)
    assert documents(world, "live") == [*"abcd", *KEYS[:50]]
    assert documents(world, "other") == []
    assert lateness(world, "other") < 0.5


@pytest.mark.parametrize("secs", [0.3, 0.8, 1.7])
@pytest.mark.parametrize("plan", [NEW, OLD], ids=["initial", "on demand"])
def test_a_snapshot_goes_on_where_a_crash_interrupted_it(plan: WorldPlan, secs: float) -> None:
    """What was read need not be read again; nothing is stale though the next reading finds other places."""
    world = _world(route("live", window=16, secs=0.05), plan=plan)

    async def scene() -> None:
        life = await running(world)
        if plan is OLD:
            world.snapshot("live")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_changes_of_documents, world)
            for _ in range(5):
                await anyio.sleep(secs)
                await life.crash()
                life = await running(world)
        record = await _over(world)
        await world.all_passed()
        await life.stop()
        assert record.status is OperationStatus.DONE

    world.play(scene)
    repeated = len(documents(world, "live")) - len(set(documents(world, "live")))
    assert repeated <= 5 * (16 + 25)


async def _changes_of_documents(world: World) -> None:
    for number in range(100):
        world.change(KEYS[(number * 37) % len(KEYS)])
        await anyio.sleep(0.05)


def test_two_new_routes_share_one_reading() -> None:
    """They begin at one position; one reader reads for both, and one record tells of both."""
    world = _world(route("one"), route("two"))

    async def scene() -> None:
        life = await running(world)
        await load(world, until=8.0, per_sec=20, keys="abc")
        record = await _over(world)
        await world.all_passed()
        await life.stop()
        assert (record.routes, record.route) == (("one", "two"), "*")
        assert set(record.progress.through) == {"one", "two"}

    world.play(scene)
    assert documents(world, "one") == documents(world, "two")
    assert sum(reader.start.snapshot is not None for reader in world.source.readers) == 1


def test_live_routes_that_are_fed_together_share_a_reading_on_demand() -> None:
    """It begins at the end of a batch, where both stand at one position, however busy the stream is."""
    patient = CatchUpPolicy(isolate_after_secs=60.0, isolate_late_secs=60.0)
    plan = WorldPlan(pace=PACE, catch_up=patient)
    world = _world(route("one", window=8, secs=0.05), route("two", window=8, secs=0.05), plan=plan)

    async def scene() -> None:
        life = await running(world)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_busy, world)
            await anyio.sleep(2.0)
            record = await _over(world, world.snapshot("one", "two"))
        await world.all_passed()
        await life.stop()
        assert record.status is OperationStatus.DONE

    world.play(scene)
    begun = [one.start.snapshot for one in world.source.readers if one.start.snapshot is not None]
    assert sum(one.read == 0 for one in begun) == 1


async def _busy(world: World) -> None:
    await load(world, until=4.0, per_sec=100)


def test_a_slow_route_leaves_the_reading_that_it_shares() -> None:
    """It goes on by itself, from where it stands, and gets everything; the other one does not wait."""
    slow = route("slow", window=8, lanes=1, secs=0.4)
    world = _world(route("fast"), slow)

    async def scene() -> None:
        life = await running(world)
        await load(world, until=10.0, per_sec=5, keys="abc")
        await world.until(lambda: "fast" in _records(world)[0].progress.through)
        fast_secs = anyio.current_time()
        record = await _over(world)
        await world.all_passed()
        await life.stop()
        assert record.status is OperationStatus.DONE
        assert fast_secs < 15.0 < anyio.current_time()

    world.play(scene)
    assert set(documents(world, "slow")) >= set(KEYS)
    assert lateness(world, "fast") < 1.0


def test_routes_that_were_apart_when_it_crashed_read_by_themselves() -> None:
    """Another reading finds documents at other places: no place tells which of them a route has."""
    plan = WorldPlan(pace=PACE, snapshot=SnapshotMode.INITIAL, every_secs=0.2)
    world = _world(route("fast", window=8, secs=0.1), route("slow", window=8, secs=0.8), plan=plan)

    async def scene() -> None:
        life = await running(world)
        await _half_read(world, "fast", count=70)
        await life.crash()
        seen = len(documents(world, "slow"))
        assert seen < 40
        life = await running(world)
        record = await _over(world)
        await life.stop()
        assert record.status is OperationStatus.DONE

    world.play(scene)
    assert set(documents(world, "slow")) == set(documents(world, "fast")) == set(KEYS)
    assert len(documents(world, "fast")) < len(KEYS) + 8 + 20


def test_a_pause_in_the_middle_keeps_the_place() -> None:
    """And so does a crash during the pause."""
    world = _world(route("live", window=8, secs=0.1))

    async def scene() -> None:
        life = await running(world)
        await _half_read(world)
        world.pause("live", "stock-taking")
        await anyio.sleep(3.0)
        seen = len(documents(world, "live"))
        await world.until(lambda: "stock-taking" in _records(world)[0].problem)
        await anyio.sleep(10.0)
        await life.crash()
        life = await running(world)
        await anyio.sleep(10.0)
        assert len(documents(world, "live")) == seen
        world.resume("live")
        await _over(world)
        await life.stop()

    world.play(scene)
    assert len(documents(world, "live")) <= 100 + 8 + 20


def test_an_outage_of_the_sink_in_the_middle_costs_nothing_but_time() -> None:
    """The record says what it waits for."""
    world = _world(route("live", Trouble("unavailable", start=1.0, end=30.0), window=8, secs=0.1))

    async def scene() -> None:
        life = await running(world)
        await world.until(lambda: _records(world) and "waits for the sink" in _records(world)[0].problem)
        await load(world, until=35.0, per_sec=2, keys="abc")
        record = await _over(world)
        await world.all_passed()
        await life.stop()
        assert (record.status, record.problem) == (OperationStatus.DONE, "")

    world.play(scene)
    assert [key for key in documents(world, "live") if key in KEYS] == KEYS


def test_a_snapshot_that_is_cancelled_ends_and_leaves_nothing_behind() -> None:
    """The route goes on with its changes on the main flow; what was sent stays sent."""
    world = _world(route("live", window=8, secs=0.2), route("other"))

    async def scene() -> None:
        life = await running(world)
        await _half_read(world)
        world.cancel("@" + _records(world)[0].id)
        await _over(world)
        seen = len(documents(world, "live"))
        await load(world, until=anyio.current_time() + 10.0, per_sec=10)
        await world.all_passed()
        assert len(documents(world, "live")) <= seen + 8
        assert world.stored("live").snapshot is None
        await world.until(lambda: readers(world) == 1)
        await life.stop()

    world.play(scene)
    assert len(documents(world, "live")) < 100


def test_what_is_open_when_a_snapshot_is_cancelled_does_not_bring_it_back() -> None:
    """Its positions know of the snapshot; the route's does not any more, whatever settles."""
    world = _world(route("live", window=40, lanes=1, secs=0.2))

    async def scene() -> None:
        life = await running(world)
        await _half_read(world, count=10)
        world.cancel("@" + _records(world)[0].id)
        await _over(world)
        live = life.subscription.routes["live"]
        assert live.open_events > 10
        await anyio.sleep(2.0)
        assert live.open_events > 0
        assert world.stored("live").snapshot is None
        await life.stop()

    world.play(scene)


def test_a_snapshot_that_was_cancelled_before_a_crash_is_not_gone_on_with() -> None:
    """The stored position may still know of it."""
    world = _world(route("live", window=8, secs=0.1))

    async def scene() -> None:
        life = await running(world)
        await _half_read(world)
        await life.crash()
        world.cancel("@" + _records(world)[0].id)
        assert world.stored("live").snapshot is not None
        seen = len(documents(world, "live"))
        life = await running(world)
        await load(world, until=anyio.current_time() + 5.0, per_sec=10)
        await world.all_passed()
        assert len(documents(world, "live")) == seen
        await life.stop()
        assert world.stored("live").snapshot is None

    world.play(scene)
    assert all(reader.start.snapshot is None for reader in world.source.readers[1:])


def test_a_finished_snapshot_whose_record_still_runs_ends_after_a_crash() -> None:
    """It is not begun again: the position says that it is finished, and is told so."""
    world = _world(route("live"))
    world.vault.troubles.append(StoreTrouble("away", start=0.1, end=9.0, calls=frozenset({"move_operation"})))

    async def scene() -> None:
        life = await running(world)
        await world.until(lambda: (found := world.stored("live").snapshot) and found.is_finished)
        await anyio.sleep(3.0)
        await life.crash()
        assert _records(world)[0].status is OperationStatus.RUNNING
        life = await running(world)
        record = await _over(world)
        await life.stop()
        assert record.status is OperationStatus.DONE

    world.play(scene)
    assert documents(world, "live") == KEYS


def test_a_document_that_is_a_dead_letter_is_not_sent_again_at_another_place() -> None:
    """The next reading finds it beyond places that are stored by then: it is known by its id."""
    bad = Trouble("rejecting", end=2.0)
    world = _world(route("live", bad, window=8, secs=0.1))

    async def scene() -> None:
        life = await running(world)
        await world.until(lambda: len(world.vault.letters) >= 10)
        for _ in range(3):
            await life.crash()
            changes(world, "abc", 10)
            life = await running(world)
            await anyio.sleep(0.7)
        record = await _over(world)
        await world.all_passed()
        await life.stop()
        assert record.status is OperationStatus.DONE

    world.play(scene)
    parked = {letter.event.key.decode() for letter in world.vault.letters.values()}
    assert parked.isdisjoint(documents(world, "live"))


def test_one_route_through_and_a_crash_do_not_begin_it_anew() -> None:
    """The record knows who is through, though it is not over, and nobody keeps a reader for it."""
    slow = route("slow", window=8, lanes=1, secs=0.4)
    world = _world(route("fast"), slow)

    async def scene() -> None:
        life = await running(world)
        await world.until(lambda: _records(world) and _records(world)[0].progress.through == ("fast",))
        await world.until(lambda: world.stored("fast").snapshot is None)
        await life.crash()
        life = await running(world)
        await _over(world)
        await life.stop()

    world.play(scene)
    assert documents(world, "fast") == KEYS


def test_a_replay_beside_it_is_not_disturbed() -> None:
    """And disturbs nothing."""
    world = _world(route("live", window=16, secs=0.02), plan=OLD)

    async def scene() -> None:
        life = await running(world)
        await load(world, until=5.0, per_sec=20)
        await world.all_passed()
        events = world.history.events
        wanted = world.snapshot("live")
        name = world.replay("live", world.first_position("live"), events[-1].position)
        await load(world, until=10.0, per_sec=20)
        await _over(world, wanted)
        await world.until(lambda: world.operation(name).status.is_over)
        await world.all_passed()
        await life.stop()
        assert world.operation(name).status is OperationStatus.DONE

    world.play(scene)
    assert set(documents(world, "live")) >= set(KEYS)


def test_a_drain_in_the_middle_keeps_the_place_exactly() -> None:
    """Nothing is read again."""
    world = _world(route("live", window=16, secs=0.05))

    async def scene() -> None:
        life = await running(world)
        for count in (20, 50, 80):
            await _half_read(world, count=count)
            await life.stop()
            life = await running(world)
        await _over(world)
        await life.stop()

    world.play(scene)
    assert documents(world, "live") == KEYS


def test_a_daemon_that_takes_over_goes_on_with_it() -> None:
    """The lease is lost in the middle; the other one finds all in the store."""
    world = _world(route("live", window=8, secs=0.1))

    async def scene() -> None:
        life = await running(world)
        await _half_read(world)
        world.vault.usurp(NAME, secs=2.0)
        await life.over.wait()
        heir = world.begin(instance="another")
        await _over_at(world, heir)
        await heir.stop()

    world.play(scene)
    assert set(documents(world, "live")) == set(KEYS)
    assert len(documents(world, "live")) < 2 * len(KEYS)


async def _over_at(world: World, life: Life) -> None:
    await world.until(lambda: life.subscription.state == "running")
    await _over(world)


def test_a_route_takes_one_snapshot_at_a_time() -> None:
    """The second waits, and says for which; both are read in full."""
    world = _world(route("live", secs=0.05), plan=OLD)

    async def scene() -> None:
        life = await running(world)
        first, second = world.snapshot("live"), world.snapshot("live")
        record = world.vault.operations
        await world.until(lambda: record[second].problem == f"waits for snapshot {first} of route live")
        await world.until(lambda: record[first].status.is_over)
        assert not record[second].status.is_over
        await _over(world, second)
        await life.stop()

    world.play(scene)
    assert documents(world, "live") == sorted(KEYS + KEYS)


@pytest.mark.parametrize(
    "start", [RouteStart("subscription"), RouteStart("time", time=ClusterTime(FIRST_SECOND, 0))]
)
def test_a_route_that_is_told_where_to_begin_begins_there(start: RouteStart) -> None:
    """`start` wins: who asks for changes of the past gets them, and no documents."""
    world = _world(RoutePlan("live", route("live").target, start=start))

    async def scene() -> None:
        life = await running(world)
        await load(world, until=3.0, per_sec=20)
        await world.all_passed()
        await life.stop()

    world.play(scene)
    assert (documents(world, "live"), _records(world)) == ([], [])


def test_a_route_that_is_added_while_another_reads_documents_reads_its_own() -> None:
    """A route that begins where another stands takes nothing of that one's snapshot."""
    added = route("added")
    told = RoutePlan("told", route("told").target, start=RouteStart("subscription"))
    world = _world(route("live", window=8, secs=0.1), added, told)

    async def scene() -> None:
        life = world.begin(routes=["live"])
        await _half_read(world)
        await life.stop()
        life = world.begin()
        await world.until(lambda: len(_records(world)) == 2)
        await world.until(lambda: all(one.status.is_over for one in _records(world)))
        await load(world, until=anyio.current_time() + 3.0, per_sec=20)
        await world.all_passed()
        await life.stop()

    world.play(scene)
    assert set(documents(world, "added")) == set(documents(world, "live")) == set(KEYS)
    assert documents(world, "told") == []


def test_what_the_source_will_not_read_is_told() -> None:
    """The operation fails with its words; the route never notices."""
    world = _world(route("live"), plan=OLD)
    world.source.refusal = "a capped collection cannot be read at a moment"

    async def scene() -> None:
        life = await running(world)
        wanted = world.snapshot("live")
        record = await _over(world, wanted)
        assert (record.status, record.problem) == (OperationStatus.FAILED, world.source.refusal)
        await load(world, until=8.0, per_sec=20)
        await world.all_passed()
        await life.stop()

    world.play(scene)
    assert len(delivered(world, "live")) == len(world.history.events)


def test_a_route_that_catches_up_is_lent_the_reader_of_a_snapshot() -> None:
    """A snapshot may take hours; it loses nothing by a pause."""
    plan = WorldPlan(pace=PACE, catch_up=CatchUpPolicy(max_readers=1, quantum_secs=3.0))
    late = route("late", Trouble("unavailable", start=2.0, end=4.0), window=8)
    many = [f"doc-{number:04}" for number in range(1500)]
    world = _world(route("reading"), late, route("ok"), plan=plan, keys=many)

    async def scene() -> None:
        life = await running(world)
        world.snapshot("reading")
        await load(world, until=15.0, per_sec=10, keys="abc")
        live = life.subscription.routes
        assert not _records(world)[0].status.is_over
        assert live["late"].flow is live["ok"].flow
        await _over(world)
        await life.stop()

    world.play(scene)
    assert set(documents(world, "reading")) >= set(many)


def test_a_route_that_joins_while_only_a_snapshot_is_read_gets_a_flow_of_its_own() -> None:
    """Nobody joins the reading of a snapshot: it is never the main flow."""
    other = RoutePlan("other", route("other").target, start=RouteStart("subscription"))
    world = _world(route("live", window=8, secs=0.1), other)
    world.pause("other")

    async def scene() -> None:
        life = await running(world)
        await _half_read(world)
        world.resume("other")
        await load(world, until=anyio.current_time() + 2.0, per_sec=10, keys="abc")
        assert not _records(world)[0].status.is_over
        await world.until(lambda: not world.ledgers["other"].is_missing_something())
        await _over(world)
        await world.all_passed()
        await life.stop()

    world.play(scene)
    assert documents(world, "other") == []


def test_snapshots_take_turns_where_readers_are_few() -> None:
    """With one reader beside the main one, two of them and a route that catches up all come to their end."""
    plan = WorldPlan(
        pace=PACE, snapshot=SnapshotMode.INITIAL, catch_up=CatchUpPolicy(max_readers=1, quantum_secs=2.0)
    )
    down = Trouble("unavailable", start=1.0, end=3.0)
    plans = [
        route("one", window=8, secs=0.1),
        route("two", window=8, secs=0.3),
        route("late", down, window=8),
    ]
    world = _world(*plans, plan=plan)

    async def scene() -> None:
        life = await running(world)
        await load(world, until=20.0, per_sec=10, keys="abc")
        await _over(world)
        await world.all_passed()
        await life.stop()

    world.play(scene)
    assert world.source.most_readers <= 2
    assert all(set(documents(world, name)) >= set(KEYS) for name in world.routes)
