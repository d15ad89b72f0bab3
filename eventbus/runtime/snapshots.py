"""Begins snapshots on live routes, records how they come along, and ends them.

A snapshot is part of the position of each route that gets it, so it outlives every crash as positions do; its
record says that it is wanted, and tells people. A route that carries nothing of one that is wanted begins it:
one just asked for as well as one whose beginning, or place, was lost. So a route forgets a snapshot only once
its record says that the route is through with it, or that it is over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import anyio
import structlog

from eventbus.core.rounds import next_round
from eventbus.core.signal import Signal
from eventbus.errors import ConfigurationError, Unreachable
from eventbus.runtime.feeding import Feeding
from eventbus.runtime.operations import waits_for
from eventbus.runtime.route import Route
from eventbus.runtime.snapshot_records import record_of
from eventbus.sdk import SnapshotSource
from eventbus.state.operations import Operation, OperationKind, OperationStatus, Progress
from eventbus.state.store import Lease, Store

if TYPE_CHECKING:
    from eventbus.runtime.subscription import SubscriptionSpec

__all__ = ["Snapshots"]

log = structlog.get_logger("eventbus.operation")

_ROUND_SECS = 1.0
_PACE_ROUNDS = 60
"""The present pace is that of the last minute."""


@dataclass(slots=True)
class _Pace:
    """How many documents come each second."""

    seen: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=_PACE_ROUNDS))

    def per_sec(self, read: int) -> float | None:
        """The present pace, now that so many were read; None as long as none came."""
        now = anyio.current_time()
        if self.seen and read < self.seen[-1][1]:
            self.seen.clear()
        self.seen.append((now, read))
        since, before = self.seen[0]
        return (read - before) / (now - since) if read > before else None


class Snapshots:
    """The snapshots of one subscription that are under way here.

    Args:
        spec: The subscription.
        store: Where their records are.
        lease: What every write of a record is conditional on.
        routes: The routes that run.
        feeding: What feeds them.
    """

    def __init__(
        self,
        spec: SubscriptionSpec,
        store: Store,
        lease: Lease,
        routes: Mapping[str, Route],
        feeding: Feeding,
    ) -> None:
        self._spec = spec
        self._store = store
        self._lease = lease
        self._routes = routes
        self._feeding = feeding
        self._records: dict[str, Operation] = {}
        self._paces: dict[str, _Pace] = {}
        self._woken = Signal()
        self._log = log.bind(subscription=spec.name)

    def obey(self, wanted: Sequence[Operation]) -> None:
        """These are wanted. What is known of one here is newer than what was read of it in the store."""
        snapshots = [operation for operation in wanted if operation.kind is OperationKind.SNAPSHOT]
        for operation in snapshots:
            if operation.id not in self._records:
                bound = self._log.bind(operation=operation.id, route=operation.route)
                bound.info("operation_started", kind=operation.kind.value)
        self._records = {one.id: self._records.get(one.id, one) for one in snapshots}
        self._paces = {one.id: self._paces.get(one.id, _Pace()) for one in snapshots}
        if self._is_needed():
            self._woken.notify()

    async def run(self) -> None:
        """See them through until cancelled; what is not done then goes on in a later life."""
        while True:
            for snapshot_id, routes in self._carried().items():
                if snapshot_id not in self._records:
                    with self._patience():
                        await self._settle_unknown(snapshot_id, routes)
            for record in list(self._records.values()):
                if not record.status.is_over:
                    with self._patience():
                        await self._further(record)
            while not self._is_needed():  # `obey` looks as often as anything can become so
                await self._woken.wait()
            await next_round(_ROUND_SECS)

    def _is_needed(self) -> bool:
        return bool(self._records or self._carried())

    def _carried(self) -> Mapping[str, Sequence[Route]]:
        """The live routes by the snapshot that they carry."""
        found: dict[str, list[Route]] = {}
        for route in self._routes.values():
            if route.snapshot is not None and route.not_ours is None:
                found.setdefault(route.snapshot.id, []).append(route)
        return found

    async def _settle_unknown(self, snapshot_id: str, routes: Sequence[Route]) -> None:
        """Routes carry a snapshot that was not wanted when that was last read: it is new, or it is over."""
        record = await record_of(self._store, snapshot_id)
        if record is None:
            await self._store.add_operation(_adopted(self._spec.name, routes))
        elif record.status.is_over:
            for route in routes:
                self._feeding.forget_snapshot(route)
            if record.status is OperationStatus.CANCELLED:
                bound = self._log.bind(operation=record.id, route=record.route)
                bound.info("operation_cancelled")

    async def _further(self, record: Operation) -> None:
        """Begin it where it is not, record how far it has come, and let go of the routes that are through."""
        left = [
            self._routes[name]
            for name in record.routes
            if name in self._routes and name not in record.progress.through
        ]
        if not left and not record.progress.through:
            await self._move(record, OperationStatus.FAILED, problem=_no_route(record))
            return
        if problem := await self._begin(record, [route for route in left if _may_begin(route)]):
            await self._move(record, OperationStatus.FAILED, problem=problem)
            return
        through = [route for route in left if _is_through(route, record.id)]
        waiting = [route for route in left if route not in through]
        status = OperationStatus.RUNNING if waiting else OperationStatus.DONE
        progress = self._progress(record, left, through)
        if await self._move(record, status, progress, _waits_for(record, waiting)):
            self._let_go(record.id, progress.through)

    def _let_go(self, snapshot_id: str, names: Sequence[str]) -> None:
        """These are through; a crash may have come between their record and their forgetting."""
        for name in names:
            route = self._routes.get(name)
            if route is not None and route.not_ours is None and _of(route) == snapshot_id:
                self._feeding.forget_snapshot(route)

    async def _begin(self, record: Operation, routes: Sequence[Route]) -> str:
        """Put it into the positions of routes; why that cannot be done, or an empty text."""
        if not routes:
            return ""
        source = self._spec.source
        if not isinstance(source, SnapshotSource):
            return "the source can only tell changes, not what is there already"
        try:
            snapshot = await source.begin_snapshot(
                record.id, collections=record.collections, match=record.match or None
            )
        except ConfigurationError as error:
            return str(error)
        if record.status is OperationStatus.RUNNING:  # it was begun before, and its place was lost
            for route in routes:
                route.skip(await self._store.parked_after(self._spec.name, route.name, ""))
        self._feeding.begin_snapshot(routes, snapshot)
        return ""

    def _progress(self, record: Operation, routes: Sequence[Route], through: Sequence[Route]) -> Progress:
        """What the route has that has come least far."""
        before = record.progress
        marks = [route.watermark() for route in routes]
        found = [
            mark.snapshot for mark in marks if mark.snapshot is not None and mark.snapshot.id == record.id
        ]
        read = min((one.read for one in found), default=0) if len(found) == len(routes) else 0
        return replace(
            before,
            read=read,
            total=max((one.total for one in found), default=before.total),
            per_sec=self._paces[record.id].per_sec(read) if record.id in self._paces else None,
            reached=min((mark.cluster_time for mark in marks if mark.cluster_time), default=before.reached),
            through=(*before.through, *(route.name for route in through)),
        )

    async def _move(
        self,
        record: Operation,
        status: OperationStatus,
        progress: Progress | None = None,
        problem: str = "",
    ) -> bool:
        """Store how it stands; False if it is over by now, or somebody else's."""
        moved = record.moved(status, progress or record.progress, problem)
        if not await self._store.move_operation(moved, self._lease):
            return False
        if record.id in self._records:
            self._records[record.id] = moved
        if status.is_over:
            bound = self._log.bind(operation=record.id, route=record.route)
            bound.info("operation_ended", status=status.value, problem=problem)
        return True

    @contextmanager
    def _patience(self) -> Iterator[None]:
        """Leave for the next round what a server is needed for that is away."""
        try:
            yield
        except Unreachable as error:
            self._log.debug("operation_not_recorded", reason=str(error))


