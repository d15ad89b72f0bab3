"""Runs the flows that an arrangement asks for, and the routes that they feed.

Everything runs inside one task group: a flow that fails for a reason of its own stops its routes alone, any
other fault ends them all.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import anyio
import structlog
from anyio.abc import TaskGroup

from eventbus.core.rounds import next_round
from eventbus.errors import PositionLost, first_cause
from eventbus.model import Batch, Position, Snapshot
from eventbus.runtime.arrangement import Arrangement, CatchUpPolicy
from eventbus.runtime.flow import Flow
from eventbus.runtime.recovery import RecoveringReader, Recovery
from eventbus.runtime.route import Route
from eventbus.sdk import Reader, Stage
from eventbus.telemetry import metrics, notices

__all__ = ["Feeding", "Supply"]

log = structlog.get_logger("eventbus.route")

_ROUND_SECS = 1.0
_BEYOND_ALL = "\uffff"
_LOST_SECS = 60.0
"""How long a route whose position is lost rests before the source is asked again: it may have been mended."""


@dataclass(frozen=True, slots=True)
class Supply:
    """Where batches come from, and what happens to them on the way.

    Args:
        reader: Makes a reader of everything after a position, without I/O.
        stages: The pipeline.
    """

    reader: Callable[[Position], Reader]
    stages: Sequence[Stage] = field(default=())


class Feeding:
    """The flows of one subscription at work.

    Args:
        subscription: Name of the subscription.
        policy: Patience and bounds.
        supply: Of the live routes; a replay brings its own.
        recovery: What to do where live routes lose their position; None to stop them.
    """

    def __init__(
        self, subscription: str, policy: CatchUpPolicy, supply: Supply, recovery: Recovery | None = None
    ) -> None:
        self._subscription = subscription
        self._supply = supply
        self._recovery = recovery
        self._supplies: dict[str, Supply] = {}
        self._arrangement = Arrangement(subscription, policy, self._open_flow)
        self._lost_at: dict[str, float] = {}
        self._stood: dict[str, str] = {}
        """Where routes stood when they were lost, or were first seen here."""
        self._tasks: TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Feed the routes that are added while the body runs."""
        async with anyio.create_task_group() as self._tasks:
            self._tasks.start_soon(self._make_rounds)
            yield
            self._tasks.cancel_scope.cancel()

    @property
    def trouble(self) -> str | None:
        """Why something cannot be read at the moment, for people."""
        return next((flow.trouble for flow in self._arrangement.flows if flow.trouble), None)

    def add(self, *routes: Route, supply: Supply | None = None) -> None:
        """Feed these routes, too.

        Args:
            routes: Which; each runs by itself already, or soon.
            supply: Of a replay.
        """
        if supply is not None:
            self._supplies |= {route.name: supply for route in routes}
        self._arrangement.add(*routes)

    def remove(self, route: Route) -> None:
        """Feed a route no more."""
        self._arrangement.remove(route)
        self._supplies.pop(route.name, None)
        self._stood.pop(route.name, None)

    def begin_snapshot(self, routes: Sequence[Route], snapshot: Snapshot) -> None:
        """Have documents read beside the changes for these routes, soon."""
        self._arrangement.begin_snapshot(routes, snapshot)

    def forget_snapshot(self, route: Route) -> None:
        """Feed a route nothing but changes from now on."""
        self._arrangement.forget_snapshot(route)

    def changed(self, route: Route) -> None:
        """Something about a route changed: who feeds it must look again, or somebody must be found."""
        if route.flow is not None and not route.is_halted:
            route.flow.woken.notify()
        else:
            self._arrangement.arrange()

    def stop(self) -> None:
        """Read nothing more: what is open in the routes is all there will be."""
        self._arrangement.close()

    def _open_flow(self, start: Position, replay: Route | None) -> Flow:
        supply = self._supply if replay is None else self._supplies[replay.name]
        flow: Flow
        if replay is None and self._recovery is not None:
            leap = partial(self._leap, self._recovery, lambda: flow)
            reader: Reader = RecoveringReader(supply.reader, start, leap)
        else:
            reader = supply.reader(start)
        flow = Flow(self._subscription, reader, start, supply.stages, self._arrangement)
        assert self._tasks is not None
        self._tasks.start_soon(self._run, flow)
        return flow

    async def _run(self, flow: Flow) -> None:
        try:
            await flow.run()
        except* PositionLost as lost:
            self._lose(flow, str(first_cause(lost)))
        if flow.is_exhausted and any(not route.is_replay for route in flow.routes):
            raise AssertionError("the reader ended though nobody closed it")
        self._arrangement.flow_ended(flow)

    async def _leap(
        self, recovery: Recovery, flow_of: Callable[[], Flow], position: Position, lost: PositionLost
    ) -> Batch:
        """How a flow of live routes goes on after a position that is lost.

        Nobody joins it until it has leapt: only those who are with it now have a gap recorded.
        """
        flow = flow_of()
        flow.leaps_to = _BEYOND_ALL
        routes = self._arrangement.leave_behind(flow, position)
        if not routes:
            raise lost
        batch = await recovery.leap([route.name for route in routes], position, lost)
        if batch.end.snapshot == position.snapshot:
            flow.leaps_to = batch.end.token
        return batch

    def _lose(self, flow: Flow, reason: str) -> None:
        """The source has lost the position of a flow: it stops its routes, and no other."""
        for route in list(flow.routes):
            self._lost_at[route.name] = anyio.current_time()
            route.lose(reason)
            metrics.position_lost(self._subscription, route.name)
            log.error("position_lost", subscription=self._subscription, route=route.name, reason=reason)
            if not route.is_replay:
                notices.position_lost(self._subscription, route.name, reason)
            self._stood[route.name] = route.admitted.token

    async def _make_rounds(self) -> None:
        """A safety net for the arrangement, and another try for what was lost."""
        while True:
            await next_round(_ROUND_SECS)
            for route in self._arrangement.routes:
                if route.lost is not None and self._has_rested(route):
                    route.lost = None
            self._arrangement.arrange()
            self._notice_found()

    def _has_rested(self, lost: Route) -> bool:
        return anyio.current_time() - self._lost_at[lost.name] >= _LOST_SECS

    def _notice_found(self) -> None:
        """A route that has come further since it was lost, or since the life before, is lost no more."""
        for route in self._arrangement.routes:
            stood = self._stood.setdefault(route.name, route.admitted.token)
            if route.lost is None and route.admitted.token > stood:
                notices.position_found(self._subscription, route.name)
