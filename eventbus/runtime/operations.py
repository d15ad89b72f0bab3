"""Sends once more what operators asked for, beside the live routes of a subscription, and records it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar, assert_never

import anyio
import structlog
from anyio.abc import TaskGroup

from eventbus.core.backoff import until_reachable
from eventbus.core.signal import Signal
from eventbus.errors import ConfigurationError, EventbusError, LeaseLost, Unreachable
from eventbus.model import Position, PositionKind
from eventbus.runtime.feeding import Feeding, Supply
from eventbus.runtime.letters import LettersOfReplay, OnlyParked, Park
from eventbus.runtime.policy import RoutePolicy
from eventbus.runtime.replay import LetterReader, bounded
from eventbus.runtime.route import Route
from eventbus.runtime.saver import Saver
from eventbus.state.operations import Operation, OperationKind, OperationStatus, Progress
from eventbus.state.store import Lease, LetterQuery, LetterStatus, Store

if TYPE_CHECKING:
    from eventbus.runtime.subscription import RouteSpec, SubscriptionSpec

__all__ = ["Operations", "run_alone", "waits_for"]

T = TypeVar("T")

log = structlog.get_logger("eventbus.operation")

_REPORT_SECS = 1.0
_BEFORE_ALL = Position("", PositionKind.IDLE)


@dataclass(slots=True)
class _UnderWay:
    """An operation that is carried out now."""

    operation: Operation
    scope: anyio.CancelScope
    route: Route | None = None

    def record(self, status: OperationStatus, problem: str = "") -> Operation:
        """The operation as it stands now: what earlier lives have done of it, and this one."""
        before = self.operation.progress
        if self.route is None:
            return self.operation.moved(status, before, problem)
        tally = self.route.tally
        progress = Progress(
            delivered=before.delivered + tally.delivered,
            parked=before.parked + tally.parked,
            filtered=before.filtered + tally.filtered,
            total=before.total,
            reached=self.route.watermark().cluster_time,
        )
        return self.operation.moved(status, progress, problem)


class Operations:
    """The operations of one subscription that are under way here.

    Args:
        spec: The subscription.
        store: Where the record is.
        saver: Who writes positions.
        lease: What every write is conditional on.
        routes: Where routes of operations are put while they run: their positions are saved with the others.
        feeding: What feeds them.
        park: Stores the dead letters of replays.
        rng: Where jitter comes from.
        ask_for_pause: Told which live route is to be paused, and why; None if nobody could lift a pause.
    """

    def __init__(
        self,
        spec: SubscriptionSpec,
        store: Store,
        saver: Saver,
        lease: Lease,
        routes: MutableMapping[str, Route],
        feeding: Feeding,
        *,
        park: Park,
        rng: Random,
        ask_for_pause: Callable[[str, str], None] | None = None,
    ) -> None:
        self._ask_for_pause = ask_for_pause
        self._park = park
        self._spec = spec
        self._store = store
        self._saver = saver
        self._lease = lease
        self._routes = routes
        self._feeding = feeding
        self._rng = rng
        self._under_way: dict[str, _UnderWay] = {}
        self._over: set[str] = set()
        """Ids of those that ended here and that the store, when last asked, did not yet know to be over."""
        self._tasks: TaskGroup | None = None
        self._begun = Signal()
        self._is_ending = False
        self._log = log.bind(subscription=spec.name)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Carry out what is asked for while the body runs; what is not done then goes on in a later life."""
        async with anyio.create_task_group() as self._tasks:
            self._tasks.start_soon(self._report)
            yield
            self._is_ending = True
            self._tasks.cancel_scope.cancel()

    def obey(self, wanted: Sequence[Operation]) -> None:
        """Begin what is wanted and not under way, end what is under way and wanted no more.

        At most as many are under way at once as there are readers for them; the others wait.
        """
        wanted_here = [operation for operation in wanted if _is_ours(operation)]
        ids = {operation.id for operation in wanted_here}
        self._over &= ids
        for operation_id, under_way in self._under_way.items():
            if operation_id not in ids:
                under_way.scope.cancel()
        for operation in wanted_here:
            if len(self._under_way) >= self._spec.catch_up.max_readers:
                break
            if operation.id not in self._under_way and operation.id not in self._over:
                self._begin(operation)

    def _begin(self, operation: Operation) -> None:
        under_way = self._noted(operation)
        assert self._tasks is not None
        self._tasks.start_soon(self._carry_out, under_way)

    async def carry_out(self, operation: Operation) -> None:
        """Carry one out, whoever should, and return when it is over."""
        await self._carry_out(self._noted(operation))

    def _noted(self, operation: Operation) -> _UnderWay:
        under_way = self._under_way[operation.id] = _UnderWay(operation, anyio.CancelScope())
        self._begun.notify()
        return under_way

    async def _carry_out(self, under_way: _UnderWay) -> None:
        operation = under_way.operation
        bound = self._log.bind(operation=operation.id, route=operation.route)
        bound.info("operation_started", kind=operation.kind.value)
        try:
            with under_way.scope:
                problem = await self._see_through(under_way)
                status = OperationStatus.FAILED if problem else OperationStatus.DONE
                record = under_way.record(status, problem)
                self._over.add(
                    operation.id
                )  # even if the store refuses: the lease is lost, then, and unnoticed
                await self._patiently(lambda: self._store.move_operation(record, self._lease))
            if under_way.scope.cancelled_caught:
                bound.info("operation_cancelled")
            else:
                bound.info("operation_ended", status=status.value, problem=problem)
            await self._patiently(lambda: self._store.forget_position(self._lease, operation.stored_route))
        finally:
            del self._under_way[operation.id]

    async def _see_through(self, under_way: _UnderWay) -> str:
        """Send all of it; why that could not be done, or an empty text."""
        operation = under_way.operation
        spec = self._spec.routes.get(operation.route)
        if spec is None:
            return f"the subscription has no route {operation.route!r}"
        try:
            supply = await self._patiently(lambda: self._supply(operation))
            route = under_way.route = await self._patiently(lambda: self._make_route(under_way, spec))
        except LeaseLost:
            raise
        except EventbusError as error:
            return str(error)
        self._routes[route.name] = route
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(route.run)
                self._feeding.add(route, supply=supply)
                await route.completed()
                tasks.cancel_scope.cancel()
        finally:
            self._feeding.remove(route)
            if not self._is_ending:  # else its position is saved a last time, with those of the others
                del self._routes[route.name]
        return route.lost or ""

    async def _supply(self, operation: Operation) -> Supply:
        """Where its events come from."""
        match operation.kind:
            case OperationKind.REPLAY:
                assert operation.until is not None
                return bounded(Supply(self._spec.source.reader, self._spec.stages), operation.until)
            case OperationKind.DEAD_LETTERS:
                holds = self._spec.routes[operation.route].policy.holds_keys
                return self._letters(operation, {"held_behind": {"$exists": False}} if holds else {})
            case OperationKind.RELEASE:
                found = await self._store.held_keys(operation.subscription, operation.route)
                free = {key.key for key in found if not key.dead}
                return self._letters(operation, {"held_behind": {"$exists": True}}, free)
            case OperationKind.SNAPSHOT:
                raise AssertionError("a snapshot has no route of its own")
            case OperationKind.MOVE:
                raise AssertionError("positions are moved before routes are made")
            case _:
                assert_never(operation.kind)

    def _letters(
        self, operation: Operation, also: Mapping[str, Any], keys: Collection[bytes] | None = None
    ) -> Supply:
        """Its dead letters. Those that it has tried already, in an earlier life, are not among them."""
        parts = [dict(part) for part in (operation.match, also) if part]
        query = LetterQuery(
            subscription=operation.subscription,
            routes=operation.routes,
            match={"$and": parts} if parts else {},
            statuses=(LetterStatus.PARKED,),
            not_operation=operation.id,
        )
        return Supply(
            lambda start: LetterReader(self._store, query, start, keys=keys), self._spec.letter_stages
        )

    async def _make_route(self, under_way: _UnderWay, spec: RouteSpec) -> Route:
        """Its route, at its stored position or its start, which is durable before the first read."""
        operation = under_way.operation
        name = operation.stored_route
        start = (await self._store.positions(self._lease.subscription)).get(name)
        if start is None:
            start = operation.start or _BEFORE_ALL
            await self._saver.begin(self._lease, {name: start})
        else:
            under_way.operation = await self._counted(operation)
        of_history = operation.kind is OperationKind.REPLAY
        letters = (
            OnlyParked(self._park)
            if of_history
            else LettersOfReplay(self._store, operation.subscription, operation.routes[0], operation.id)
        )
        route = Route(
            subscription=operation.subscription,
            name=name,
            sink=spec.sink,
            encoder=spec.replay_encoder(operation.id),
            policy=_slowed(spec.policy, operation.rate),
            start=start,
            parked=await self._parked(operation, start) if of_history else (),
            letters=letters,
            changed=self._feeding.changed,
            is_replay=True,
            ask_for_pause=partial(self._ask_for_pause, operation.route) if self._ask_for_pause else None,
            rng=self._rng,
        )
        live = self._routes.get(operation.route)
        if live is not None and live.paused is not None:
            route.pause(live.paused)
        return route

    async def _counted(self, operation: Operation) -> Operation:
        """The operation with all that its earlier lives did.

        Its record may be older than the end of the last one; of dead letters the rows know it exactly.
        """
        if operation.kind is OperationKind.REPLAY:
            return operation
        tried = LetterQuery(
            subscription=operation.subscription,
            routes=operation.routes,
            match={"operation_id": operation.id},
        )
        delivered = await self._store.count_letters(replace(tried, statuses=(LetterStatus.REPLAYED,)))
        parked = await self._store.count_letters(replace(tried, statuses=(LetterStatus.PARKED,)))
        progress = replace(operation.progress, delivered=delivered.letters, parked=parked.letters)
        return operation.moved(operation.status, progress)

    async def _parked(self, operation: Operation, start: Position) -> Collection[str]:
        return await self._store.parked_after(operation.subscription, operation.stored_route, start.token)

    async def _report(self) -> None:
        """Keep the records up to date."""
        while True:
            while not self._under_way:
                await self._begun.wait()
            await anyio.sleep(_REPORT_SECS)
            for under_way in list(self._under_way.values()):
                record = under_way.record(OperationStatus.RUNNING, waits_for(under_way.route))
                try:
                    await self._store.move_operation(record, self._lease)
                except Unreachable as error:
                    self._log.debug("operation_not_recorded", reason=str(error))

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        return await until_reachable(call, on_failure=self._report_waiting)

    def _report_waiting(self, error: Unreachable) -> None:
        self._log.debug("operation_waited", reason=str(error))