def _adopted(subscription: str, routes: Sequence[Route]) -> Operation:
    """The record of a snapshot that nobody asked for by hand."""
    snapshot = routes[0].snapshot
    assert snapshot is not None
    names = tuple(route.name for route in routes)
    return Operation(
        snapshot.id,
        OperationKind.SNAPSHOT,
        subscription,
        names[0] if len(names) == 1 else "*",
        routes=names,
        requested_by="eventbus",
        status=OperationStatus.RUNNING,
        progress=Progress(total=snapshot.total, read=snapshot.read),
    )


def _of(route: Route) -> str | None:
    """Id of the snapshot that a route carries."""
    return route.snapshot.id if route.snapshot is not None else None


def _may_begin(route: Route) -> bool:
    """Whether a route carries no snapshot; of one that is not ours yet the target may know better."""
    return route.snapshot is None and route.not_ours is None


def _is_through(route: Route, snapshot_id: str) -> bool:
    """Whether all documents have found their end on a route."""
    snapshot = route.watermark().snapshot
    return snapshot is not None and snapshot.id == snapshot_id and snapshot.is_finished


def _waits_for(record: Operation, routes: Sequence[Route]) -> str:
    """Why the first route that does not go on does not, for people; empty if all do."""
    return next((reason for route in routes if (reason := _what_holds(record, route))), "")


def _what_holds(record: Operation, route: Route) -> str:
    if (other := _of(route)) not in {None, record.id}:
        return f"waits for snapshot {other} of route {route.name}"
    return route.lost or route.not_ours or waits_for(route)


def _no_route(record: Operation) -> str:
    return f"the subscription has no route {' or '.join(map(repr, record.routes))}"
