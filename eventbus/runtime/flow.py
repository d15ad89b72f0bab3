"""One reader, the stages, and the routes that are attached at the moment.

The flow owns the batch in its hand and nothing else. It waits for room holding a batch that no route has a
ticket for; what it holds is forgotten at any end, because the source still has it.
"""

from __future__ import annotations

from collections.abc import Sequence

import anyio
from anyio.streams.memory import MemoryObjectSendStream

from eventbus.core.signal import Signal
from eventbus.model import Batch, Position
from eventbus.runtime.route import Route
from eventbus.sdk import Reader, Stage
from eventbus.telemetry import metrics

__all__ = ["Flow"]


class Flow:
    """Reads a source once and feeds every attached route.

    Args:
        subscription: Name of the subscription.
        reader: Where batches come from; it starts at `start`.
        start: Where the reader starts.
        stages: The subscription's pipeline.
        routes: What is fed. A flow may feed a route only from a position at or before the last one that the
            route admitted, or the route would miss what lies between.
        changed: Notified when a route has room again.
    """

    def __init__(
        self,
        subscription: str,
        reader: Reader,
        start: Position,
        stages: Sequence[Stage],
        routes: Sequence[Route],
        changed: Signal,
    ) -> None:
        for route in routes:
            if start.token > route.admitted.token:
                raise AssertionError(f"flow starts beyond what route {route.name} admitted")
        self.position = start
        """Everything up to here was offered to every attached route, and taken."""
        self._subscription = subscription
        self._reader = reader
        self._stages = stages
        self._routes = list(routes)
        self._changed = changed
        self._is_closed = False

    async def run(self) -> None:
        """Read and hand out until the reader ends.

        Raises:
            PositionLost: The source no longer has what comes next.
            ConfigurationError: The source refuses the subscription.
        """
        send, receive = anyio.create_memory_object_stream[Batch](0)
        async with anyio.create_task_group() as tasks, receive:
            tasks.start_soon(self._poll, send)
            async for batch in receive:
                await self._hand_out(await self._through_stages(batch))

    @property
    def trouble(self) -> str | None:
        """Why its reader cannot read at the moment, for people."""
        return self._reader.trouble

    async def close(self) -> None:
        """Hand out nothing more from now on, and stop reading soon; what is in hand is forgotten."""
        self._is_closed = True
        self._changed.notify()
        await self._reader.close()

    async def _poll(self, send: MemoryObjectSendStream[Batch]) -> None:
        """Fetch the next batch while the last one is in work: the stream without a buffer makes it one."""
        async with send:
            while (batch := await self._reader.next()) is not None:
                metrics.events_read(self._subscription, batch)
                await send.send(batch)

    async def _through_stages(self, batch: Batch) -> Batch:
        slots = batch.slots
        for stage in self._stages:
            slots = await stage.apply(slots)
            if len(slots) != len(batch.slots):
                raise AssertionError(f"stage {stage.name} changed the length of a batch")
        return batch if slots is batch.slots else Batch(slots, batch.end)

    async def _hand_out(self, batch: Batch) -> None:
        while not self._is_closed:
            if not [route for route in self._routes if not route.take(batch)]:
                self.position = batch.end
                return
            await self._changed.wait()
