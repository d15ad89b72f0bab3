"""Which route is fed by which flow: every decision in one place, and none of them awaits.

`Arrangement.arrange` is called whenever anything changes. Three rules make it safe whatever it decides: a
route owns what it has admitted and a flow its batch in hand; a flow may feed a route only from a position at
or before the last that the route admitted; every `take` skips what was admitted. So detaching forgets nothing
and merging repeats nothing. What is decided here is who waits for whom, and for how long.

A route with a snapshot is fed by a flow of that snapshot alone. Another reading finds documents at other
places, and no place tells which of them a route has: so only routes that stand at one and the same position
share such a flow, nobody joins it later, and it is never main.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf

import anyio
import structlog

from eventbus.model import Position, Snapshot
from eventbus.runtime.flow import Flow
from eventbus.runtime.route import Route
from eventbus.telemetry import metrics, notices

__all__ = ["Arrangement", "CatchUpPolicy"]

log = structlog.get_logger("eventbus.route")

_SHORTEST_WAIT_SECS = 0.001
_HOLD_MARGIN_SECS = 0.1
_HOLD_SHARE = 10
"""A hold of one second is followed by nine without any."""
_SHRUNK = 0.9
"""What must be left at most of a catch-up's lag after each quantum, if others wait for its reader."""


@dataclass(frozen=True, slots=True)
class CatchUpPolicy:
    """How patient flows are with slow routes, and what catching up may cost.

    Args:
        isolate_after_secs: A route that made others wait so long is detached, while a reader is to be had.
        isolate_late_secs: The same while none is.
        max_readers: The most readers beside the main flow's.
        quantum_secs: How long a reader is its routes' own when others wait for one.
        near_secs: Routes whose positions lie so close in cluster time share a reader.
        work_secs: A clock of how long the process has worked, in seconds from any start. With one that stands
            still, all waits are idle ones.
    """

    isolate_after_secs: float = 0.3
    isolate_late_secs: float = 5.0
    max_readers: int = 4
    quantum_secs: float = 30.0
    near_secs: float = 2.0
    work_secs: Callable[[], float] = field(default=lambda: 0.0)


@dataclass(slots=True)
class _Stint:
    """Since when a flow has its reader, and what lag it began with."""

    since: float
    lag_secs: float


