"""One subscription under its lease: routes with their positions, the flows that feed them, the drain.

Flows and routes run inside the saver's scope, so the saver outlives every delivery and no settlement can
arrive late. Imports no event loop: it runs under a virtual clock in tests.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, TypeVar

import anyio
import structlog

from eventbus.core.backoff import until_reachable
from eventbus.core.holds import Hold
from eventbus.errors import Unreachable
from eventbus.model import DeadLetter, Position
from eventbus.runtime.arrangement import CatchUpPolicy
from eventbus.runtime.controls import Controls
from eventbus.runtime.copies import CopiesTo
from eventbus.runtime.feeding import Feeding, Supply
from eventbus.runtime.forwarding import Forwarding
from eventbus.runtime.holding import Holding
from eventbus.runtime.letters import LiveLetters
from eventbus.runtime.moves import carry_out_moves, moves_of
from eventbus.runtime.operations import Operations
from eventbus.runtime.pausing import Pausing
from eventbus.runtime.policy import RoutePolicy
from eventbus.runtime.recovery import Recovery
from eventbus.runtime.route import Route
from eventbus.runtime.saver import Saver
from eventbus.runtime.shared_sink import SharedSink
from eventbus.runtime.snapshot_records import without_ended
from eventbus.runtime.snapshots import Snapshots
from eventbus.runtime.start import RouteStart, fresh_positions
from eventbus.runtime.takeover import Takeover, parked_beyond
from eventbus.sdk import Encoder, Source, Stage
from eventbus.state.operations import Control
from eventbus.state.store import Lease, Store
from eventbus.telemetry import notices

__all__ = ["RouteSpec", "Subscription", "SubscriptionSpec"]

_OPENING_SECS = 1.0
"""So long at most the routes of a subscription wait for one whose sink neither opens nor fails."""

_MOVE_DRAIN_SECS = 5.0
"""How long open tickets may take where a life ends only for another to begin: the routes wait for it."""

T = TypeVar("T")

log = structlog.get_logger("eventbus.subscription")


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """What a route is made from.

    Args:
        sink: Where its events go.
        encoder: What its messages look like.
        policy: Its patience and its size.
        replay_encoder: What messages of a replay look like, by the id of the operation.
        start: Where it begins if it has no position yet.
        copies_to: Where its dead letters are copied to, and what the copies look like.
        exactly_once: Whether its sink's target keeps its position, in one transaction with its messages.
        is_critical: Whether the daemon is unready while the route lacks something.
    """

    sink: SharedSink
    encoder: Encoder
    policy: RoutePolicy
    replay_encoder: Callable[[str], Encoder]
    start: RouteStart = field(default_factory=RouteStart)
    copies_to: CopiesTo | None = None
    exactly_once: bool = False
    is_critical: bool = True


@dataclass(frozen=True, slots=True)
class SubscriptionSpec:
    """What a subscription is made from.

    Args:
        name: Its name, the unit of lease.
        source: Where its changes come from.
        routes: Where they go, by name of the route.
        stages: What happens on the way.
        catch_up: How patient flows are, and what catching up may cost.
        drain_timeout_secs: How long open tickets may take at the end.
        letter_stages: What happens to dead letters that are sent again.
    """

    name: str
    source: Source
    routes: Mapping[str, RouteSpec]
    stages: Sequence[Stage] = ()
    catch_up: CatchUpPolicy = field(default_factory=CatchUpPolicy)
    drain_timeout_secs: float = 25.0
    letter_stages: Sequence[Stage] = ()

    async def close(self) -> None:
        """Release what stages hold."""
        for stage in self.stages:
            close = getattr(stage, "close", None)
            if close is not None:
                await close()


class Subscription:
    """One life of a subscription: from the lease to the drain, or to a fault.

    Args:
        spec: What it is made from.
        store: Where its state is.
        saver: Who writes positions.
        controls: Who knows what operators want.
        lease_secs: How long a lease lasts.
        reclaim: Whether a lease that an earlier process of this instance left may be taken over at once.
        rng: Where jitter comes from.
    """

    def __init__(
        self,
        spec: SubscriptionSpec,
        store: Store,
        saver: Saver,
        controls: Controls,
        *,
        lease_secs: float = 15.0,
        reclaim: bool = False,
        rng: Random | None = None,
    ) -> None:
        self.spec = spec
        self.state = "starting"
        """What it is doing, for people: starting, standby, running, draining or stopped."""
        self.waiting_for: str | None = None
        """What it cannot go on without at the moment, for people."""
        self.running_since: float | None = None
        """When its routes began to be fed, in seconds of the loop's clock."""
        self.begins_anew = False
        """Whether it ends because an operator moved a position: another life is to begin at once."""
        self.kept_lease: Lease | None = None
        """The lease that it did not give back, since the next life of this daemon takes it over."""
        self.routes: dict[str, Route] = {}
        """The live routes, and those of the operations that are under way."""
        self._store = store
        self._saver = saver
        self._controls = controls
        self._lease_secs = lease_secs
        self._reclaim = reclaim
        self._rng = rng or Random()
        self._stopping = anyio.Event()
        self._keeps_lease = False
        self._drain_secs = spec.drain_timeout_secs
        self._forwardings = {
            name: Forwarding(spec.name, name, route.policy, route.copies_to, store, rng=self._rng)
            for name, route in spec.routes.items()
            if route.copies_to is not None
        }
        supply = Supply(spec.source.reader, spec.stages)
        recovery = Recovery(spec.name, spec.source, store)
        self._feeding = Feeding(spec.name, spec.catch_up, supply, recovery)
        self._pausing = Pausing(spec.name, store)
        self._log = log.bind(subscription=spec.name)

    @property
    def trouble(self) -> str | None:
        """Why something cannot be read at the moment, for people."""
        return self._feeding.trouble

    def stop(self, *, keeps_lease: bool = False) -> None:
        """Ask for the drain: stop reading, finish open tickets, save, release.

        Args:
            keeps_lease: Whether the lease is not to be released. The last word counts until it would be.
        """
        self._keeps_lease = keeps_lease
        self._stopping.set()

    async def run(self) -> None:
        """Hold the lease and carry changes until asked to stop.

        Raises:
            LeaseLost: Somebody else runs it now.
            ConfigurationError: The source or a sink refuses.
        """
        had = await self._unless_stopping(self._await_lease)
        if had is None:
            return
        lease, leased_at = had

        def keeps_lease() -> bool:
            self.kept_lease = lease if self._keeps_lease else None
            return self._keeps_lease

        keeping = self._saver.keeping(lease, self.routes, renewed_at=leased_at, keeps_lease=keeps_lease)
        async with keeping, anyio.create_task_group() as tasks:
            # Kept from here on, since waiting for the source may take longer than the lease lasts.
            if await self._unless_stopping(lambda: self._patiently(lambda: self._make_routes(lease))):
                for route in self.routes.values():
                    tasks.start_soon(route.run)
                for forwarding in self._forwardings.values():
                    tasks.start_soon(forwarding.run)
                tasks.start_soon(self._pausing.run)
                await self._carry(lease)
            tasks.cancel_scope.cancel()
        self.state = "stopped"

    async def _carry(self, lease: Lease) -> None:
        """Feed the routes until the stop, then wait for what can still be finished."""
        operations = Operations(
            self.spec,
            self._store,
            self._saver,
            lease,
            self.routes,
            self._feeding,
            park=self._park,
            ask_for_pause=self._pausing.ask,
            rng=self._rng,
        )

        snapshots = Snapshots(self.spec, self._store, lease, self.routes, self._feeding)
        moved: set[str] = set()

        def obey(control: Control) -> None:
            moved.update(operation.route for operation in moves_of(control))
            if moved:
                self._begin_anew()
            self._obey_pauses(control)
            operations.obey(control.operations)
            snapshots.obey(control.operations)

        works = [snapshots.run]
        if any(route.policy.holds_keys for route in self.spec.routes.values()):
            works.append(Holding(self.spec.name, self._store, self.routes).run)
        beside = _beside(*works)
        async with self._feeding.running(), operations.running(), beside:
            await self._sinks_tried()
            self._feeding.add(*self.routes.values())
            self.state, self.running_since = "running", anyio.current_time()
            self._log.info("subscription_started", routes=sorted(self.routes))
            notices.subscription_started(self.spec.name)
            with self._controls.obeyed(self.spec.name, obey):
                await self._stopping.wait()
            self.state = "draining"
            self._feeding.stop()
            with anyio.move_on_after(self._drain_secs) as patience:
                for route in [route for route in self.routes.values() if route.name not in moved]:
                    await route.drained()
        open_events = {name: route.open_events for name, route in self.routes.items() if route.open_events}
        self._log.info("subscription_drained", open_events=open_events, timed_out=patience.cancelled_caught)

    async def _sinks_tried(self) -> None:
        """Give sinks a moment to open: a route that begins after the others has to read by itself."""
        with anyio.move_on_after(_OPENING_SECS):
            for route in self.routes.values():
                await route.sink.tried()

    def _begin_anew(self) -> None:
        if not self._stopping.is_set():
            self.begins_anew = True
            self._drain_secs = min(self._drain_secs, _MOVE_DRAIN_SECS)
            self._stopping.set()

    def _obey_pauses(self, control: Control) -> None:
        for name, route in self.routes.items():
            live = name.partition("@")[0]
            reason = self._pausing.asked(live) or control.pause_of(live)
            if reason is not None and route.paused is None:
                route.pause(reason)
                self._log.info("route_paused", route=name, reason=reason)
                if name == live:
                    notices.route_paused(self.spec.name, name, reason)
            elif reason is None and route.paused is not None:
                route.resume()
                self._log.info("route_resumed", route=name)
            if reason is None and name == live:
                notices.route_resumed(self.spec.name, name)

    async def _await_lease(self) -> tuple[Lease, float]:
        """The lease, and the moment from which on it surely lasts."""
        while True:
            lease, asked_at = await self._patiently(self._ask_for_lease)
            self._reclaim = False
            if lease is not None:
                notices.lease_taken_over(self.spec.name, stood_by=self.state == "standby")
                return lease, asked_at
            if self.state != "standby":
                self._log.info("subscription_standing_by")
            self.state = "standby"
            await anyio.sleep(self._lease_secs / 5)

    async def _ask_for_lease(self) -> tuple[Lease | None, float]:
        asked_at = anyio.current_time()
        lease = await self._store.acquire(self.spec.name, lease_secs=self._lease_secs, reclaim=self._reclaim)
        return lease, asked_at

    async def _start_positions(self, lease: Lease) -> Mapping[str, Position]:
        """Stored positions, as operators moved them; those of new routes are stored before the first read."""
        control = await self._controls.of(self.spec.name)
        await carry_out_moves(control, self.spec.routes, self._store, self._saver, lease)
        stored = await self._store.positions(self.spec.name)
        fresh = await fresh_positions(self.spec, stored)
        if fresh:
            await self._saver.begin(lease, fresh)
        return await without_ended(self._store, {**stored, **fresh})

    async def _make_routes(self, lease: Lease) -> bool:
        """Make each route at its position, aware of what it parked beyond; True, once it is done."""
        positions = await self._start_positions(lease)
        control = await self._controls.of(self.spec.name)
        routes = {}
        for name, spec in self.spec.routes.items():
            start = positions[name]
            routes[name] = Route(
                subscription=self.spec.name,
                name=name,
                sink=spec.sink,
                encoder=spec.encoder,
                policy=spec.policy,
                start=start,
                parked=await self._store.parked_after(self.spec.name, name, parked_beyond(start)),
                changed=self._feeding.changed,
                letters=await self._letters(name),
                held=await self._held(name) if spec.policy.holds_keys else {},
                takeover=self._takeover(name, lease) if spec.exactly_once else None,
                ask_for_pause=partial(self._pausing.ask, name),
                rng=self._rng,
            )
        self.routes.update(routes)
        self._obey_pauses(control)
        return True

    def _takeover(self, route: str, lease: Lease) -> Takeover:
        transactions = self.spec.routes[route].sink.transactions(f"{self.spec.name}/{route}")
        return Takeover(route, transactions, self._store, self._saver, lease)

    async def _letters(self, route: str) -> LiveLetters:
        dead = await self._store.dead_key_hashes(self.spec.name, route)
        return LiveLetters(self._store, self.spec.name, route, dead, park=self._park)

    async def _park(self, letters: Sequence[DeadLetter]) -> None:
        """Make dead letters durable, and have those copied that a dead-letter sink is to get."""
        await self._store.park(letters)
        for letter in letters:
            forwarding = self._forwardings.get(letter.route.partition("@")[0])
            if forwarding is not None:
                forwarding.parked(letter.event.token)

    async def _held(self, route: str) -> Mapping[bytes, Hold]:
        found = await self._store.held_keys(self.spec.name, route)
        return {key.key: Hold(key.first, key.token) for key in found}

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call until the server that it needs is there, and say what is being waited for."""
        result = await until_reachable(call, on_failure=self._report_waiting)
        self.waiting_for = None
        return result

    def _report_waiting(self, error: Unreachable) -> None:
        if self.waiting_for != str(error):
            self._log.warning("subscription_waited", reason=str(error))
        self.waiting_for = str(error)

    async def _unless_stopping(self, call: Callable[[], Awaitable[T]]) -> T | None:
        """Make a call, but give it up when asked to stop."""
        result: T | None = None
        async with anyio.create_task_group() as tasks:

            async def give_up() -> None:
                await self._stopping.wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(give_up)
            result = await call()
            tasks.cancel_scope.cancel()
        return result


@asynccontextmanager
async def _beside(*works: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Have something done while the body runs."""
    async with anyio.create_task_group() as tasks:
        for work in works:
            tasks.start_soon(work)
        yield
        tasks.cancel_scope.cancel()
