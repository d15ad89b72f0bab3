"""Keeps every subscription running: each in its own task, begun anew after a fault or with another spec."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import anyio
import structlog
from anyio.abc import TaskGroup

from eventbus.core.backoff import Backoff
from eventbus.errors import EventbusError, LeaseLost, Unreachable, first_cause
from eventbus.runtime.controls import Controls
from eventbus.runtime.headroom import Headroom
from eventbus.runtime.route import Route
from eventbus.runtime.saver import Saver
from eventbus.runtime.status import Ending, SubscriptionStatus, status_of
from eventbus.runtime.subscription import Subscription, SubscriptionSpec
from eventbus.state.store import Lease, Store
from eventbus.telemetry import metrics, notices

__all__ = ["Supervisor"]

log = structlog.get_logger("eventbus.supervisor")

_STEADY_SECS = 60.0
"""A life longer than this was no crash loop: the next restart waits little again."""


@dataclass(slots=True)
class _Seat:
    """The place of one subscription: what it is made from, and its life."""

    spec: SubscriptionSpec
    leaving: anyio.Event = field(default_factory=anyio.Event)
    """No other life is to begin here."""
    over: anyio.Event = field(default_factory=anyio.Event)
    life: Subscription | None = None
    ending: Ending | None = None

    def leave(self, *, keeps_lease: bool) -> None:
        self.leaving.set()
        if self.life is not None:
            self.life.stop(keeps_lease=keeps_lease)

    @property
    def kept_lease(self) -> Lease | None:
        return self.life.kept_lease if self.life is not None else None


class Supervisor:
    """Runs subscriptions until asked to stop.

    Args:
        specs: What to run first.
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
        self._seats = {spec.name: _Seat(spec) for spec in specs}
        self._store = store
        self._saver = saver
        self._controls = Controls(store)
        self._lease_secs = lease_secs
        self._tasks: TaskGroup | None = None
        self._stopping = anyio.Event()
        self._sources = {spec.name: spec.source for spec in specs}
        self._headroom = Headroom(self._sources, self._running, warn_below_secs=headroom_warning_secs)

    async def run(self) -> None:
        """Run all of them until each has drained after `stop`."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._saver.run)
            tasks.start_soon(self._controls.run)
            tasks.start_soon(self._headroom.run)
            async with anyio.create_task_group() as self._tasks:
                for seat in self._seats.values():
                    self._tasks.start_soon(partial(self._keep_running, seat, reclaim=True))
            tasks.cancel_scope.cancel()

    def stop(self) -> None:
        """Ask all of them to drain."""
        self._stopping.set()
        for seat in self._seats.values():
            seat.leave(keeps_lease=False)

    @property
    def is_stopping(self) -> bool:
        """Whether it was asked to stop, so that nothing begins any more."""
        return self._stopping.is_set()

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[None]:
        """Go on while the body runs, even if every subscription has ended for a moment."""
        assert self._tasks is not None
        done = anyio.Event()
        self._tasks.start_soon(done.wait)
        try:
            yield
        finally:
            done.set()

    async def end(self, name: str) -> None:
        """Have a subscription drain, and see it end. `replace` or `remove` comes next.

        It keeps its lease, so that nobody takes it in between.
        """
        seat = self._seats[name]
        seat.leave(keeps_lease=not self.is_stopping)
        await seat.over.wait()

    async def replace(self, spec: SubscriptionSpec) -> None:
        """Begin a subscription that has ended anew, made from something else."""
        kept = self._seats[spec.name].kept_lease
        if self.is_stopping:
            await self._release(kept)
            return
        self._begin(spec, reclaim=kept is not None)

    async def remove(self, name: str) -> None:
        """Forget a subscription that has ended; what is stored of it stays."""
        await self._release(self._seats[name].kept_lease)
        del self._seats[name], self._sources[name]

    def add(self, spec: SubscriptionSpec) -> None:
        """Begin one more subscription."""
        if not self.is_stopping:
            metrics.lease_held(spec.name, held=False)
            self._begin(spec, reclaim=False)

    def statuses(self) -> list[SubscriptionStatus]:
        """What each subscription is doing."""
        return [
            status_of(seat.spec, seat.life, seat.ending, self._headroom.of(seat.spec.name))
            for seat in self._seats.values()
        ]

    def _begin(self, spec: SubscriptionSpec, *, reclaim: bool) -> None:
        assert self._tasks is not None
        seat = self._seats[spec.name] = _Seat(spec)
        self._sources[spec.name] = spec.source
        self._tasks.start_soon(partial(self._keep_running, seat, reclaim=reclaim))

    async def _release(self, lease: Lease | None) -> None:
        if lease is None:
            return
        try:
            await self._store.release(lease)
        except Unreachable as error:
            log.warning("lease_not_released", subscription=lease.subscription, reason=str(error))

    async def _keep_running(self, seat: _Seat, *, reclaim: bool) -> None:
        try:
            await self._run_lives(seat, reclaim=reclaim)
        finally:
            seat.over.set()

    async def _run_lives(self, seat: _Seat, *, reclaim: bool) -> None:
        backoff = Backoff(1.0, 30.0)
        while not seat.leaving.is_set():
            life = seat.life = Subscription(
                seat.spec,
                self._store,
                self._saver,
                self._controls,
                lease_secs=self._lease_secs,
                reclaim=reclaim,
            )
            reclaim = False
            begun = anyio.current_time()
            ending = await self._live(life)
            if ending is None and life.begins_anew:
                continue
            if ending is None:
                return
            seat.ending = ending
            metrics.subscription_restarted(seat.spec.name)
            if anyio.current_time() - begun > _STEADY_SECS:
                backoff.reset()
            with anyio.move_on_after(backoff.next()):
                await seat.leaving.wait()

    async def _live(self, life: Subscription) -> Ending | None:
        """One life; why it ended, or None if it was asked to."""
        bound = log.bind(subscription=life.spec.name)
        try:
            await life.run()
        except Exception as error:  # noqa: BLE001 - the boundary where a crash is made visible and ends
            cause = first_cause(error)
            life.state = "crashed"
            reason = f"{type(cause).__name__}: {cause}"
            if isinstance(cause, LeaseLost):
                bound.warning("lease_lost", reason=str(cause))
                notices.lease_lost(life.spec.name, str(cause))
                return Ending(reason, is_crash=False)
            if isinstance(cause, EventbusError):
                bound.error("subscription_failed", reason=str(cause))
            else:
                bound.error("subscription_crashed", exc_info=cause)
            notices.subscription_crashed(life.spec.name, _told(cause))
            return Ending(reason, is_crash=True)
        if life.running_since is not None and not life.begins_anew:
            notices.subscription_stopped(life.spec.name)
        return None

    def _running(self) -> Mapping[str, Mapping[str, Route]]:
        return {
            name: seat.life.routes
            for name, seat in self._seats.items()
            if seat.life is not None and seat.life.state == "running"
        }


def _told(cause: BaseException) -> str:
    """Why a subscription ended, for others than readers of the log: a foreign error may hold anything."""
    return str(cause) if isinstance(cause, EventbusError) else f"{type(cause).__name__}, see the log"
