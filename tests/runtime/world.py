"""A world for the engine in virtual time: a source, targets and a store that outlive every daemon.

The engine is the real one; its neighbours are fakes, since virtual time is the seam at which real servers
cannot stand. They are made to be nasty, and every step is held against the invariants of the design:

(i) everything at or before a stored position is delivered, parked or filtered on that route;
(ii) first deliveries of a key are in source order, and nothing overtakes a barrier in either direction;
(iii) what is open never exceeds the window, by count and by bytes;
(iv) after a crash no more is delivered again than the window and what was settled since the last checkpoint;
and nothing is delivered again within a life, nor after a drain; a dead letter has its good reason.

A crash is a moment from which on nothing that the life still does takes effect; only then is it cancelled.
A check never raises where it finds fault, since the engine would take that for a fault of a sink; it ends the
world instead.

Real servers, real kills and real signals are the matter of the end-to-end tests.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf
from random import Random
from typing import Any

import anyio
import structlog
from anyio.abc import TaskGroup

from eventbus.errors import LeaseLost, first_cause
from eventbus.model import DeadLetter, Event, Message, Outcome, Position, Retry
from eventbus.runtime.arrangement import CatchUpPolicy
from eventbus.runtime.controls import Controls
from eventbus.runtime.copies import CopiesTo
from eventbus.runtime.gap_events import names_gap
from eventbus.runtime.policy import Ordering, RoutePolicy
from eventbus.runtime.saver import Saver
from eventbus.runtime.shared_sink import SharedSink
from eventbus.runtime.start import RouteStart
from eventbus.runtime.subscription import RouteSpec, Subscription, SubscriptionSpec
from eventbus.sdk import OnPositionLost, SnapshotMode, SourcePolicy, Stage
from eventbus.state.gaps import Gap
from eventbus.state.operations import Operation, OperationKind, OperationStatus
from eventbus.state.store import LetterStatus, Save
from tests.runtime.clock import run_virtual
from tests.runtime.committing import CommittingSink
from tests.runtime.history import Fate, FateStage, History, Pace, SimulatedReader, SimulatedSource
from tests.runtime.ledger import Arrival, RouteLedger, Stay
from tests.runtime.target import FaultySink, RouteTag, Target
from tests.runtime.vault import MemoryStore, Vault, Witness

__all__ = ["Life", "RoutePlan", "World", "WorldPlan"]

NAME = "orders"
_MAX_STEPS = 200_000
_LOOK_SECS = 0.25


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """A route of the world's subscription; routes of one target share its sink."""

    name: str
    target: Target
    policy: RoutePolicy = field(default_factory=RoutePolicy)
    start: RouteStart = field(default_factory=RouteStart)
    copies: Target | None = None
    exactly_once: bool = False


@dataclass(frozen=True, slots=True)
class WorldPlan:
    """What does not change in a world.

    Args:
        seed: Decides every latency and the order of tasks.
        pace: How the source is read.
        stages: The pipeline; by default the one that filters and parks what is destined for it.
        catch_up: How patient flows are, and what catching up may cost.
        lease_secs: How long a lease lasts.
        every_secs: How often positions are saved.
        drain_timeout_secs: How long a drain may take.
        store_secs: The longest way to the store or back.
        snapshot: When documents that are there already are read.
        policy: What becomes of positions that the source loses.
    """

    seed: int = 0
    pace: Pace = field(default_factory=Pace)
    stages: Sequence[Stage] = field(default_factory=lambda: [FateStage()])
    catch_up: CatchUpPolicy = field(default_factory=CatchUpPolicy)
    lease_secs: float = 15.0
    every_secs: float = 1.0
    drain_timeout_secs: float = 25.0
    store_secs: float = 0.002
    snapshot: SnapshotMode = SnapshotMode.NEVER
    policy: SourcePolicy = field(default_factory=SourcePolicy)


