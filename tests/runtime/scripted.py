"""A sink that answers as it was told, and remembers how it was called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import anyio
from pydantic import BaseModel

from eventbus.core.signal import Signal
from eventbus.model import DELIVERED, Batch, DeadLetter, Event, Message, Outcome, Position
from eventbus.runtime.letters import OnlyParked
from eventbus.runtime.policy import Ordering, RetryPolicy, RoutePolicy
from eventbus.runtime.route import Route
from eventbus.runtime.shared_sink import SharedSink
from eventbus.sdk import Encoder, SinkTraits
from tests.runtime.clock import run_virtual
from tests.runtime.target import RouteTag

__all__ = ["Scripted", "played"]


class Scripted:
    """A sink that keeps order; it gives the answers it was told, then takes everything."""

    Options: ClassVar[type[BaseModel]] = BaseModel
    name = "scripted"

    def __init__(
        self,
        *answers: Sequence[Outcome],
        traits: SinkTraits | None = None,
        secs: float = 1.0,
    ) -> None:
        self.traits = traits or SinkTraits(lanes=1, max_batch=10, keeps_order=True)
        self.calls: list[list[Event]] = []
        self.bodies: list[bytes] = []
        self.times: list[float] = []
        self.most_at_once = 0
        self.keys_at_once: set[bytes] = set()
        self._under_way: list[set[bytes]] = []
        self._answers = list(answers)
        self._secs = secs

    async def open(self) -> None:
        """See `eventbus.sdk.Sink`."""

    async def close(self) -> None:
        """See `eventbus.sdk.Sink`."""

    def encode(self, event: Event, encoder: Encoder) -> Message:
        """See `eventbus.sdk.Sink`."""
        return Message(event, encoder.encode(event))

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `eventbus.sdk.Sink`."""
        keys = {message.event.key for message in messages}
        if any(keys & others for others in self._under_way):
            self.keys_at_once |= keys
        self._under_way.append(keys)
        self.most_at_once = max(self.most_at_once, len(self._under_way))
        self.calls.append([message.event for message in messages])
        self.bodies += [message.body for message in messages]
        self.times.append(anyio.current_time())
        await anyio.sleep(self._secs)
        self._under_way.remove(keys)
        return self._answers.pop(0) if self._answers else [DELIVERED] * len(messages)


def played(
    sink: Scripted,
    events: Sequence[Event],
    policy: RoutePolicy | None = None,
    *,
    rate_per_sec: float | None = None,
    concurrency: int | None = None,
    park_secs: float = 0.0,
) -> list[DeadLetter]:
    """The events into the sink, until all are settled; what was parked."""
    parked: list[DeadLetter] = []

    async def park(letters: Sequence[DeadLetter]) -> None:
        await anyio.sleep(park_secs)
        parked.extend(letters)

    async def whole() -> None:
        changed = Signal()
        shared = SharedSink(sink, rate_per_sec=rate_per_sec, concurrency=concurrency)
        await shared.open()
        route = Route(
            subscription="orders",
            name="scripted",
            sink=shared,
            encoder=RouteTag("scripted"),
            policy=policy or RoutePolicy(RetryPolicy(3, 0.1, 1.0)),
            start=Position("0"),
            parked=(),
            letters=OnlyParked(park),
            changed=lambda _: changed.notify(),
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(route.run)
            assert route.take(Batch(events, events[-1].position))
            while route.open_events:
                await changed.wait()
            tasks.cancel_scope.cancel()

    run_virtual(whole)
    is_ordered = policy is None or policy.ordering is not Ordering.NONE
    assert not (is_ordered and sink.keys_at_once), "two attempts at once with one key"
    return parked
