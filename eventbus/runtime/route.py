"""One subscription into one sink: admission, window and watermark. Delivery is next door.

`Route.take` is the only way in. It awaits nothing, so neither cancellation nor a hand-over can split it: what
is admitted belongs to the route, what is not stays with the flow.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from random import Random

import anyio

from eventbus.core.circuit import Circuit
from eventbus.core.lanes import Entry
from eventbus.core.signal import Signal
from eventbus.core.window import Ticket, Window
from eventbus.model import Batch, Event, Filtered, Parked, Position, Slot
from eventbus.runtime.delivery import Delivery
from eventbus.runtime.letters import Letters
from eventbus.runtime.policy import RoutePolicy
from eventbus.runtime.shared_sink import SharedSink
from eventbus.sdk import Encoder
from eventbus.telemetry.metrics import RouteMetrics

__all__ = ["Route"]


class Route:
    """A route and its own position.

    Args:
        subscription: Name of the subscription.
        name: Name of the route.
        sink: Where its events go.
        encoder: What its messages look like.
        policy: Its patience and its size.
        start: Everything up to here is settled on this route.
        parked: Ids of dead letters beyond `start`: their events are settled already.
        letters: The way to the store of dead letters.
        held: By key the id of the event that it waits behind; of no use where keys are not held.
        changed: Notified when room came back or the circuit moved.
        rng: Where jitter comes from.
    """

    def __init__(
        self,
        *,
        subscription: str,
        name: str,
        sink: SharedSink,
        encoder: Encoder,
        policy: RoutePolicy,
        start: Position,
        parked: Collection[str],
        letters: Letters,
        held: Mapping[bytes, str] | None = None,
        changed: Signal,
        rng: Random | None = None,
    ) -> None:
        self.name = name
        self.sink = sink
        self.admitted = start
        self._window = Window(start, events=policy.window_events, size=policy.window_size)
        self._circuit = Circuit(policy.circuit)
        self._parked = set(parked)
        self._barrier: Ticket | None = None
        self._changed = changed
        self._metrics = RouteMetrics(subscription, name)
        self._delivery = Delivery(
            subscription=subscription,
            route=name,
            sink=sink,
            encoder=encoder,
            policy=policy,
            window=self._window,
            circuit=self._circuit,
            letters=letters,
            held=held or {},
            changed=changed,
            metrics=self._metrics,
            rng=rng or Random(),
        )

    def take(self, batch: Batch) -> bool:
        """Admit what fits of everything beyond what was admitted before.

        Args:
            batch: In source order. Whatever is at or before the last admitted position is skipped, so a
                batch may be offered again, by any flow.

        Returns:
            Whether everything in the batch is admitted now; if not, offer it again when something changed.
        """
        place = batch.after(self.admitted.token)
        while place < len(batch):
            count = self._admissible(batch.slots, place)
            if not count:
                return False
            self._admit(batch.slots[place : place + count])
            place += count
        if batch.end.token >= self.admitted.token:
            self._window.advance(batch.end)
            self.admitted = batch.end
        return True

    def watermark(self) -> Position:
        """Everything up to here is delivered, parked or filtered."""
        return self._window.watermark()

    @property
    def settled_events(self) -> int:
        """How many events this route has settled since it was made."""
        return self._window.settled_events

    @property
    def open_events(self) -> int:
        """How many events lie between the watermark and the last admitted one."""
        return self._window.events

    @property
    def circuit_reason(self) -> str:
        """Why the circuit is not closed, for people; empty when it is closed."""
        return self._circuit.reason

    @property
    def held(self) -> Mapping[bytes, str]:
        """By key the id of the event that it waits behind."""
        return self._delivery.held

    @property
    def parks(self) -> int:
        """See `Delivery.parks`."""
        return self._delivery.parks

    def release(self, keys: Collection[bytes], asked: int) -> None:
        """See `Delivery.release`."""
        self._delivery.release(keys, asked)

    async def run(self) -> None:
        """Deliver what is admitted, until cancelled."""
        self._metrics.observe(
            watermark=lambda: float((self.watermark().cluster_time or (0, 0))[0]),
            events=lambda: float(self._window.events),
            size=lambda: float(self._window.size),
            circuit=lambda: float(self._circuit.state(anyio.current_time())),
        )
        await self._delivery.run()

    async def drained(self) -> None:
        """Wait until nothing is open, or nothing can be done about what is; no batch waits any more."""
        self._delivery.hurry()
        while not self._window.is_empty and self._circuit.is_closed() and self.sink.waiting_for is None:
            await self._changed.wait()

    def _admissible(self, slots: Sequence[Slot], place: int) -> int:
        """How many slots from `place` may enter now. A barrier enters an empty window, alone."""
        if self._barrier is not None and self._barrier.open:
            return 0
        if _is_barrier(slots[place]):
            return 1 if self._window.is_empty else 0
        last = place + 1
        limit = min(len(slots), place + self._window.grain)
        while last < limit and not _is_barrier(slots[last]):
            last += 1
        return self._window.fitting(slots, place, last)

    def _admit(self, slots: Sequence[Slot]) -> None:
        end = slots[-1].event.position
        alive = [slot for slot in slots if not isinstance(slot, Filtered) and not self._is_parked(slot)]
        if len(alive) < len(slots):
            self._metrics.filtered(len(slots) - len(alive))
        if alive:
            ticket = self._window.open(alive, end)
            self._barrier = ticket if _is_barrier(alive[0]) else None
            self._delivery.put([Entry(ticket, place) for place in range(len(alive))])
        else:
            self._window.advance(end)
        self.admitted = end

    def _is_parked(self, slot: Event | Parked) -> bool:
        """Whether an earlier life of this route parked the event after the position it had stored."""
        if not self._parked or slot.event.id not in self._parked:
            return False
        self._parked.discard(slot.event.id)
        return True


def _is_barrier(slot: Slot) -> bool:
    return slot.event.is_barrier and not isinstance(slot, Filtered)
