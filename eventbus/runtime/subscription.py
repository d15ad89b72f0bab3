"""One subscription under its lease: routes with their positions, the flow that feeds them, the drain.

The flow and the routes run inside the saver's scope, so the saver outlives every delivery and no settlement
can arrive late. Imports no event loop: it runs under a virtual clock in tests.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

import anyio
import structlog

from eventbus.core.backoff import until_reachable
from eventbus.core.signal import Signal
from eventbus.errors import LeaseLost, Unreachable
from eventbus.model import Position
from eventbus.runtime.flow import Flow
from eventbus.runtime.letters import OnlyParked
from eventbus.runtime.policy import RoutePolicy
from eventbus.runtime.route import Route
from eventbus.runtime.saver import Saver
from eventbus.runtime.shared_sink import SharedSink
from eventbus.sdk import Encoder, Source, Stage
from eventbus.state.store import Lease, Save, Store

__all__ = ["RouteSpec", "Subscription", "SubscriptionSpec"]

T = TypeVar("T")

log = structlog.get_logger("eventbus.subscription")


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """What a route is made from."""

    sink: SharedSink
    encoder: Encoder
    policy: RoutePolicy


@dataclass(frozen=True, slots=True)
class SubscriptionSpec:
    """What a subscription is made from.

    Args:
        name: Its name, the unit of lease.
        source: Where its changes come from.
        routes: Where they go, by name of the route.
        stages: What happens on the way.
        drain_timeout_secs: How long open tickets may take at the end.
    """

    name: str
    source: Source
    routes: Mapping[str, RouteSpec]
    stages: Sequence[Stage] = ()
    drain_timeout_secs: float = 25.0


class Subscription:
    """One life of a subscription: from the lease to the drain, or to a fault.

    Args:
        spec: What it is made from.
        store: Where its state is.
        saver: Who writes positions.
        lease_secs: How long a lease lasts.
        reclaim: Whether a lease that an earlier process of this instance left may be taken over at once.
        rng: Where jitter comes from.
    """

    def __init__(
        self,
        spec: SubscriptionSpec,
        store: Store,
        saver: Saver,
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
        self.routes: dict[str, Route] = {}
        self._flow: Flow | None = None
        self._store = store
        self._saver = saver
        self._lease_secs = lease_secs
        self._reclaim = reclaim
        self._rng = rng or Random()
        self._stopping = anyio.Event()
        self._changed = Signal()
        self._log = log.bind(subscription=spec.name)

    @property
    def trouble(self) -> str | None:
        """Why nothing can be read at the moment, for people."""
        return self._flow.trouble if self._flow is not None else None

    def stop(self) -> None:
        """Ask for the drain: stop reading, finish open tickets, save, release."""
        self._stopping.set()

    async def run(self) -> None:
        """Hold the lease and carry changes until asked to stop.

        Raises:
            LeaseLost: Somebody else runs it now.
            PositionLost: The source no longer has what comes next.
            ConfigurationError: The source or a sink refuses.
        """
        had = await self._unless_stopping(self._await_lease)
        if had is None:
            return
        lease, leased_at = had
        keeping = self._saver.keeping(lease, self.routes, renewed_at=leased_at)
        async with keeping, anyio.create_task_group() as tasks:
            # Kept from here on, since waiting for the source may take longer than the lease lasts.
            if await self._unless_stopping(lambda: self._patiently(lambda: self._make_routes(lease))):
                for route in self.routes.values():
                    tasks.start_soon(route.run)
                await self._carry()
            tasks.cancel_scope.cancel()
        self.state = "stopped"

    async def _carry(self) -> None:
        """Run the flow until the stop, then wait for what can still be finished."""
        start = min((route.admitted for route in self.routes.values()), key=lambda position: position.token)
        flow = Flow(
            self.spec.name,
            self.spec.source.reader(start),
            start,
            self.spec.stages,
            list(self.routes.values()),
            self._changed,
        )
        self._flow = flow
        self.state = "running"
        self._log.info("subscription_started", routes=sorted(self.routes))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._flow_until_end, flow)
            await self._stopping.wait()
            self.state = "draining"
            await flow.close()
            with anyio.move_on_after(self.spec.drain_timeout_secs) as patience:
                for route in self.routes.values():
                    await route.drained()
            tasks.cancel_scope.cancel()
        open_events = {name: route.open_events for name, route in self.routes.items() if route.open_events}
        self._log.info("subscription_drained", open_events=open_events, timed_out=patience.cancelled_caught)

    async def _flow_until_end(self, flow: Flow) -> None:
        await flow.run()
        if not self._stopping.is_set():
            raise AssertionError("the reader ended though nobody closed it")

    async def _await_lease(self) -> tuple[Lease, float]:
        """The lease, and the moment from which on it surely lasts."""
        while True:
            lease, asked_at = await self._patiently(self._ask_for_lease)
            self._reclaim = False
            if lease is not None:
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
        """Stored positions; a route without one begins now, and that is stored before the first read."""
        stored = await self._store.positions(self.spec.name)
        missing = [name for name in self.spec.routes if name not in stored]
        positions = {name: stored[name] for name in self.spec.routes if name in stored}
        if missing:
            now = await self.spec.source.now()
            fresh = dict.fromkeys(missing, now)
            (held,) = await self._store.save([Save(lease, fresh)], lease_secs=self._lease_secs)
            if not held:
                raise LeaseLost(f"the lease of {self.spec.name} was lost before the start")
            positions |= fresh
        return positions

    async def _make_routes(self, lease: Lease) -> bool:
        """Make each route at its position, aware of what it parked beyond; True, once it is done."""
        positions = await self._start_positions(lease)
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
                parked=await self._store.parked_after(self.spec.name, name, start.token),
                letters=OnlyParked(self._store.park),
                changed=self._changed,
                rng=self._rng,
            )
        self.routes.update(routes)
        return True

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
