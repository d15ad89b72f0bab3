"""One reader, the stages, and the routes that are attached at the moment.

The flow owns the batch in its hand and nothing else. It waits for room holding a batch that no route has a
ticket for; what it holds is forgotten at any end, because the source still has it. Which routes are attached
is decided next door, in the arrangement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

import anyio
from anyio.streams.memory import MemoryObjectSendStream

from eventbus.core.signal import Signal
from eventbus.errors import PositionLost
from eventbus.model import Batch, Position
from eventbus.runtime.route import Route
from eventbus.sdk import Reader, Stage
from eventbus.telemetry import metrics, progress

if TYPE_CHECKING:
    from eventbus.runtime.arrangement import Arrangement

__all__ = ["Flow"]

_CLOSE_SECS = 5.0
_SPEEDING_UP = 0.8


@dataclass(frozen=True, slots=True)
class _Polled:
    """A batch, where the main flow stood when the poll for it was sent, and how long the poll took."""

    batch: Batch
    goal: str
    secs: float


class Flow:
    """Reads a source once and feeds every attached route.

    Args:
        subscription: Name of the subscription.
        reader: Where batches come from; it starts at `start`.
        start: Where the reader starts.
        stages: What happens to each batch before routes are offered it.
        arrangement: Who decides which routes are attached.
    """

    def __init__(
        self,
        subscription: str,
        reader: Reader,
        start: Position,
        stages: Sequence[Stage],
        arrangement: Arrangement,
    ) -> None:
        self.position = start
        """Everything up to here was offered to every attached route, and taken."""
        self.snapshot_id = start.snapshot.id if start.snapshot is not None else None
        """The snapshot whose documents it reads beside the changes; None if it reads nothing but changes."""
        self.read = start
        """The end of the batch in hand."""
        self.routes: list[Route] = []
        """The attached routes; only the arrangement changes this."""
        self.woken = Signal()
        """Notified when a route has room, joins or leaves, or when the flow must look again."""
        self.held_until = 0.0
        """The next batch waits until then, so that a catch-up flow can merge."""
        self.next_hold_at = 0.0
        """There is no further hold before then."""
        self.cycle_secs = 0.0
        """How long the last batch took from the poll to the end of its handing out."""
        self.is_speeding_up = False
        """Whether the last batch took clearly less time than the one before: near the head they shrink."""
        self.leaps_to = ""
        """The token up to which it leaps, because its position was lost; nobody may join it before."""
        self.is_exhausted = False
        """Whether the reader came to its end by itself, as bounded ones do."""
        self._subscription = subscription
        self._reader = reader
        self._stages = stages
        self._arrangement = arrangement
        self._ending = anyio.Event()
        self._lost: PositionLost | None = None

    @property
    def trouble(self) -> str | None:
        """Why it does not go on at the moment, for people."""
        return self._reader.trouble or _trouble_of(self._stages)

    @property
    def is_leaping(self) -> bool:
        """Whether what it will hand out next skips changes that routes elsewhere may still be given."""
        return self.position.token < self.leaps_to

    @property
    def is_ending(self) -> bool:
        """Whether it was told to end."""
        return self._ending.is_set()

    def end(self) -> None:
        """Hand out nothing more from now on, and stop reading soon; what is in hand is forgotten."""
        self._ending.set()

    async def run(self) -> None:
        """Read and hand out until `end`, or until the reader ends.

        Raises:
            PositionLost: The source no longer has what comes next.
            ConfigurationError: The source refuses the subscription.
        """
        send, receive = anyio.create_memory_object_stream[_Polled](0)
        try:
            async with anyio.create_task_group() as tasks, receive:
                tasks.start_soon(self._stop_at_end, tasks.cancel_scope)
                tasks.start_soon(self._poll, send)
                async for polled in receive:
                    await self._work(polled)
                if self._lost is not None:
                    raise self._lost
                self.is_exhausted = not self.is_ending
                self._ending.set()
        finally:
            with anyio.move_on_after(_CLOSE_SECS, shield=True):
                await self._reader.close()

    async def _stop_at_end(self, scope: anyio.CancelScope) -> None:
        """Close the reader first, so that a poll under way ends in good order, then give the rest up."""
        await self._ending.wait()
        with anyio.move_on_after(_CLOSE_SECS):
            await self._reader.close()
        scope.cancel()

    async def _poll(self, send: MemoryObjectSendStream[_Polled]) -> None:
        """Fetch the next batch while the last one is in work: the stream without a buffer makes it one.

        Where the position is lost, what was read before is handed out first, for nobody can read it again.
        """
        async with send:
            with progress.reported(f"a reader of {self._subscription}", ends=True):
                while True:
                    goal, begun = self._arrangement.main_token(), anyio.current_time()
                    try:
                        batch = await self._reader.next()
                    except PositionLost as lost:
                        self._lost = lost
                        return
                    if batch is None:
                        return
                    batch.read_at = anyio.current_time()
                    metrics.events_read(self._subscription, batch)
                    progress.resting()  # routes may have no room for as long as they like
                    await send.send(_Polled(batch, goal, anyio.current_time() - begun))

    async def _work(self, polled: _Polled) -> None:
        begun = anyio.current_time()
        batch = await self._through_stages(polled.batch)
        await self._obey_hold()
        if await self._hand_out(batch):
            cycle_secs = polled.secs + anyio.current_time() - begun
            self.is_speeding_up = cycle_secs < _SPEEDING_UP * self.cycle_secs
            self.cycle_secs = cycle_secs
            self._arrangement.batch_done(self, polled.goal)

    async def _through_stages(self, batch: Batch) -> Batch:
        slots = batch.slots
        for stage in self._stages:
            slots = await stage.apply(slots)
            if len(slots) != len(batch.slots):
                raise AssertionError(f"stage {stage.name} changed the length of a batch")
        return batch if slots is batch.slots else Batch(slots, batch.end, batch.read_at)

    async def _obey_hold(self) -> None:
        while (left := self.held_until - anyio.current_time()) > 0:
            with anyio.move_on_after(left):
                await self.woken.wait()

    async def _hand_out(self, batch: Batch) -> bool:
        """Offer the batch until every attached route has taken all of it. Routes may come and go meanwhile.

        Returns:
            False if the flow was told to end before.
        """
        self.read = batch.end
        while not self.is_ending:
            behind = [route for route in self.routes if not route.take(batch)]
            self._arrangement.merge_from(self)
            behind = [route for route in behind if route in self.routes]
            if not behind:
                self.position = batch.end
                return True
            await self._wait_for_room(behind)
        return False

    async def _wait_for_room(self, behind: Sequence[Route]) -> None:
        patience_secs = self._arrangement.detach_hopeless(self, behind)
        if patience_secs is None:
            return
        if patience_secs == inf:
            await self.woken.wait()
            return
        begun, work_begun = anyio.current_time(), self._arrangement.work_secs()
        others = [route for route in self.routes if route not in behind]
        are_idle = not any(route.open_events for route in others)
        with anyio.move_on_after(patience_secs):
            await self.woken.wait()
        now, work_ended = anyio.current_time(), self._arrangement.work_secs()
        worked_secs = work_ended - work_begun if others else 0.0  # else somebody waits for its reader
        for route in behind:
            route.debt.add(now - begun, now, worked_secs=worked_secs, alone=are_idle)


def _trouble_of(stages: Sequence[Stage]) -> str | None:
    """What stages wait for, for people; most wait for nothing and say nothing."""
    return next((trouble for stage in stages if (trouble := getattr(stage, "trouble", None))), None)