class Arrangement:
    """The routes of one subscription and the flows that feed them.

    Args:
        subscription: Name of the subscription.
        policy: Patience and bounds.
        open_flow: Makes a flow from a position and starts it, without awaiting. For a replay it is given the
            replay's route, which has a reader of its own kind.
    """

    def __init__(
        self,
        subscription: str,
        policy: CatchUpPolicy,
        open_flow: Callable[[Position, Route | None], Flow],
    ) -> None:
        self.main: Flow | None = None
        """The most advanced flow of live routes: a label, not a kind."""
        self.flows: list[Flow] = []
        """All that hold a reader, those that are ending included."""
        self.routes: list[Route] = []
        self._subscription = subscription
        self._policy = policy
        self._open_flow = open_flow
        self._served: dict[str, float] = {}
        self._stints: dict[Flow, _Stint] = {}
        self._is_closed = False
        self._log = log.bind(subscription=subscription)

    # What flows ask.

    def main_token(self) -> str:
        """Where the main flow stands; beyond everything if there is none."""
        return self.main.position.token if self.main is not None else "\uffff"

    def merge_from(self, flow: Flow) -> None:
        """Hand the routes of a catch-up flow that have reached the main flow over to it."""
        main = self.main
        if main is None or flow is main:
            return
        for route in [route for route in flow.routes if self._may_join(route, main)]:
            self._leave(route)
            self._attach(route, main)
            self._log.info("route_merged", route=route.name)
        if not flow.routes:
            flow.end()

    def batch_done(self, flow: Flow, goal: str) -> None:
        """A flow has handed out a whole batch.

        A catch-up flow that has read as far as the main flow stood when the poll was sent, and yet comes too
        late, would come too late for ever by mere phase: it asks the main flow to hold.

        Args:
            flow: Which.
            goal: Where the main flow stood when the poll for the batch was sent.
        """
        main = self.main
        near_miss = main is not None and flow is not main and flow.position.token >= goal
        if near_miss and not flow.is_ending and _may_merge(flow):
            assert main is not None
            self._hold(main, flow)
        self.arrange()

    def detach_hopeless(self, flow: Flow, behind: Sequence[Route]) -> float | None:
        """Detach the routes that have made others wait long enough.

        Returns:
            For how many seconds the flow should wait for the others at most, infinite if nobody is made to
            wait; None if it should look again at once.
        """
        if not self._somebody_waits(flow, behind):
            return inf
        now = anyio.current_time()
        bound = self._isolate_after()
        hopeless = [route for route in behind if route.is_stuck or route.debt.owed(now) >= bound]
        if not hopeless:
            patience_secs = bound - max(route.debt.owed(now) for route in behind)
            return max(patience_secs, _SHORTEST_WAIT_SECS)
        for route in hopeless:
            self._detach(route, "circuit open" if route.is_stuck else "slow")
        self.arrange()
        return None

    def work_secs(self) -> float:
        """How long the process has worked, in seconds from any start."""
        return self._policy.work_secs()

    def leave_behind(self, flow: Flow, position: Position) -> list[Route]:
        """A flow's position is lost. Routes that are further on leave it, for theirs may not be.

        Returns:
            The routes that are left, which all stand there.
        """
        for route in [route for route in flow.routes if route.admitted.token > position.token]:
            self._detach(route, "the position of others is lost")
        self.arrange()
        return list(flow.routes)

    # What the subscription asks.

    def add(self, *routes: Route) -> None:
        """Feed these routes, too."""
        self.routes += routes
        self.arrange()

    def remove(self, route: Route) -> None:
        """Feed a route no more."""
        self.routes.remove(route)
        self._served.pop(route.name, None)
        if route.flow is not None:
            self._leave(route)
        self.arrange()

    def begin_snapshot(self, routes: Sequence[Route], snapshot: Snapshot) -> None:
        """Have documents read beside the changes for these routes, from the end of the batch in hand on."""
        for route in routes:
            route.wanted_snapshot = snapshot
        self.arrange()

    def forget_snapshot(self, route: Route) -> None:
        """Feed a route nothing but changes from now on."""
        if route.flow is not None and route.admitted.snapshot is not None:
            self._detach(route, "its snapshot has ended")
        route.forget_snapshot()
        self.arrange()

    def flow_ended(self, flow: Flow) -> None:
        """A flow's reader is closed: it is to be had again."""
        self.flows.remove(flow)
        self._stints.pop(flow, None)
        for route in list(flow.routes):
            self._leave(route)
            if flow.is_exhausted:
                route.fed()
        metrics.readers_open(self._subscription, len(self.flows))
        self.arrange()

    def close(self) -> None:
        """End all flows and open none any more: what is open in the routes is all there will be."""
        self._is_closed = True
        for flow in self.flows:
            for route in list(flow.routes):
                self._leave(route)
            flow.end()

    def arrange(self) -> None:
        """Put every route where it belongs now."""
        if self._is_closed or self._is_settled():
            return
        self._begin_snapshots()
        for route in self.routes:
            if route.flow is not None and route.is_halted:
                self._detach(route, route.halted_by)
            elif route.flow is not None and not _suits(route.flow, route):
                self._detach(route, "a snapshot begins")
        for flow in self.flows:
            if not flow.routes:
                flow.end()
        self._elect()
        self._join_main()
        while group := self._next_group():
            self._open(group)
        self._make_room()

    # How it decides.

    def _is_settled(self) -> bool:
        """Whether one flow feeds every route, and that is how it should be: mostly it is."""
        main = self.main
        return (
            main is not None
            and self.flows == [main]
            and not main.is_ending
            and _may_merge(main)
            and all(
                route.flow is main
                and not route.is_halted
                and route.wanted_snapshot is None
                and _suits(main, route)
                for route in self.routes
            )
        )

    def _begin_snapshots(self) -> None:
        """Between two batches of a flow, so that its routes go on from one and the same position."""
        wanting = [route for route in self.routes if route.wanted_snapshot is not None]
        for flow in dict.fromkeys(route.flow for route in wanting):
            together = [route for route in wanting if route.flow is flow]
            if flow is None or all(route.admitted.token == flow.position.token for route in together):
                for route in together:
                    route.begin_snapshot()

    def _somebody_waits(self, flow: Flow, behind: Sequence[Route]) -> bool:
        """Whether anybody is made to wait by the routes that are behind: only then do they owe for it."""
        if len(behind) < len(flow.routes):
            return True
        return flow is not self.main and bool(self._waiting()) and not self._free_readers()

    def _elect(self) -> None:
        """The most advanced flow is main. At the head they overtake each other by phase, for no reason."""
        live = [flow for flow in self.flows if not flow.is_ending and flow.routes and _may_merge(flow)]
        first = max(live, key=lambda flow: flow.position.token, default=None)
        if first is None or self.main not in live or self._is_beyond(first.position, self.main):
            self.main = first
            for route in first.routes if first is not None else ():
                notices.route_merged(self._subscription, route.name)

    def _waiting(self) -> list[Route]:
        """Routes that could work if somebody fed them: the longest unserved first, then the most advanced."""
        waiting = [route for route in self.routes if route.flow is None and route.wants_feeding]
        waiting.sort(key=lambda route: route.admitted.token, reverse=True)
        waiting.sort(key=lambda route: self._served.get(route.name, -inf))
        return waiting

    def _join_main(self) -> None:
        """Routes that stand within the main flow's hand need no reader of their own."""
        main = self.main
        if main is None:
            return
        for route in self._waiting():
            if self._may_join(route, main):
                self._attach(route, main)
                self._log.info("route_attached", route=route.name)

    def _free_readers(self) -> int:
        beside_main = len(self.flows) - (1 if self.main is not None else 0)
        return max(0, self._policy.max_readers - beside_main)

    def _next_group(self) -> list[Route]:
        """Routes that should share the next reader; none if none is to be opened."""
        waiting = self._waiting()
        mergeable = [route for route in waiting if _is_mergeable(route)]
        if self.main is None and mergeable:
            first = max(mergeable, key=lambda route: route.admitted.token)
        elif waiting and self._free_readers():
            first = waiting[0]
        else:
            return []
        if first.is_replay:
            return [first]
        if first.admitted.snapshot is not None:
            return self._beside(first)
        return [route for route in mergeable if self._are_near(route.admitted, first.admitted)]

    def _beside(self, first: Route) -> list[Route]:
        """A route with a snapshot, and those that can share its reading: never again are they so close."""
        return [
            route
            for route in self.routes
            if route.flow is None
            and route.admitted == first.admitted
            and (route is first or (route.circuit_is_closed and not route.is_halted))
        ]

    def _are_near(self, one: Position, other: Position) -> bool:
        if one.cluster_time is None or other.cluster_time is None:
            return one.token == other.token
        return abs(one.cluster_time.seconds - other.cluster_time.seconds) <= self._policy.near_secs

    def _is_beyond(self, position: Position, flow: Flow) -> bool:
        """Whether a flow must read for long until it reaches a position: whom it feeds is silent so long."""
        return position.token > flow.read.token and not self._are_near(position, flow.read)

    def _open(self, group: Sequence[Route]) -> None:
        """A flow from the lowest position of a group; skipping does the rest."""
        start = min((route.admitted for route in group), key=lambda position: position.token)
        replay = group[0] if group[0].is_replay else None
        beside = self.main is not None
        flow = self._open_flow(start, replay)
        self.flows.append(flow)
        now = anyio.current_time()
        for route in group:
            self._served[route.name] = now
            self._attach(route, flow)
        self._elect()
        self._stints[flow] = _Stint(now, self._lag_secs(flow))
        self._log_opened(flow, beside=beside)
        metrics.readers_open(self._subscription, len(self.flows))

    def _log_opened(self, flow: Flow, *, beside: bool) -> None:
        routes = [route.name for route in flow.routes]
        snapshot = flow.position.snapshot
        if snapshot is not None:
            self._log.info(
                "snapshot_opened",
                routes=routes,
                snapshot=snapshot.id,
                read=snapshot.read,
                total=snapshot.total,
            )
        elif beside:
            self._log.info("catch_up_started", routes=routes)

    def _make_room(self) -> None:
        """For those who wait for a reader: wake flows that nobody but they could hurry, and evict one."""
        waiting = self._waiting()
        if not waiting or self._free_readers() or any(flow.is_ending for flow in self.flows):
            return
        now = anyio.current_time()
        nearest = max((route.admitted.token for route in waiting if _is_mergeable(route)), default="")
        for flow in self.flows:
            if flow is self.main or flow.is_ending:
                continue
            flow.woken.notify()
            if self._must_yield(flow, nearest, now):
                for route in list(flow.routes):
                    self._detach(route, "others wait for its reader")
                flow.end()
                return

    def _must_yield(self, flow: Flow, nearest: str, now: float) -> bool:
        """Whether a reader's time is up, and somebody who waits has more use for it.

        Taking turns would not do: with k routes in turn each needs k times the source's rate to arrive. Only
        snapshots take turns: what they have read they need not read again.
        """
        stint = self._stints[flow]
        if now - stint.since < self._policy.quantum_secs:
            return False
        lag_secs = self._lag_secs(flow)
        if flow.snapshot_id is not None:
            return True
        if nearest > flow.position.token or lag_secs > _SHRUNK * stint.lag_secs:
            return True
        self._stints[flow] = _Stint(now, lag_secs)
        return False

    def _lag_secs(self, flow: Flow) -> float:
        """Seconds of cluster time between a flow and the main flow."""
        main = self.main.position.cluster_time if self.main is not None else None
        mine = flow.position.cluster_time
        return float(main.seconds - mine.seconds) if main is not None and mine is not None else 0.0

    def _may_join(self, route: Route, main: Flow) -> bool:
        """Whether a route stands within the main flow's reach, and is not known to hold others up.

        Room in its window is not asked for: right after a `take` there hardly ever is any.
        """
        return (
            _is_mergeable(route)
            and not main.is_leaping
            and route.admitted.token >= main.position.token
            and not self._is_beyond(route.admitted, main)
            and not route.is_halted
            and route.circuit_is_closed
            and route.debt.owed(anyio.current_time()) <= self._isolate_after() / 2
        )

    def _hold(self, main: Flow, flow: Flow) -> None:
        """Let the main flow keep its next batch until the merge, which takes two cycles: one poll is sent.

        A catch-up flow whose cycles still get shorter will ask again, and cost the others less.
        """
        now = anyio.current_time()
        hold_secs = min(self._policy.isolate_late_secs, 2 * flow.cycle_secs + _HOLD_MARGIN_SECS)
        will_cost_less = flow.is_speeding_up and hold_secs > self._policy.isolate_after_secs
        if now < main.next_hold_at or will_cost_less:
            return
        main.held_until = now + hold_secs
        main.next_hold_at = now + _HOLD_SHARE * hold_secs

    def _isolate_after(self) -> float:
        policy = self._policy
        return policy.isolate_after_secs if self._free_readers() else policy.isolate_late_secs

    # How it acts: plain calls on lists.

    def _attach(self, route: Route, flow: Flow) -> None:
        if flow.position.token > route.admitted.token:
            raise AssertionError(f"the flow stands beyond what route {route.name} admitted")
        if not _suits(flow, route):
            raise AssertionError(f"the flow reads no snapshot, or another than route {route.name}'s")
        route.flow = flow
        flow.routes.append(route)
        if flow is self.main:
            notices.route_merged(self._subscription, route.name)
        flow.held_until = 0.0
        flow.woken.notify()

    def _detach(self, route: Route, reason: str) -> None:
        self._leave(route)
        self._log.info("route_detached", route=route.name, reason=reason)
        metrics.route_detached(self._subscription, route.name)
        if not route.is_replay:
            notices.route_detached(self._subscription, route.name, reason)

    def _leave(self, route: Route) -> None:
        flow = route.flow
        assert flow is not None
        route.flow = None
        flow.routes.remove(route)
        flow.woken.notify()


def _suits(flow: Flow, route: Route) -> bool:
    """Whether a flow reads the snapshot that is under way on a route, and none if there is none."""
    snapshot = route.admitted.snapshot
    return flow.snapshot_id == (snapshot.id if snapshot is not None else None)


def _is_mergeable(route: Route) -> bool:
    """Whether a route needs nothing but changes, all that are to come: then the main flow can feed it."""
    return not route.is_replay and route.admitted.snapshot is None


def _may_merge(flow: Flow) -> bool:
    """Whether the routes of a flow could be the main flow's."""
    return flow.snapshot_id is None and not any(route.is_replay for route in flow.routes)
