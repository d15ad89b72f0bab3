"""One subscription into one sink: admission, window and watermark. Delivery is next door.

`Route.take` is the only way in. It awaits nothing, so neither cancellation nor a hand-over can split it: what
is admitted belongs to the route, what is not stays with the flow.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import anyio
import structlog
from anyio.abc import TaskStatus

from eventbus.core.circuit import Circuit, CircuitState
from eventbus.core.debt import Debt
from eventbus.core.gate import Gate
from eventbus.core.holds import Hold
from eventbus.core.signal import Signal
from eventbus.core.window import Ticket, Window
from eventbus.model import Batch, Event, Filtered, Parked, Position, Slot, Snapshot, Taken
from eventbus.runtime.completeness import Completeness
from eventbus.runtime.delivery import Delivery, DeliveryParts
from eventbus.runtime.lane_delivery import LaneDelivery
from eventbus.runtime.letters import Letters
from eventbus.runtime.policy import RoutePolicy
from eventbus.runtime.shared_sink import SharedSink
from eventbus.runtime.slice_delivery import SliceDelivery
from eventbus.runtime.takeover import Takeover
from eventbus.sdk import Encoder
from eventbus.telemetry.metrics import RouteMetrics, Tally

if TYPE_CHECKING:
    from eventbus.runtime.flow import Flow

__all__ = ["Route"]

log = structlog.get_logger("eventbus.route")

_CLOSE_SECS = 1.0


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
        held: What each held key waits behind; of no use where keys are not held.
        changed: Told of the route when room came back, its circuit moved, or it was paused or resumed.
        is_replay: Whether it sends past events once more, beside a live route: it has a reader of its own,
            and an end.
        takeover: Takes it over in its target, which keeps its position; None if that keeps none.
        rng: Where jitter comes from.
        ask_for_pause: Told why, when the sink wants nothing more or has failed for too long; None if nobody
            could lift a pause.
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
        changed: Callable[[Route], None],
        held: Mapping[bytes, Hold] | None = None,
        is_replay: bool = False,
        takeover: Takeover | None = None,
        rng: Random | None = None,
        ask_for_pause: Callable[[str], None] | None = None,
    ) -> None:
        self.name = name
        self.sink = sink
        self.admitted = replace(start, committed="")
        """Everything up to here was taken or skipped."""
        self.is_replay = is_replay
        self.is_fed = False
        """Whether a replay has been offered all that it is to send."""
        self.flow: Flow | None = None
        """The flow that feeds it at the moment; only the arrangement sets this."""
        self.wanted_snapshot: Snapshot | None = None
        """A snapshot that is to begin between two batches; only the arrangement begins it."""
        self.debt = Debt()
        self.lost: str | None = None
        """Why it cannot be fed any more, for people: the source has lost its position."""
        self._window = Window(self.admitted, events=policy.window_events, size=policy.window_size)
        self._circuit = Circuit(policy.circuit)
        self._parked = set(parked)
        self._barrier: Ticket | None = None
        self._changed = Signal(lambda: changed(self))
        self._gate = Gate()
        label = f"{name.partition('@')[0]}@replay" if is_replay else name  # labels are bounded
        self._subscription = subscription
        self._watermark_every_secs = policy.watermark_every_secs
        self._when = policy.when
        self._prepare = policy.prepare() if policy.prepare is not None else None
        self._metrics = RouteMetrics(subscription, label)
        parts = DeliveryParts(
            subscription=subscription,
            route=name,
            sink=sink,
            encoder=encoder,
            policy=policy,
            window=self._window,
            circuit=self._circuit,
            gate=self._gate,
            changed=self._changed,
            letters=letters,
            held=held or {},
            metrics=self._metrics,
            rng=rng or Random(),
            pause=self._pause_itself,
        )
        self._takeover = takeover
        self._slices = SliceDelivery(parts, takeover.transactions, start.committed) if takeover else None
        self._delivery: Delivery = self._slices or LaneDelivery(parts)
        self._ask_for_pause = ask_for_pause

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
            count = self._admissible(batch, place)
            if not count:
                return False
            self._admit(batch.slots[place : place + count], batch.read_at)
            place += count
        if batch.end.token >= self.admitted.token:
            self._window.advance(batch.end)
            self.admitted = batch.end
        return True

    def watermark(self) -> Position:
        """Everything up to here is delivered, parked or filtered.

        What is still open may know of a snapshot that is forgotten by now: that is no part of the position.
        """
        mark = self._window.watermark()
        if mark.snapshot is not None and mark.snapshot.id != _id_of(self.admitted.snapshot):
            mark = replace(mark, snapshot=None)
        return mark if self._slices is None else replace(mark, committed=self._slices.committed)

    def saved(self, position: Position) -> None:
        """This is what it would go on from now, were the process to end."""
        self._metrics.saved(position)

    @property
    def snapshot(self) -> Snapshot | None:
        """The snapshot that is under way or about to begin, as far as it was admitted."""
        return self.wanted_snapshot or self.admitted.snapshot

    def skip(self, event_ids: Collection[str]) -> None:
        """These are settled already, wherever they are offered again."""
        self._parked.update(event_ids)

    def begin_snapshot(self) -> None:
        """From here on documents are read beside the changes, as it is wanted."""
        assert self.flow is None or self.flow.position.token == self.admitted.token
        self.admitted = replace(self.admitted, snapshot=self.wanted_snapshot)
        self._window.advance(self.admitted)
        self.wanted_snapshot = None

    def forget_snapshot(self) -> None:
        """From here on nothing but changes is read: the snapshot is done or not wanted any more."""
        self.admitted = replace(self.admitted, snapshot=None)
        self.wanted_snapshot = None

    @property
    def settled_events(self) -> int:
        """How many events this route has settled since it was made."""
        return self._window.settled_events

    @property
    def tally(self) -> Tally:
        """What this route has settled since it was made, by outcome."""
        return self._metrics.tally

    @property
    def open_events(self) -> int:
        """How many events lie between the watermark and the last admitted one."""
        return self._window.events

    @property
    def paused(self) -> str | None:
        """Why it is paused, for people; None if it is not."""
        return self._gate.reason

    def pause(self, reason: str) -> None:
        """Make no further attempt. What is open stays open, and nothing more is taken."""
        self._gate.close(reason)
        self._changed.notify()

    def resume(self) -> None:
        """Go on with what is open, and be fed again."""
        self._circuit.hope()
        self._gate.open()
        self._changed.notify()

    def _pause_itself(self, reason: str) -> None:
        if self._ask_for_pause is not None and self.paused is None:
            stored = f"{reason} (by the daemon)"
            self._ask_for_pause(stored)
            self.pause(stored)

    def lose(self, reason: str) -> None:
        """The source no longer has what comes next: nobody can feed it."""
        self.lost = reason
        self._changed.notify()

    @property
    def is_halted(self) -> bool:
        """Whether nobody may feed it."""
        return self.paused is not None or self.lost is not None or self.not_ours is not None

    @property
    def not_ours(self) -> str | None:
        """Why it is not taken over yet in its target, for people; None if it is, or need not be."""
        return self._takeover.waiting_for if self._takeover is not None else None

    @property
    def halted_by(self) -> str:
        """Why nobody may feed it, in few words."""
        if self.paused is not None:
            return "paused"
        return "position lost" if self.lost is not None else "not taken over"

    @property
    def circuit_is_closed(self) -> bool:
        """Whether attempts go out freely."""
        return self._circuit.is_closed()

    @property
    def is_stuck(self) -> bool:
        """Whether its window is full and nothing moves: its sink is down, or was never there."""
        is_down = self.sink.waiting_for is not None or not self._circuit.is_closed()
        return self._window.is_full and is_down

    @property
    def wants_feeding(self) -> bool:
        """Whether a reader would be of use to it: with half a window there is work enough for a while.

        With an empty window even an open circuit needs an event to try itself on.
        """
        ready = self._circuit.is_closed() or self._window.is_empty
        return ready and not self.is_halted and not self.is_fed and self._window.is_half_empty

    def fed(self) -> None:
        """Its reader has come to its end: what is open is all that is left."""
        self.is_fed = True
        self._changed.notify()

    @property
    def is_complete(self) -> bool:
        """Whether a replay has sent all that it was to send."""
        return self.is_fed and self._window.is_empty

    @property
    def circuit_reason(self) -> str:
        """Why the circuit is not closed, for people; empty when it is closed."""
        return self._circuit.reason

    @property
    def circuit_open_since(self) -> float | None:
        """When the circuit was opened, in seconds of the loop's clock; None while it is closed."""
        return self._circuit.open_since

    @property
    def held(self) -> Mapping[bytes, Hold]:
        """What each held key waits behind."""
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
            circuit=lambda: float(self._circuit_shown()),
            snapshot=lambda: self.watermark().snapshot,
        )
        async with anyio.create_task_group() as tasks:
            await self.sink.open()
            if self._takeover is not None:
                await tasks.start(self._keep, self._takeover)
            self._changed.notify()
            if self._watermark_every_secs is not None and not self.is_replay:
                tasks.start_soon(self._tell_completeness, self._watermark_every_secs)
            await self._delivery.run()

    def _circuit_shown(self) -> CircuitState:
        """To whom it is shown, a sink that was not there at the start is down like any other."""
        if self.sink.waiting_for is not None:
            return CircuitState.OPEN
        return self._circuit.state(anyio.current_time())

    async def _keep(self, takeover: Takeover, *, task_status: TaskStatus[None]) -> None:
        """Take it over in its target, and let go of it at the end."""
        assert self._slices is not None
        try:
            taken = await takeover.carry_out(self.watermark(), self._agreed)
            self._slices.committed = taken.start.committed
            self.admitted = replace(taken.start, committed="")
            self._window.advance(self.admitted)
            self._parked = set(taken.parked)
            task_status.started()
            await anyio.sleep_forever()
        finally:
            with anyio.move_on_after(_CLOSE_SECS, shield=True):
                await takeover.close()

    async def _agreed(self, reason: str) -> None:
        """Have it paused for a reason of its own, and wait until it is resumed all the same."""
        if reason not in (self.paused or ""):
            await self._gate.passed()
            self._pause_itself(reason)
        await self._gate.passed()

    async def _tell_completeness(self, every_secs: float) -> None:
        """Now and then say up to when everything is settled. What cannot be said now is said next time."""
        completeness = Completeness(self._subscription, self.name, self.admitted)
        complained = False
        while True:
            await anyio.sleep(every_secs)
            watermark, events = self.watermark(), self._window.covered()
            statement = completeness.statement(watermark, events)
            if statement is None or not self._circuit.is_closed() or self.paused is not None:
                continue
            problem = await self._delivery.announce(statement)
            if problem is None:
                completeness.told(watermark, events)
            elif not complained:
                log.warning(
                    "watermark_not_sent", subscription=self._subscription, route=self.name, reason=problem
                )
            complained = problem is not None

    async def drained(self) -> None:
        """Wait until nothing is open, or nothing can be done about what is; no batch waits any more."""
        self._delivery.hurry()
        while not self._window.is_empty and self._can_progress():
            await self._changed.wait()

    async def completed(self) -> None:
        """Wait until a replay has sent all that it was to send, or its position is lost."""
        while not self.is_complete and self.lost is None:
            await self._changed.wait()

    def _can_progress(self) -> bool:
        return self._circuit.is_closed() and self.sink.waiting_for is None and self.paused is None

    def _admissible(self, batch: Batch, place: int) -> int:
        """How many slots from `place` may enter now. A barrier enters an empty window, alone."""
        if self._barrier is not None and self._barrier.open:
            return 0
        barrier = batch.barrier_after(place)
        if barrier == place:
            return 1 if self._window.is_empty else 0
        return self._window.fitting(batch.sizes, place, barrier)

    def _admit(self, slots: Sequence[Slot], read_at: float) -> None:
        end = slots[-1].event.position
        if (when := self._when) is not None:
            slots = [when(slot) if isinstance(slot, Event) else slot for slot in slots]
        wanted = [slot for slot in slots if not isinstance(slot, Filtered)]
        if self._parked:
            wanted = [slot for slot in wanted if not self._is_parked(slot)]
        alive: Sequence[Taken] = wanted if self._prepare is None else self._prepare(wanted)
        if len(alive) < len(slots):
            self._metrics.filtered(len(slots) - len(alive))
        if alive:
            ticket = self._window.open(alive, end, read_at)
            self._barrier = ticket if ticket.events[0].is_barrier else None
            self._delivery.put(ticket.entries())
        else:
            self._window.advance(end)
        self.admitted = end

    def _is_parked(self, slot: Event | Parked) -> bool:
        """Whether an earlier life of this route parked the event after the position it had stored."""
        if slot.event.id not in self._parked:
            return False
        self._parked.discard(slot.event.id)
        return True


def _id_of(snapshot: Snapshot | None) -> str | None:
    return snapshot.id if snapshot is not None else None
