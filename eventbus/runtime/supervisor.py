"""Keeps every subscription running: each in its own task, started again after a fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import anyio
import structlog

from eventbus.core.backoff import Backoff
from eventbus.errors import EventbusError, LeaseLost, first_cause
from eventbus.runtime.controls import Controls
from eventbus.runtime.headroom import Headroom
from eventbus.runtime.route import Route
from eventbus.runtime.saver import Saver
from eventbus.runtime.status import Ending, SubscriptionStatus, status_of
from eventbus.runtime.subscription import Subscription, SubscriptionSpec
from eventbus.state.store import Store
from eventbus.telemetry import metrics

__all__ = ["Supervisor"]

log = structlog.get_logger("eventbus.supervisor")

_STEADY_SECS = 60.0
"""A life longer than this was no crash loop: the next restart waits little again."""


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
        self._endings: dict[str, Ending] = {}
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
        return [
            status_of(
                spec,
                self._lives.get(spec.name),
                self._endings.get(spec.name),
                self._headroom.of(spec.name),
            )
            for spec in self._specs
        ]

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
            ending = await self._live(life)
            if ending is None and life.begins_anew:
                continue
            if ending is None:
                return
            self._endings[spec.name] = ending
            metrics.subscription_restarted(spec.name)
            if anyio.current_time() - begun > _STEADY_SECS:
                backoff.reset()
            with anyio.move_on_after(backoff.next()):
                await self._stopping.wait()

    async def _live(self, life: Subscription) -> Ending | None:
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
            reason = f"{type(cause).__name__}: {cause}"
            return Ending(reason, is_crash=not isinstance(cause, LeaseLost))
        return None

    def _running(self) -> Mapping[str, Mapping[str, Route]]:
        return {name: life.routes for name, life in self._lives.items() if life.state == "running"}
