"""Where a route goes on whose target keeps its position: what the target says, weighed against the state.

Of the two the target knows better what it has, and the state what needed no message. The state also says what
of the target's word was once known, so that a target which was emptied or restored is noticed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import structlog

from eventbus.core.backoff import until_reachable
from eventbus.encoding.positions import decode_position, encode_position
from eventbus.errors import EventbusError, LeaseLost, Unreachable
from eventbus.model import Delivered, Origin, Position, Snapshot
from eventbus.runtime.snapshot_records import without_ended
from eventbus.sdk import Transactions
from eventbus.state.store import Lease, Store
from eventbus.telemetry import metrics

if TYPE_CHECKING:
    from eventbus.runtime.saver import Saver

__all__ = ["Taken", "Takeover", "parked_beyond"]

T = TypeVar("T")

log = structlog.get_logger("eventbus.route")


@dataclass(frozen=True, slots=True)
class Taken:
    """A route that is ours alone.

    Args:
        start: Where it goes on.
        parked: Ids of dead letters beyond it.
    """

    start: Position
    parked: Collection[str]


class Takeover:
    """Takes one route over in its target.

    Args:
        route: Name of the route.
        transactions: Those of the route, in its target.
        store: Where dead letters and snapshots are.
        saver: Who writes positions.
        lease: Whose epoch shuts earlier owners out.
    """

    def __init__(
        self, route: str, transactions: Transactions, store: Store, saver: Saver, lease: Lease
    ) -> None:
        self.transactions = transactions
        self.waiting_for: str | None = "not asked for its position yet"
        """Why the route is not taken over yet, for people; None once it is."""
        self._route = route
        self._store = store
        self._saver = saver
        self._lease = lease
        self._log = log.bind(subscription=lease.subscription, route=route)

    async def carry_out(self, ours: Position, agreed: Callable[[str], Awaitable[None]]) -> Taken:
        """Shut earlier owners out and decide where to go on, however long the target takes to answer.

        Args:
            ours: Where the route stands by the state.
            agreed: Tells an operator why not to go on, and waits until he has it go on all the same.

        Raises:
            LeaseLost: Another owner came after us.
        """
        theirs = await self._claimed(agreed)
        if theirs is not None:
            theirs = await self._without_ended(theirs)
        start = await self._weighed(await self._without_ended(ours), theirs, agreed)
        parked = await self._patiently(
            partial(self._store.parked_after, self._lease.subscription, self._route, parked_beyond(start))
        )
        self.waiting_for = None
        return Taken(start, parked)

    async def close(self) -> None:
        """Release what is held of the target."""
        await self.transactions.close()

    async def _claimed(self, agreed: Callable[[str], Awaitable[None]]) -> Position | None:
        """The target's word, once earlier owners are shut out; None if it keeps no position."""
        while True:
            try:
                content = await self._patiently(partial(self.transactions.claim, self._lease.epoch))
                return decode_position(content) if content is not None else None
            except LeaseLost:
                raise
            except EventbusError as error:
                await self._agreement(str(error), agreed)

    async def _agreement(self, reason: str, agreed: Callable[[str], Awaitable[None]]) -> None:
        self.waiting_for = reason
        await agreed(reason)

    async def _without_ended(self, position: Position) -> Position:
        """Without a snapshot that is over: it may have ended while nobody asked the target."""
        positions = {self._route: position}
        return (await self._patiently(partial(without_ended, self._store, positions)))[self._route]

    async def _weighed(
        self, ours: Position, theirs: Position | None, agreed: Callable[[str], Awaitable[None]]
    ) -> Position:
        if ours.origin is Origin.SET:
            self._count("moved")
            return await self._imposed(ours)
        if theirs is None:
            self._count("lost" if ours.committed else "nothing")
            if not ours.committed:
                return ours
            await self._agreement(_EMPTIED, agreed)
            return await self._imposed(ours)
        if ours.origin is Origin.FRESH:
            self._count("unknown")
            self._log.info("position_found", token=theirs.token)
            return _held(theirs)
        if theirs.token < ours.committed:
            self._count("restored")
            self._log.warning("target_restored", token=theirs.token, known=ours.committed)
            return _held(theirs)
        is_further = _is_further(theirs, ours)
        self._count("further" if is_further else "known")
        return _held(theirs if is_further else ours, theirs.token)

    def _count(self, found: str) -> None:
        metrics.taken_over(self._lease.subscription, self._route, found)

    async def _imposed(self, ours: Position) -> Position:
        """Have the target keep our position, and then the state know it: before a later one is committed."""
        imposed = replace(ours, origin=Origin.REACHED, committed=ours.token)
        await self._patiently(partial(self._commit, encode_position(imposed)))
        await self._patiently(partial(self._saver.begin, self._lease, {self._route: imposed}))
        return imposed

    async def _commit(self, content: bytes) -> None:
        answer = await self.transactions.commit([], content)
        if not isinstance(answer, Delivered):
            raise Unreachable(getattr(answer, "reason", "the target refused a position alone"))

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        return await until_reachable(call, on_failure=self._report_waiting)

    def _report_waiting(self, error: Unreachable) -> None:
        if self.waiting_for != str(error):
            self._log.warning("takeover_waited", reason=str(error))
        self.waiting_for = str(error)


_EMPTIED = (
    "its target has lost the position that it kept: it was emptied, or is another one. Resume the route to "
    "go on from where it stood, or move it with: eventbus position set"
)


def _held(position: Position, committed: str = "") -> Position:
    """A position of a route whose target keeps one."""
    return replace(position, origin=Origin.REACHED, committed=committed or position.token)


def _is_further(one: Position, other: Position) -> bool:
    """Whether a position lies beyond another, or at it with more of the same snapshot."""
    if one.token != other.token:
        return one.token > other.token
    return _progress(one.snapshot) > _progress(other.snapshot)


def _progress(snapshot: Snapshot | None) -> tuple[bool, int]:
    if snapshot is None:
        return False, -1
    return snapshot.is_finished, snapshot.read


def parked_beyond(start: Position) -> str:
    """Beyond which token dead letters may be offered again to a route that begins at a position.

    A document that is read again is found at a later place than the one at which it became a dead letter.
    """
    return start.token if start.snapshot is None or start.snapshot.is_finished else ""