async def run_alone(
    operation: Operation, spec: SubscriptionSpec, store: Store, saver: Saver, *, lease_secs: float
) -> None:
    """Carry an operation out in a process of its own, under a lease of its own.

    Args:
        operation: Which.
        spec: The subscription whose route and source it uses.
        store: Where its record, its position and its lease are.
        saver: Who writes the position.
        lease_secs: How long the lease lasts.

    Raises:
        ConfigurationError: Another process carries it out.
        LeaseLost: Another process has taken it over.
        Unreachable: The store is away.
    """
    name = f"{operation.subscription}@{operation.id}"
    asked_at = anyio.current_time()
    lease = await store.acquire(name, lease_secs=lease_secs, reclaim=True)
    if lease is None:
        raise ConfigurationError(f"operation {operation.id} is run by another process")
    routes: dict[str, Route] = {}
    feeding = Feeding(name, spec.catch_up, Supply(spec.source.reader, spec.stages))
    operations = Operations(spec, store, saver, lease, routes, feeding, park=store.park, rng=Random())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(saver.run)
        keeping = saver.keeping(lease, routes, renewed_at=asked_at)
        async with keeping, feeding.running(), operations.running():
            await operations.carry_out(operation)
        tasks.cancel_scope.cancel()


def waits_for(route: Route | None) -> str:
    """Why a route does not go on with what it was given at the moment, for people; empty while it does."""
    if route is None:
        return ""
    if route.paused is not None:
        return f"waits, for the route is paused: {route.paused}"
    reason = route.circuit_reason or route.sink.waiting_for
    return f"waits for the sink: {reason}" if reason else ""


def _is_ours(operation: Operation) -> bool:
    beside = operation.kind not in {OperationKind.SNAPSHOT, OperationKind.MOVE}
    return beside and not operation.runner


def _slowed(policy: RoutePolicy, rate: float | None) -> RoutePolicy:
    """The live route's policy, no faster than an operation asks for."""
    if rate is None:
        return policy
    return replace(policy, rate_per_sec=min(rate, policy.rate_per_sec or rate))