class World:
    """Everything that outlives a daemon, and the account of what daemons do to it.

    Args:
        routes: The routes of the subscription.
        plan: What else holds.
        sinks: The bounds of shared sinks, by name.
    """

    def __init__(
        self,
        routes: Sequence[RoutePlan],
        plan: WorldPlan | None = None,
        *,
        sinks: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.plan = plan or WorldPlan()
        self.sinks = sinks or {}
        self.routes = {route.name: route for route in routes}
        self.rng = Random(self.plan.seed)
        self.history = History()
        self.vault = Vault()
        policy = replace(self.plan.policy, snapshot=self.plan.snapshot)
        self.source = SimulatedSource(self.history, self.plan.pace, self.rng, self._polled, policy)
        self.ledgers = {
            route.name: RouteLedger(
                route.name,
                route.policy,
                self.history,
                self.violated,
                has_letters=partial(self._has_letters, route.name),
                gaps=partial(self._gaps, route.name),
                exactly_once=route.exactly_once,
            )
            for route in routes
        }
        self.lives: list[Life] = []
        self.violations: list[str] = []
        self.copies: list[Event] = []
        self.copy_calls: list[int] = []
        """How many messages each call to a dead-letter sink had."""
        self._steps = 0
        self._pulse = anyio.Event()
        self._running: Collection[str] = self.routes
        self._tasks: TaskGroup | None = None

    def play(self, scene: Callable[[], Awaitable[None]], *, within_secs: float = 3600.0) -> None:
        """Play a scene from second 0; lives that it leaves running are killed at its end.

        Raises:
            AssertionError: A rule was broken, the scene itself failed, or it was not over in time.
        """

        async def whole() -> None:
            async with anyio.create_task_group() as self._tasks:
                await scene()
                for life in self.lives:
                    await life.crash()

        fault: BaseException | None = None
        configured = structlog.get_config()
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        try:
            run_virtual(whole, seed=self.plan.seed, within_secs=within_secs)
        except Exception as error:
            fault = first_cause(error)
        finally:
            structlog.configure(**configured)
        if self.violations:
            raise AssertionError("\n".join(self.violations[:5]))
        if fault is not None:
            missing = {name: ledger.missing() for name, ledger in self.ledgers.items() if ledger.missing()}
            raise AssertionError(f"{type(fault).__name__}: {fault}; missing: {missing}") from fault

    def change(
        self, key: str | None, *, size: int = 1, fate: Fate = Fate.DELIVER, operation: str = "update"
    ) -> Event:
        """Something happens at the source; without a key it is a barrier."""
        return self.history.change(key, size=size, fate=fate, operation=operation)

    def begin(
        self, *, instance: str = "a daemon", reclaim: bool = True, routes: Collection[str] | None = None
    ) -> Life:
        """Start a daemon, with all routes or some of them."""
        assert self._tasks is not None
        self._running = self.routes if routes is None else routes
        life = Life(self, len(self.lives), instance, reclaim=reclaim, routes=self._running)
        self.lives.append(life)
        self._tasks.start_soon(life.run)
        return life

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something holds; it is looked at after every step of the world, and now and then."""
        while not condition():
            with anyio.move_on_after(_LOOK_SECS):
                await self._pulse.wait()

    async def all_passed(self) -> None:
        """Wait until every event has found its end on every live route."""
        live = [self.ledgers[name] for name in self.routes]
        await self.until(lambda: all(ledger.owed_after for ledger in live))
        await self.until(lambda: not any(ledger.is_missing_something() for ledger in live))

    def pause(self, route: str, reason: str = "by hand") -> None:
        """An operator wants a route paused; ``*`` stands for all."""
        self.vault.paused.setdefault(NAME, {})[route] = reason

    def resume(self, route: str) -> None:
        """An operator wants it to go on."""
        del self.vault.paused[NAME][route]

    def replay(self, route: str, start: Position, until: Position) -> str:
        """An operator wants a stretch of history sent once more; the name under which it is kept."""
        number = f"{len(self.vault.operations):04x}"
        operation = Operation(number, OperationKind.REPLAY, NAME, route, start=start, until=until)
        self.vault.operations[number] = operation
        name = operation.stored_route
        self.ledgers[name] = RouteLedger(
            name, self.routes[route].policy, self.history, self.violated, until=until.token
        )
        return name

    def replay_letters(self, route: str, kind: OperationKind = OperationKind.DEAD_LETTERS) -> str:
        """An operator wants the dead letters of a route sent once more; the name under which it is kept."""
        number = f"{len(self.vault.operations):04x}"
        operation = Operation(number, kind, NAME, route, routes=(route,))
        self.vault.operations[number] = operation
        return self.keep_account(operation)

    def snapshot(self, *routes: str, below: str | None = None) -> str:
        """An operator wants documents on routes, all or those of lower keys; the operation's id."""
        number = f"{len(self.vault.operations):04x}"
        match = {} if below is None else {"below": below}
        operation = Operation(number, OperationKind.SNAPSHOT, NAME, "*", routes=routes, match=match)
        self.vault.operations[number] = operation
        since = self.history.idle().token
        for route in routes:
            self.ledgers[route].readings.wanted(number, since, scope=(below or "").encode())
        return number

    def keep_account(self, operation: Operation) -> str:
        """Keep the account of an operation on dead letters; the name under which it is kept."""
        name, route = operation.stored_route, operation.route
        if operation.kind is OperationKind.SNAPSHOT:
            return name  # the accounts of live routes have it

        def owes(event: Event) -> bool:
            identity = (NAME, route, event.id)
            letter = self.vault.letters.get(identity)
            if letter is None:
                return False
            fate = self.vault.fate(identity)
            waits = letter.held_behind is not None
            is_meant = waits == (operation.kind is OperationKind.RELEASE)
            is_new = fate.status is LetterStatus.PARKED and is_meant
            return fate.operation == operation.id or is_new

        self.ledgers[name] = RouteLedger(
            name, self.routes[route].policy, self.history, self.violated, owes=owes
        )
        return name

    def _gaps(self, route: str) -> list[Gap]:
        return [gap for gap in self.vault.gaps.values() if gap.route == route]

    def _has_letters(self, route: str, key: bytes) -> bool:
        return any(
            letter.event.key == key and self.vault.fate(identity).status is LetterStatus.PARKED
            for identity, letter in self.vault.letters.items()
            if identity[1] == route
        )

    def operation(self, name: str) -> Operation:
        """The record of an operation, as it is stored."""
        return self.vault.operations[name.partition("@")[2]]

    def cancel(self, name: str) -> None:
        """An operator wants no more of it."""
        stored = self.operation(name)
        self.vault.operations[stored.id] = stored.moved(OperationStatus.CANCELLED, stored.progress)

    def first_position(self, route: str) -> Position:
        """Where a route began."""
        return self.source.position(str(self.ledgers[route].owed_after))

    def violated(self, text: str) -> None:
        """A rule is broken: remember it and end the world."""
        self.violations.append(f"{anyio.current_time():.3f} s, life {len(self.lives) - 1}: {text}")
        if self._tasks is not None:
            self._tasks.cancel_scope.cancel()

    def check_gap(self, gap: Gap) -> None:
        """Only what is gone may be given up, and what the policy says beside it."""
        if gap.start.token not in self.source.lost:
            self.violated(f"{gap.route}: a gap is recorded from {gap.start.token} on, where nothing was lost")
        if gap.policy in {"stop", "oldest"} and gap.end.token > self.source.most_forgotten:
            self.violated(f"{gap.route}: a gap is recorded up to {gap.end.token}, beyond what is gone")
        if gap.policy == OnPositionLost.SNAPSHOT:
            snapshot_id = names_gap(gap.subscription, gap.start, gap.end, size=5)
            self.ledgers[gap.route].readings.wanted(snapshot_id, gap.end.token)

    def step(self) -> None:
        """Something happened; too much of it means that the engine runs in a circle."""
        self._steps += 1
        for life in self.lives:
            life.look()
        if self._steps > _MAX_STEPS:
            self.violated("the engine runs in a circle")
        self._pulse.set()
        self._pulse = anyio.Event()

    def stored(self, route: str) -> Position:
        """The route's durable position."""
        return self.vault.positions[NAME][route]

    def _polled(self, reader: SimulatedReader) -> None:
        """Nothing may be read before every route's start is durable."""
        self.step()
        if missing := set(self._running) - set(self.vault.positions.get(NAME, {})):
            self.violated(f"the source is read before the start of {sorted(missing)} is stored")


class Copies:
    """Takes what a dead-letter sink gets; see `Answers`."""

    def __init__(self, world: World) -> None:
        self._world = world

    def opening(self) -> None:
        """See `Answers`."""

    def sending(self, route: str, messages: Sequence[Message]) -> None:
        """See `Answers`."""
        self._world.copy_calls.append(len(messages))

    def arrived(self, route: str, event: Event) -> None:
        """See `Answers`."""
        self._world.copies.append(event)

    def answered(self, route: str, messages: Sequence[Message], outcomes: Sequence[Outcome]) -> None:
        """See `Answers`."""

    def misused(self, text: str) -> None:
        """See `Answers`."""
        self._world.violated(text)


class Life(Witness):
    """One daemon, from its start to its stop, its crash or the loss of its lease.

    Args:
        world: Where it lives.
        number: Which life it is.
        instance: The daemon's name.
        reclaim: Whether it takes over what an earlier life of the same name left.
        routes: Names of the routes that it runs.
    """

    def __init__(
        self, world: World, number: int, instance: str, *, reclaim: bool, routes: Collection[str]
    ) -> None:
        plan = world.plan
        self.number = number
        self.is_dead = False
        self.fault: BaseException | None = None
        self.over = anyio.Event()
        self.refusals = 0
        self._world = world
        self._scope = anyio.CancelScope()
        self._stays: dict[str, Stay] = {}
        self._drain_ends = inf
        self._cannot_progress: set[str] = set()
        self.store = MemoryStore(
            world.vault, instance, lambda: self.is_dead, self, world.rng, latency_secs=plan.store_secs
        )
        self.saver = Saver(self.store, lease_secs=plan.lease_secs, every_secs=plan.every_secs)
        self.controls = Controls(self.store)
        self.subscription = Subscription(
            SubscriptionSpec(
                NAME,
                world.source,
                self._route_specs(routes),
                plan.stages,
                plan.catch_up,
                plan.drain_timeout_secs,
            ),
            self.store,
            self.saver,
            self.controls,
            lease_secs=plan.lease_secs,
            reclaim=reclaim,
            rng=world.rng,
        )

    async def run(self) -> None:
        """Live."""
        with self._scope:
            try:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self.saver.run)
                    tasks.start_soon(self.controls.run)
                    await self.subscription.run()
                    tasks.cancel_scope.cancel()
            except Exception as error:
                self.fault = first_cause(error)
        if self.fault is not None and not isinstance(self.fault, LeaseLost) and not self.is_dead:
            self._world.violated(f"crashed: {self.fault!r}")
        self._end()

    async def crash(self) -> None:
        """Kill it: from now on nothing of it takes effect."""
        if not self.over.is_set():
            self._check_crash()
            self.is_dead = True
            self._scope.cancel()
            await self.over.wait()

    async def stop(self) -> None:
        """Ask it to drain, and see it end."""
        self._drain_ends = anyio.current_time() + self._world.plan.drain_timeout_secs
        self.subscription.stop()
        await self.over.wait()

    def look(self) -> None:
        """While it drains, remember the routes that it need not wait for: their sinks are down."""
        if self.subscription.state == "draining":
            routes = self.subscription.routes.items()
            down = {
                name
                for name, route in routes
                if route.circuit_reason or route.sink.waiting_for or route.paused
            }
            self._cannot_progress |= down

    # What its sinks and its store tell

    def opening(self) -> None:
        """See `Answers`."""
        self._world.step()

    def sending(self, route: str, messages: Sequence[Message]) -> None:
        """See `Answers`."""
        self._world.step()
        stay = self.stay(route)
        for message in messages:
            self._world.ledgers[route].sending(stay, message.event, anyio.current_time())
        keys = {message.event.key for message in messages}
        is_ordered = self._world.routes[route.partition("@")[0]].policy.ordering is not Ordering.NONE
        if is_ordered and (both := keys & stay.under_way):
            self._world.violated(f"{route}: two attempts at once with {both}")
        stay.under_way |= keys

    def arrived(self, route: str, event: Event) -> None:
        """See `Answers`."""
        self._world.step()
        arrival = Arrival(anyio.current_time(), self.number, event)
        route_now = self.subscription.routes.get(route)
        if route_now is not None:  # else it is a replay that was cancelled while the message was under way
            self._world.ledgers[route].arrived(self.stay(route), arrival, route_now)

    def answered(self, route: str, messages: Sequence[Message], outcomes: Sequence[Outcome]) -> None:
        """See `Answers`."""
        stay = self.stay(route)
        failed: set[bytes] = set()
        for message, outcome in zip(messages, outcomes, strict=True):
            key = message.event.key
            stay.under_way.discard(key)
            # Behind one of its key that failed it was not tried: nobody asked to wait with it.
            asked_at = None if key in failed else anyio.current_time()
            self._world.ledgers[route].answered(stay, message.event, outcome, asked_at)
            if isinstance(outcome, Retry):
                failed.add(key)

    def misused(self, text: str) -> None:
        """See `Answers`."""
        self._world.violated(text)

    def asked_to_save(self, saves: Sequence[Save]) -> None:
        """See `Witness`."""
        self._world.step()
        if self.refusals and self.subscription.routes:
            self._world.violated("it writes on though its lease is lost")
        asked = {name for save in saves for name in save.positions}
        stored = self._world.vault.positions.get(NAME, {})
        for name, route in self.subscription.routes.items():
            is_stored = name in stored and stored[name].token == route.watermark().token
            if name in asked or is_stored:  # the first position of a replay is written by itself
                self.stay(name).settled_when_asked = route.settled_events

    def saved(self, subscription: str, positions: Mapping[str, Position]) -> None:
        """See `Witness`."""
        self._world.step()
        for name, position in positions.items():
            self._world.ledgers[name].saved(position)
        for name, route in self.subscription.routes.items():
            stay = self.stay(name)
            stay.settled_at_checkpoint = stay.settled_when_asked
            self._world.ledgers[name].check_window(stay, route)

    def refused(self, subscription: str) -> None:
        """See `Witness`."""
        self._world.step()
        self.refusals += 1

    def asked_for(self, operation: Operation) -> None:
        """See `Witness`."""
        self._world.keep_account(operation)

    def moved(self, operation: Operation) -> None:
        """See `Witness`."""
        self._world.step()
        if operation.kind is OperationKind.SNAPSHOT:
            for name in operation.progress.through:
                if missing := self._world.ledgers[name].readings.missing(operation.id):
                    self._world.violated(f"{name}: snapshot {operation.id} is through without {missing}")

    def recorded(self, gap: Gap) -> None:
        """See `Witness`: only what is gone may be given up, and no more of it than the policy says."""
        self._world.step()
        self._world.check_gap(gap)

    def parked(self, letters: Sequence[DeadLetter]) -> None:
        """See `Witness`."""
        self._world.step()
        for letter in letters:
            self._world.ledgers[letter.route].parked(self.stay(letter.route), letter)

    def stay(self, route: str) -> Stay:
        """What this life did on a route."""
        if route not in self._stays:
            letters = frozenset(self._world.ledgers[route].letters)
            self._stays[route] = Stay(set_aside=letters)
        return self._stays[route]

    def _copies(self, route: RoutePlan) -> CopiesTo | None:
        if route.copies is None:
            return None
        sink = FaultySink(route.copies, lambda: self.is_dead, Copies(self._world), self._world.rng)
        limits = self._world.sinks.get(route.copies.name, {})
        return CopiesTo(SharedSink(sink, **limits), lambda *_: (RouteTag("copies"), ()))

    @staticmethod
    def _replay_tag(route: str, operation: str) -> RouteTag:
        return RouteTag(f"{route}@{operation}")

    def _end(self) -> None:
        if not self.is_dead:
            if self.fault is None:
                self._check_drained()
            else:
                self._check_crash()
        self.is_dead = True
        self.over.set()
        self._world.step()

    def _check_crash(self) -> None:
        for name, route in self.subscription.routes.items():
            if name in self._world.vault.positions[NAME]:
                self._world.ledgers[name].check_crash(self.stay(name), route, self._world.stored(name))

    def _check_drained(self) -> None:
        last_save_secs = self._world.plan.lease_secs / 3
        if self._world.vault.was_in_trouble("save", since=anyio.current_time() - last_save_secs):
            return  # what could not be saved in time will be delivered again
        timed_out = anyio.current_time() >= self._drain_ends
        for name, route in self.subscription.routes.items():
            excused = timed_out or name in self._cannot_progress
            ledger = self._world.ledgers[name]
            ledger.check_drained(self.stay(name), route, self._world.stored(name), excused=excused)

    def _route_specs(self, names: Collection[str]) -> dict[str, RouteSpec]:
        world = self._world
        routes = [world.routes[name] for name in names]
        sinks: dict[str, SharedSink] = {}
        for route in routes:
            sink = CommittingSink(route.target, lambda: self.is_dead, self, world.rng)
            limits = world.sinks.get(route.target.name, {})
            sinks.setdefault(route.target.name, SharedSink(sink, **limits))
        return {
            route.name: RouteSpec(
                sinks[route.target.name],
                RouteTag(route.name),
                route.policy,
                partial(self._replay_tag, route.name),
                route.start,
                self._copies(route),
                exactly_once=route.exactly_once,
            )
            for route in routes
        }
