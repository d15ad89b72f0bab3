"""Keeps every subscription running: each in its own task, started again after a fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import structlog

from eventbus.core.backoff import Backoff
from eventbus.errors import EventbusError, LeaseLost, first_cause
from eventbus.runtime.controls import Controls
from eventbus.runtime.headroom import Headroom
from eventbus.runtime.route import Route
from eventbus.runtime.saver import Saver
from eventbus.runtime.subscription import Subscription, SubscriptionSpec
from eventbus.state.store import Store
from eventbus.telemetry import metrics

__all__ = ["SubscriptionStatus", "Supervisor"]

log = structlog.get_logger("eventbus.supervisor")

_STEADY_SECS = 60.0
"""A life longer than this was no crash loop: the next restart waits little again."""


@dataclass(frozen=True, slots=True)
class SubscriptionStatus:
    """What a subscription is doing, for people and for readiness.

    Args:
        name: Its name.
        state: starting, standby, running, draining, stopped or crashed.
        problems: What keeps it from being ready; empty when it is.
        circuits: Why a route's circuit is not closed, by name of the route.
        paused: Why a route is paused, by name of the route.
        snapshots: How far a route's snapshot has come, by name of the route.
        headroom: How far each route is ahead of what the source forgets, by its name.
        watermarks: The second of cluster time up to which everything is settled, by name of the route.
    """

    name: str
    state: str
    problems: Sequence[str]
    circuits: dict[str, str]
    paused: dict[str, str]
    snapshots: dict[str, str]
    headroom: dict[str, Any] = field(default_factory=dict)
    watermarks: dict[str, int] = field(default_factory=dict)

    @property
    def is_ready(self) -> bool:
        """Whether it runs, or stands by for a daemon that runs it, and lacks nothing."""
        return self.state in {"running", "standby"} and not self.problems


class Supervisor:
    """Runs subscriptions until asked to stop.

    Args:
        specs: What to run.
        store: Where their state is.
        saver: Who writes their positions.
        lease_secs: How long a lease lasts.
        headroom_warning_secs: Below which headroom a warning is written.
    """

    def __init__(
        self,
        specs: Sequence[SubscriptionSpec],
        store: Store,
        saver: Saver,
        *,
        lease_secs: float,
        headroom_warning_secs: float = 3600.0,
    ) -> None:
        self._specs = specs
        self._store = store
        self._saver = saver
        self._controls = Controls(store)
        self._lease_secs = lease_secs
        self._lives: dict[str, Subscription] = {}
        self._faults: dict[str, str] = {}
        self._stopping = anyio.Event()
        sources = {spec.name: spec.source for spec in specs}
        self._headroom = Headroom(sources, self._running, warn_below_secs=headroom_warning_secs)

    async def run(self) -> None:
        """Run all of them until each has drained after `stop`."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._saver.run)
            tasks.start_soon(self._controls.run)
            tasks.start_soon(self._headroom.run)
            async with anyio.create_task_group() as lives:
                for spec in self._specs:
                    lives.start_soon(self._keep_running, spec)
            tasks.cancel_scope.cancel()

    def stop(self) -> None:
        """Ask every subscription for its drain."""
        self._stopping.set()
        for life in self._lives.values():
            life.stop()

    def statuses(self) -> list[SubscriptionStatus]:
        """What each subscription is doing."""
        return [self._status(spec) for spec in self._specs]

    async def _keep_running(self, spec: SubscriptionSpec) -> None:
        backoff = Backoff(1.0, 30.0)
        reclaim = True
        while not self._stopping.is_set():
            life = Subscription(
                spec,
                self._store,
                self._saver,
                self._controls,
                lease_secs=self._lease_secs,
                reclaim=reclaim,
            )
            reclaim = False
            self._lives[spec.name] = life
            begun = anyio.current_time()
            fault = await self._live(life)
            if fault is None and life.begins_anew:
                continue
            if fault is None:
                return
            self._faults[spec.name] = fault
            metrics.subscription_restarted(spec.name)
            if anyio.current_time() - begun > _STEADY_SECS:
                backoff.reset()
            with anyio.move_on_after(backoff.next()):
                await self._stopping.wait()

    async def _live(self, life: Subscription) -> str | None:
        """One life; why it ended, or None if it was asked to."""
        bound = log.bind(subscription=life.spec.name)
        try:
            await life.run()
        except Exception as error:  # noqa: BLE001 - the boundary where a crash is made visible and ends
            cause = first_cause(error)
            life.state = "crashed"
            if isinstance(cause, LeaseLost):
                bound.warning("lease_lost", reason=str(cause))
            elif isinstance(cause, EventbusError):
                bound.error("subscription_failed", reason=str(cause))
            else:
                bound.error("subscription_crashed", exc_info=cause)
            return f"{type(cause).__name__}: {cause}"
        return None

    def _running(self) -> Mapping[str, Mapping[str, Route]]:
        return {name: life.routes for name, life in self._lives.items() if life.state == "running"}

    def _status(self, spec: SubscriptionSpec) -> SubscriptionStatus:
        life = self._lives.get(spec.name)
        if life is None:
            return SubscriptionStatus(spec.name, "starting", ["not started yet"], {}, {}, {})
        problems = [problem for problem in (life.waiting_for, life.trouble) if problem]
        if life.state == "crashed":
            problems.append(self._faults.get(spec.name, "crashed"))
        if life.state != "standby":
            problems += [
                f"route {name}: {route.sink.waiting_for}"
                for name, route in spec.routes.items()
                if route.sink.waiting_for
            ]
        problems += [
            f"route {name}: {route.not_ours}"
            for name, route in life.routes.items()
            if route.not_ours and not route.sink.waiting_for
        ]
        problems += [f"route {name}: {route.lost}" for name, route in life.routes.items() if route.lost]
        circuits = {name: route.circuit_reason for name, route in life.routes.items() if route.circuit_reason}
        paused = {name: route.paused for name, route in life.routes.items() if route.paused}
        watermarks = {
            name: time.seconds
            for name, route in life.routes.items()
            if not route.is_replay and (time := route.watermark().cluster_time) is not None
        }
        snapshots = {
            name: f"{snapshot.read} of {snapshot.total} documents read"
            for name, route in life.routes.items()
            if (snapshot := route.watermark().snapshot) is not None
        }
        return SubscriptionStatus(
            spec.name,
            life.state,
            problems,
            circuits,
            paused,
            snapshots,
            self._headroom.of(spec.name),
            watermarks,
        )
