"""The only writer of positions: one conditional write for all routes of all subscriptions of the daemon.

It renews the leases with the same write. Where a lease is lost, or could not be renewed for its length, the
subscription's scope is cancelled and nothing more is written for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import structlog

from eventbus.errors import LeaseLost, Unreachable, said
from eventbus.model import Position
from eventbus.runtime.route import Route
from eventbus.state.store import Lease, Save, Store
from eventbus.telemetry import metrics, progress

__all__ = ["Saver"]

log = structlog.get_logger("eventbus.saver")

_IDLE_SAVE_SECS = 10.0
"""A save moves the stream's own idle position when the state lies on the same replica set; so positions that
moved without an event are not worth a write more often."""

_RETRY_SECS = 0.1
"""Between tries of the last save."""


@dataclass(slots=True)
class _Kept:
    """A subscription whose routes are being saved."""

    lease: Lease
    routes: Mapping[str, Route]
    scope: anyio.CancelScope
    renewed_at: float
    saved_at: float
    positions: dict[str, Position] = field(default_factory=dict)
    settled: dict[str, int] = field(default_factory=dict)
    lost: str | None = None
    ending: bool = False

    def settled_now(self) -> dict[str, int]:
        """By route: the routes of operations come and go, and a sum could be the same by chance."""
        return {name: route.settled_events for name, route in self.routes.items()}

    def lose(self, reason: str) -> None:
        self.lost = reason
        self.scope.cancel()


class Saver:
    """Keeps positions and leases of all subscriptions that run here.

    Args:
        store: Where they are kept.
        lease_secs: How long a lease lasts without renewal; it is renewed every third of that.
        every_secs: How often positions are saved while events are being settled.
    """

    def __init__(self, store: Store, *, lease_secs: float = 15.0, every_secs: float = 1.0) -> None:
        self._store = store
        self._lease_secs = lease_secs
        self._every_secs = every_secs
        self._kept: list[_Kept] = []
        self._lock = anyio.Lock()
        self._failing = False
        self.unsaved: set[str] = set()
        """Subscriptions whose last positions could not be written: some of their events will come again."""
        self.ticked_at = 0.0
        """When the last round began, in seconds of the loop's clock: a sign of life."""

    @property
    def round_secs(self) -> float:
        """How long it rests between two rounds."""
        return min(self._every_secs, self._lease_secs / 5)

    async def run(self) -> None:
        """Save what moved, until cancelled."""
        with progress.reported("the saver"):
            while True:
                progress.expected(self.round_secs)
                self.ticked_at = anyio.current_time()
                await self._save([kept for kept in self._kept if self._is_due(kept, self.ticked_at)])
                await anyio.sleep(self.round_secs)

    @asynccontextmanager
    async def keeping(
        self,
        lease: Lease,
        routes: Mapping[str, Route],
        *,
        renewed_at: float,
        keeps_lease: Callable[[], bool] = lambda: False,
    ) -> AsyncIterator[None]:
        """Save these routes while the body runs, once more when it ends, then give the lease back.

        The body is cancelled when the lease is lost.

        Args:
            lease: What every write is conditional on.
            routes: What is saved; the body may add to it.
            renewed_at: When the lease was asked for.
            keeps_lease: Asked at the end whether the lease is not to be given back.

        Raises:
            LeaseLost: The lease was lost; nothing was written since.
        """
        with anyio.CancelScope() as scope:
            kept = _Kept(lease, routes, scope, renewed_at=renewed_at, saved_at=anyio.current_time())
            self._kept.append(kept)
            self.unsaved.discard(lease.subscription)  # what an earlier life left has come again by now
            metrics.lease_held(lease.subscription, held=True)
            try:
                yield
            finally:
                # Bounded and shielded: what was delivered must be remembered even when we are cancelled.
                with anyio.move_on_after(self._lease_secs / 3, shield=True) as patience:
                    await self._end(kept, keeps_lease)
                if patience.cancelled_caught:
                    self.unsaved.add(lease.subscription)
                    log.error("positions_not_saved", subscription=lease.subscription)
                self._kept.remove(kept)
                metrics.lease_held(lease.subscription, held=False)
        if kept.lost is not None:
            raise LeaseLost(kept.lost)

    async def begin(self, lease: Lease, positions: Mapping[str, Position]) -> None:
        """Make the first positions of routes durable, before anything is read for them.

        Raises:
            Unreachable: The store is away.
            LeaseLost: The lease was lost; nothing is written any more.
        """
        (held,) = await self._store.save([Save(lease, positions)], lease_secs=self._lease_secs)
        if not held:
            reason = _lost_to_another(lease)
            for kept in self._kept:
                if kept.lease == lease:
                    kept.lose(reason)
            raise LeaseLost(reason)

    async def _end(self, kept: _Kept, keeps_lease: Callable[[], bool]) -> None:
        kept.ending = True
        while not await self._save([kept]):  # noqa: ASYNC110 - each turn is a try of its own
            await anyio.sleep(_RETRY_SECS)
        if kept.lost is None and not keeps_lease():
            try:
                await self._store.release(kept.lease)
            except Unreachable as error:
                log.warning("lease_not_released", subscription=kept.lease.subscription, reason=str(error))

    def _is_due(self, kept: _Kept, now: float) -> bool:
        renewal_due = now - kept.renewed_at >= self._lease_secs / 3
        return kept.lost is None and (renewal_due or kept.settled_now() != kept.settled)

    async def _save(self, due: list[_Kept]) -> bool:
        """Write what moved; False if the store could not be asked."""
        async with self._lock:
            due = [kept for kept in due if kept.lost is None]
            if not due:
                return True
            begun = anyio.current_time()
            settled = [kept.settled_now() for kept in due]
            saves = [Save(kept.lease, self._moved(kept, begun)) for kept in due]
            held = await self._write(saves, self._patience(due, begun))
            if held is None:
                self._lose_expired(due)
                return False
            metrics.state_saved(anyio.current_time() - begun, ok=True)
            for kept, save, now_settled, still_held in zip(due, saves, settled, held, strict=True):
                if not still_held:
                    kept.lose(_lost_to_another(kept.lease))
                    continue
                kept.renewed_at = begun
                kept.settled = now_settled
                if save.positions:
                    kept.saved_at = begun
                    kept.positions.update(save.positions)
                    for name, position in save.positions.items():
                        if route := kept.routes.get(name):
                            route.saved(position)
            return True

    def _patience(self, due: list[_Kept], now: float) -> float:
        """How long a write may take: it must not keep us from seeing a lease run out."""
        left = min(kept.renewed_at for kept in due) + self._lease_secs - now
        return min(self._lease_secs / 3, max(left, self._every_secs))

    def _moved(self, kept: _Kept, now: float) -> dict[str, Position]:
        """Positions worth writing: any after an event was settled, idle ones only now and then."""
        idle = kept.settled_now() == kept.settled
        if idle and not kept.ending and now - kept.saved_at < _IDLE_SAVE_SECS:
            return {}
        marks = {name: route.watermark() for name, route in kept.routes.items()}
        return {name: mark for name, mark in marks.items() if mark != kept.positions.get(name)}

    async def _write(self, saves: list[Save], patience_secs: float) -> list[bool] | None:
        """Whether each lease still held; None if the store could not be asked."""
        problem = "it did not answer in time"
        with anyio.move_on_after(patience_secs):
            try:
                held = list(await self._store.save(saves, lease_secs=self._lease_secs))
            except Exception as error:  # noqa: BLE001 - whatever it is, the lease runs out and says so
                problem = said(error)
            else:
                if self._failing:
                    log.info("state_store_back")
                self._failing = False
                return held
        metrics.state_saved(0.0, ok=False)
        if not self._failing:
            log.warning("state_store_away", reason=problem)
        self._failing = True
        return None

    def _lose_expired(self, due: list[_Kept]) -> None:
        now = anyio.current_time()
        for kept in due:
            if now - kept.renewed_at >= self._lease_secs:
                kept.lose(f"the lease of {kept.lease.subscription} could not be renewed in time")


def _lost_to_another(lease: Lease) -> str:
    return f"the lease of {lease.subscription} is held by another daemon"
