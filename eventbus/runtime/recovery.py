"""Goes on, by policy, where the source has lost a position: never without a record of what was skipped.

A leap is a batch like any other: it ends at the new position and holds one event, which tells of the gap. So
everything that holds for batches holds here. What was read before is delivered before, a crash comes back to
the old position and leaps again, and a route that was not told of a gap has not passed it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import anyio
import structlog

from eventbus.core.backoff import until_reachable
from eventbus.core.recurrence import Recurrence
from eventbus.errors import ConfigurationError, PositionLost, Unreachable
from eventbus.model import Batch, Position
from eventbus.runtime.gap_events import gap_event, names_gap
from eventbus.sdk import OnPositionLost, Reader, SnapshotMode, SnapshotSource, Source, SourcePolicy
from eventbus.state.gaps import Gap
from eventbus.state.store import GapStore
from eventbus.telemetry import metrics, notices, progress

__all__ = ["RecoveringReader", "Recovery", "record_gap"]

T = TypeVar("T")

log = structlog.get_logger("eventbus.route")

_MOST_LEAPS = 2
_WITHIN_SECS = 600.0
"""A route that has leapt twice within ten minutes and is lost again rests: it would only leap once more."""
_SNAPSHOT_ID_BYTES = 5


class RecoveringReader:
    """A reader of live changes that leaps where its position is lost.

    Args:
        open_reader: Makes a reader of everything after a position, without I/O.
        start: Where it begins.
        leap: Decides how to go on after a position that is lost: by a batch whose end is where to read on, or
            by raising PositionLost.
    """

    def __init__(
        self,
        open_reader: Callable[[Position], Reader],
        start: Position,
        leap: Callable[[Position, PositionLost], Awaitable[Batch]],
    ) -> None:
        self._open_reader = open_reader
        self._reader = open_reader(start)
        self._position = start
        self._leap = leap
        self._lost: PositionLost | None = None
        self._is_closed = False

    @property
    def trouble(self) -> str | None:
        """See `eventbus.sdk.Reader`."""
        return str(self._lost) if self._lost is not None else self._reader.trouble

    async def next(self) -> Batch | None:
        """See `eventbus.sdk.Reader`."""
        try:
            batch = await self._reader.next()
        except PositionLost as lost:
            batch = await self._recovered(lost)
        if batch is not None:
            self._position = batch.end
        return None if self._is_closed else batch

    async def close(self) -> None:
        """See `eventbus.sdk.Reader`."""
        self._is_closed = True
        await self._reader.close()

    async def _recovered(self, lost: PositionLost) -> Batch:
        self._lost = lost
        progress.resting()  # the store, or an operator, may be long in coming
        await self._reader.close()
        batch = await self._leap(self._position, lost)
        if not self._is_closed:
            self._reader = self._open_reader(batch.end)
        self._lost = None
        return batch


@dataclass(frozen=True, slots=True)
class _Goal:
    """Where to go on, and what will be said of the way there."""

    end: Position
    reason: str


class Recovery:
    """What one subscription does about positions that are lost.

    Args:
        subscription: Name of the subscription.
        source: Where its changes come from.
        store: Where gaps are recorded.
    """

    def __init__(self, subscription: str, source: Source, store: GapStore) -> None:
        self._subscription = subscription
        self._source = source
        self._store = store
        self._policy = _policy(source.policy)
        self._leaps: dict[str, Recurrence] = {}
        self._log = log.bind(subscription=subscription)

    async def leap(self, routes: Sequence[str], start: Position, lost: PositionLost) -> Batch:
        """A batch that leads from a lost position to one from which reading can go on.

        The gap is recorded, durably and for each route, before it returns.

        Args:
            routes: Names of the routes that stand there.
            start: The position.
            lost: Why it is lost.

        Raises:
            PositionLost: The routes must stop: by policy, because they were lost too often of late, or
                because there is nothing to go on to.
        """
        if self._policy is OnPositionLost.STOP:
            await self._patiently(lambda: self._record_stop(routes, start, lost))
            raise lost
        now = anyio.current_time()
        leaps = [self._leaps.setdefault(name, Recurrence(_MOST_LEAPS, _WITHIN_SECS)) for name in routes]
        if any(one.is_spent(now) for one in leaps):
            raise PositionLost(
                f"{lost}; it was lost {_MOST_LEAPS + 1} times within {_WITHIN_SECS / 60:.0f} minutes, so it "
                "rests: the oplog is too small for what is written, or the route cannot keep up"
            )
        goal = await self._patiently(lambda: self._goal(routes[0], start, lost))
        await self._patiently(lambda: self._record(routes, start, goal))
        for one in leaps:
            one.note(now)
        event = gap_event(self._subscription, start, goal.end, policy=self._policy.value, reason=goal.reason)
        return Batch([event] if self._source.policy.tells_gaps else [], goal.end)

    async def _goal(self, route: str, start: Position, lost: PositionLost) -> _Goal:
        """Where to go on: where an earlier life meant to, if that can still be read, else by policy."""
        oldest = await self._oldest()
        goal = await self._earlier_goal(route, start, oldest) or _Goal(
            await self._source.now() if self._policy is not OnPositionLost.OLDEST else _known(oldest, lost),
            str(lost),
        )
        if goal.end.token <= start.token:
            raise PositionLost(f"{lost}; the policy {self._policy.value!r} leads to no place beyond it")
        snapshot = start.snapshot
        if self._policy is OnPositionLost.SNAPSHOT and isinstance(self._source, SnapshotSource):
            name = names_gap(self._subscription, start, goal.end, size=_SNAPSHOT_ID_BYTES)
            try:
                snapshot = await self._source.begin_snapshot(name)
            except ConfigurationError as error:
                raise PositionLost(f"{lost}; no snapshot can be begun: {error}") from None
        return replace(goal, end=replace(goal.end, snapshot=snapshot))

    async def _earlier_goal(self, route: str, start: Position, oldest: Position | None) -> _Goal | None:
        """What was recorded before a crash, so that the same gap is the same to whoever was told of it."""
        found = await self._store.gaps(
            subscription=self._subscription, route=route, start=start.token, limit=1
        )
        for gap in found:
            if gap.policy == self._policy.value and oldest is not None and gap.end.token >= oldest.token:
                return _Goal(gap.end, gap.reason)
        return None

    async def _oldest(self) -> Position | None:
        """The oldest place that can be read; None where we may not know."""
        try:
            return await self._source.oldest()
        except ConfigurationError as error:
            self._log.debug("oldest_not_known", reason=str(error))
            return None

    async def _record(self, routes: Sequence[str], start: Position, goal: _Goal) -> None:
        first, last = replace(start, snapshot=None), replace(goal.end, snapshot=None)
        for name in routes:
            gap = Gap(self._subscription, name, first, last, self._policy.value, goal.reason)
            await record_gap(self._store, gap)

    async def _record_stop(self, routes: Sequence[str], start: Position, lost: PositionLost) -> None:
        """What is gone already is gone, whatever the operator decides about the rest."""
        oldest = await self._oldest()
        if oldest is not None and oldest.token > start.token:
            await self._record(routes, start, _Goal(oldest, str(lost)))

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        return await until_reachable(call, on_failure=self._report_waiting)

    def _report_waiting(self, error: Unreachable) -> None:
        self._log.debug("recovery_waited", reason=str(error))


async def record_gap(store: GapStore, gap: Gap) -> None:
    """Record a gap durably, and say so where it is new.

    Raises:
        Unreachable: The store is away.
    """
    before = await store.record_gap(gap)
    known_secs = before.secs if before is not None else 0
    metrics.gap_recorded(
        gap.subscription, gap.route, is_new=before is None, seconds=max(0, gap.secs - known_secs)
    )
    if before is None:
        log.warning(
            "gap_recorded",
            subscription=gap.subscription,
            route=gap.route,
            policy=gap.policy,
            start=_clock(gap.start),
            end=_clock(gap.end),
            secs=gap.secs,
            reason=gap.reason,
        )
        notices.gap_recorded(
            gap.subscription,
            gap.route,
            gap.reason,
            policy=gap.policy,
            start=_clock(gap.start),
            end=_clock(gap.end),
            secs=gap.secs,
        )


def _policy(policy: SourcePolicy) -> OnPositionLost:
    """A snapshot when needed is needed when a position is lost, unless something else is asked for."""
    if policy.on_position_lost is OnPositionLost.STOP and policy.snapshot is SnapshotMode.WHEN_NEEDED:
        return OnPositionLost.SNAPSHOT
    return policy.on_position_lost


def _known(oldest: Position | None, lost: PositionLost) -> Position:
    if oldest is None:
        raise PositionLost(f"{lost}; the oldest change that is left is not known: see the log")
    return oldest


def _clock(position: Position) -> str | None:
    time = position.cluster_time
    return f"{time.seconds}.{time.increment}" if time is not None else None
