"""Random schedules for a world: what happens, what fails, when the daemon dies; and how one is played.

A schedule is a value: hypothesis shrinks it, and its text, pasted into a test, plays the same run again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

import anyio
from hypothesis import strategies as st

from eventbus.core.circuit import CircuitPolicy
from eventbus.errors import LeaseLost
from eventbus.model import Event
from eventbus.runtime.arrangement import CatchUpPolicy
from eventbus.runtime.policy import Ordering, RetryPolicy, RoutePolicy
from eventbus.sdk import OnPositionLost, SinkTraits, SnapshotMode, SourcePolicy
from eventbus.state.operations import OperationKind, OperationStatus
from tests.runtime.history import Fate, FateStage, Pace
from tests.runtime.target import Target, Trouble
from tests.runtime.vault import StoreTrouble
from tests.runtime.world import NAME, Life, RoutePlan, World, WorldPlan

__all__ = ["Change", "Ending", "RouteSchedule", "Schedule", "Verb", "play", "schedules"]

T = TypeVar("T")

HEALED_SECS = 30.0
"""From here on nothing misbehaves any more: everything must come to its end."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happens at the source.

    Args:
        gap_secs: After the last change.
        key: A document; None for a barrier.
        size: Its bytes.
        fate: What it is destined for.
        deletes: Whether the document is gone afterwards.
    """

    gap_secs: float
    key: str | None
    size: int
    fate: Fate
    deletes: bool = False


@dataclass(frozen=True, slots=True)
class RouteSchedule:
    """A route with the troubles of its target."""

    traits: SinkTraits
    policy: RoutePolicy
    troubles: tuple[Trouble, ...]
    secs: float
    exactly_once: bool = False


@dataclass(frozen=True, slots=True)
class Ending:
    """How a life ends.

    Args:
        kind: ``crash``, ``stop`` or ``usurp``: somebody else takes the lease.
        after_secs: How long the life lasts.
        reclaim: Whether the life took over at once what the one before it left.
    """

    kind: str
    after_secs: float
    reclaim: bool


@dataclass(frozen=True, slots=True)
class Verb:
    """What an operator does.

    Args:
        at_secs: When.
        kind: ``pause``, ``resume``, ``replay``, ``snapshot`` (on one route or on all), ``cancel`` (what was
            asked for last), or ``forget`` and ``recall``: the source loses the older part of its history, and
            has it again.
        route: Number of the route that it concerns.
        part: Where in the history, from 0 to 1: the beginning of a replay, or the end of what is forgotten.
            What is forgotten is given up, or waited for, as the schedule's policy says.
    """

    at_secs: float
    kind: str
    route: int
    part: float


@dataclass(frozen=True, slots=True)
class Schedule:
    """Everything that is decided before a world begins."""

    seed: int
    changes: tuple[Change, ...]
    routes: tuple[RouteSchedule, ...]
    endings: tuple[Ending, ...]
    store_troubles: tuple[StoreTrouble, ...]
    verbs: tuple[Verb, ...]
    catch_up: CatchUpPolicy
    batch: int
    stage_secs: float
    every_secs: float
    shared_sink: bool
    documents: tuple[tuple[str, Fate], ...] = ()
    snapshot: SnapshotMode = SnapshotMode.NEVER
    policy: SourcePolicy = field(default_factory=SourcePolicy)


def play(schedule: Schedule) -> World:
    """Play a schedule to its end, healed and drained, with every rule checked on the way.

    Raises:
        AssertionError: A rule was broken.
    """
    world = World(_route_plans(schedule), _world_plan(schedule))
    world.vault.troubles.extend(schedule.store_troubles)
    world.history.documents = dict(schedule.documents)
    happened = False

    async def happen() -> None:
        nonlocal happened
        for change in schedule.changes:
            await anyio.sleep(change.gap_secs)
            operation = "delete" if change.deletes else "update"
            world.change(change.key, size=change.size, fate=change.fate, operation=operation)
        happened = True

    async def act() -> None:
        for verb in sorted(schedule.verbs, key=lambda verb: verb.at_secs):
            await anyio.sleep_until(verb.at_secs)
            _act(world, verb)
        await anyio.sleep_until(HEALED_SECS)
        world.source.forgotten = ""
        for name in list(world.vault.paused.get(NAME, ())):
            world.resume(name)

    async def scene() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(happen)
            tasks.start_soon(act)
            for ending in schedule.endings:
                await _live(world, ending)
            await _live_to_the_end(world, lambda: happened and anyio.current_time() >= HEALED_SECS)

    world.play(scene, within_secs=HEALED_SECS + 600.0)
    return world


def _act(world: World, verb: Verb) -> None:
    """An operator acts. What would make no sense is left out."""
    name = f"route-{verb.route % len(world.routes)}"
    events = world.history.events
    place = events[int(verb.part * (len(events) - 1))].position if events else None
    match verb.kind:
        case "pause":
            world.pause(name)
        case "resume" if name in world.vault.paused.get(NAME, ()):
            world.resume(name)
        case "replay" if place is not None:
            world.replay(name, place, events[-1].position)
        case "snapshot":
            world.snapshot(*([name] if verb.part else world.routes), below="d5" if verb.part > 0.5 else None)
        case "cancel" if world.vault.operations:
            last = list(world.vault.operations.values())[-1]
            if not last.status.is_over:
                world.cancel(last.stored_route)
        case "forget" if place is not None:
            world.source.forgotten = place.token
        case "recall":
            world.source.forgotten = ""


async def _live(world: World, ending: Ending) -> None:
    life = world.begin(reclaim=ending.reclaim)
    with anyio.move_on_after(ending.after_secs):
        await life.over.wait()
    match ending.kind:
        case "stop":
            await _stop(world, life)
        case "usurp":
            world.vault.usurp(NAME, secs=5.0)
            with anyio.move_on_after(world.plan.lease_secs):
                await life.over.wait()
    await life.crash()


async def _live_to_the_end(world: World, healed: Callable[[], bool]) -> None:
    while True:
        life = world.begin()
        await world.until(partial(_is_over, world, life, healed))
        if not life.over.is_set():
            break
        assert isinstance(life.fault, LeaseLost)
    await _stop(world, life)
    for name in world.routes:
        assert world.stored(name).token == life.subscription.routes[name].admitted.token
        assert world.ledgers[name].missing() == []
        assert world.stored(name).snapshot is None
        world.ledgers[name].readings.check_last(world.ledgers[name].is_in_a_gap)
    for operation in world.vault.operations.values():
        assert operation.status.is_over
        if operation.status is OperationStatus.DONE and operation.kind is not OperationKind.SNAPSHOT:
            assert world.ledgers[operation.stored_route].missing() == []


async def _stop(world: World, life: Life) -> None:
    """A stop is bounded whatever hangs: by the drain, and by the time that the last save is given."""
    with anyio.fail_after(world.plan.drain_timeout_secs + world.plan.lease_secs / 3 + 1.0):
        await life.stop()


def _is_over(world: World, life: Life, healed: Callable[[], bool]) -> bool:
    routes = life.subscription.routes
    return life.over.is_set() or (
        healed()
        and bool(routes)
        and not any(world.ledgers[name].is_missing_something() for name in world.routes)
        and all(operation.status.is_over for operation in world.vault.operations.values())
        and not any(route.open_events or route.snapshot for route in routes.values())
    )


def _route_plans(schedule: Schedule) -> list[RoutePlan]:
    plans: list[RoutePlan] = []
    for number, route in enumerate(schedule.routes):
        target = Target(f"target-{number}", route.traits, list(route.troubles), route.secs)
        if plans and schedule.shared_sink:
            target = plans[0].target
        policy = _in_slices(route.policy) if route.exactly_once else route.policy
        plans.append(RoutePlan(f"route-{number}", target, policy, exactly_once=route.exactly_once))
    return plans


def _world_plan(schedule: Schedule) -> WorldPlan:
    return WorldPlan(
        seed=schedule.seed,
        pace=Pace(batch=schedule.batch, poll_secs=0.02, idle_secs=0.5, close_secs=0.3),
        stages=[FateStage(schedule.stage_secs)],
        every_secs=schedule.every_secs,
        drain_timeout_secs=10.0,
        catch_up=schedule.catch_up,
        snapshot=schedule.snapshot,
        policy=schedule.policy,
    )


def _many(one: st.SearchStrategy[T], least: int, most: int) -> st.SearchStrategy[tuple[T, ...]]:
    """Of a length that is as likely long as short; hypothesis by itself hardly ever makes long lists."""
    lengths = st.integers(least, most)
    return lengths.flatmap(lambda length: st.lists(one, min_size=length, max_size=length).map(tuple))


def _secs(most: float) -> st.SearchStrategy[float]:
    return st.integers(0, int(most * 100)).map(lambda hundredths: hundredths / 100)


_KEYS = ("k0", "k1", "k2", "k3", "k4")

_FATES: Sequence[Fate] = [Fate.DELIVER] * 12 + [Fate.FILTER, Fate.FORMLESS, Fate.PARK, Fate.UNENCODABLE]

_changes = st.builds(
    Change,
    gap_secs=st.sampled_from([0.0] * 8 + [0.01, 0.05, 0.3, 1.0]),
    key=st.sampled_from([*_KEYS * 5, None]),
    size=st.sampled_from([1, 1, 5, 20, 60]),
    fate=st.sampled_from(_FATES),
    deletes=st.sampled_from([False, False, False, True]),
)


@st.composite
def _troubles(draw: st.DrawFn) -> Trouble:
    kind = draw(
        st.sampled_from(
            [
                *("failing", "failing", "throttled", "lying", "lying", "rejecting", "rejecting"),
                *("unavailable", "unavailable", "busy", "busy", "unauthorised", "lost"),
                *("raising", "miscounting", "slow", "slow", "hanging", "closed"),
            ]
        )
    )
    start = draw(st.one_of(st.just(0.0), _secs(4)))
    return Trouble(
        kind,
        start=start,
        end=min(HEALED_SECS, start + draw(st.one_of(_secs(2), _secs(20)))),
        keys=draw(st.sampled_from([frozenset[str](), frozenset({"k0"}), frozenset({"k0", "k1"})])),
        times=draw(st.sampled_from([1, 2, 3, 10, 1_000_000])),
        secs=draw(st.sampled_from([0.05, 0.5, 3.0])),
    )


@st.composite
def _store_troubles(draw: st.DrawFn) -> StoreTrouble:
    start = draw(_secs(5))
    return StoreTrouble(
        draw(st.sampled_from(["away", "away", "hanging", "lost_answer", "late_answer"])),
        start=start,
        end=min(HEALED_SECS, start + draw(st.one_of(_secs(2), _secs(20)))),
        calls=draw(st.sampled_from([frozenset[str](), frozenset({"save"}), frozenset({"park"})])),
    )


_traits = st.builds(
    SinkTraits,
    lanes=st.integers(1, 4),
    max_batch=st.sampled_from([1, 3, 8, 50]),
    max_batch_bytes=st.sampled_from([30, 1 << 20]),
    keeps_order=st.booleans(),
    concurrency=st.sampled_from([None, None, 1, 2]),
)


def _is_small(event: Event) -> bool:
    """Urgent in these schedules, so that a key has urgent and normal events."""
    return event.size == 1


def _possible(policy: RoutePolicy) -> RoutePolicy:
    """Without what does not go together with its ordering."""
    if policy.ordering is Ordering.NONE:
        return replace(policy, holds_keys=False)
    return replace(policy, priority=None) if policy.ordering is Ordering.STRICT else policy


def _in_slices(policy: RoutePolicy) -> RoutePolicy:
    """With the order that slices have in any case."""
    return replace(policy, ordering=Ordering.STRICT, priority=None)


_policies = st.builds(
    RoutePolicy,
    retry=st.builds(
        RetryPolicy,
        attempts=st.integers(1, 4),
        initial_delay_secs=st.just(0.1),
        max_delay_secs=st.just(2.0),
        max_age_secs=st.sampled_from([None, None, 3.0]),
    ),
    circuit=st.builds(
        CircuitPolicy,
        failures=st.integers(1, 5),
        initial_open_secs=st.sampled_from([0.1, 1.0]),
        max_open_secs=st.just(5.0),
    ),
    window_events=st.sampled_from([1, 3, 8, 16, 40, 64, 64, 256]),
    window_size=st.sampled_from([30, 100, 1 << 20, 1 << 20]),
    lanes=st.sampled_from([None, 1, 3]),
    batch_events=st.sampled_from([None, None, 2]),
    batch_wait_secs=st.sampled_from([0.0, 0.0, 0.3]),
    priority=st.sampled_from([None, None, _is_small]),
    ordering=st.sampled_from([*[Ordering.KEY] * 4, Ordering.NONE, Ordering.STRICT]),
    rate_per_sec=st.sampled_from([None, None, None, 20.0]),
    concurrency=st.sampled_from([None, None, 1]),
    holds_keys=st.sampled_from([False, False, True]),
).map(_possible)

_routes = st.builds(
    RouteSchedule,
    traits=_traits,
    policy=_policies,
    troubles=_many(_troubles(), 0, 3),
    secs=st.sampled_from([0.0, 0.01, 0.2]),
    exactly_once=st.sampled_from([False, False, True]),
)

_endings = st.builds(
    Ending,
    kind=st.sampled_from(["crash", "crash", "stop", "usurp"]),
    after_secs=st.one_of(_secs(1), _secs(5)),
    reclaim=st.booleans(),
)

_documents = _many(
    st.tuples(st.sampled_from([*_KEYS, *(f"d{number}" for number in range(10))]), st.sampled_from(_FATES)),
    0,
    30,
)

_verbs = st.builds(
    Verb,
    at_secs=st.one_of(_secs(4), _secs(20)),
    kind=st.sampled_from(
        [
            *("pause", "pause", "resume", "resume", "replay", "replay", "snapshot", "snapshot"),
            *("cancel", "forget", "recall", "recall"),
        ]
    ),
    route=st.integers(0, 2),
    part=st.sampled_from([0.0, 0.0, 0.5, 0.9]),
)

_catch_up = st.builds(
    CatchUpPolicy,
    isolate_after_secs=st.sampled_from([0.05, 0.3, 0.3]),
    isolate_late_secs=st.sampled_from([0.5, 5.0]),
    max_readers=st.sampled_from([1, 2, 4]),
    quantum_secs=st.sampled_from([0.5, 5.0]),
    near_secs=st.sampled_from([0.0, 2.0]),
)

schedules = st.builds(
    Schedule,
    seed=st.integers(0, 2**32 - 1),
    changes=_many(_changes, 1, 80),
    routes=_many(_routes, 1, 3),
    endings=_many(_endings, 0, 4),
    store_troubles=_many(_store_troubles(), 0, 2),
    verbs=_many(_verbs, 0, 5),
    catch_up=_catch_up,
    batch=st.sampled_from([1, 4, 16, 64]),
    stage_secs=st.sampled_from([0.0, 0.0, 0.05]),
    every_secs=st.sampled_from([0.2, 1.0]),
    shared_sink=st.booleans(),
    documents=_documents,
    snapshot=st.sampled_from([SnapshotMode.NEVER, SnapshotMode.INITIAL]),
    policy=st.builds(
        SourcePolicy,
        on_position_lost=st.sampled_from(
            [OnPositionLost.STOP, OnPositionLost.OLDEST, OnPositionLost.NOW, OnPositionLost.SNAPSHOT]
        ),
        tells_gaps=st.sampled_from([True, True, False]),
    ),
)
