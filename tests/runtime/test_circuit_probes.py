"""While a sink is down, one attempt at a time asks whether it is back, and each time another event's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

import anyio
from pydantic import BaseModel

from eventbus.core.circuit import CircuitPolicy
from eventbus.model import DELIVERED, Batch, DeadLetter, Event, Fault, Message, Outcome, Position, Retry
from eventbus.runtime.letters import OnlyParked
from eventbus.runtime.policy import RetryPolicy, RoutePolicy
from eventbus.runtime.route import Route
from eventbus.runtime.shared_sink import SharedSink
from eventbus.sdk import Encoder, SinkTraits
from tests.runtime.clock import run_virtual
from tests.runtime.target import RouteTag

BACK_AT = 20.0


class Down:
    """A sink that is away until it is back, and fails one key for ever; it remembers who asked when."""

    Options: ClassVar[type[BaseModel]] = BaseModel
    name = "down"
    traits = SinkTraits(lanes=8, max_batch=1)

    def __init__(self, bad_key: bytes | None = None) -> None:
        self.asked: list[tuple[float, bytes]] = []
        self.most_at_once = 0
        self._bad_key = bad_key
        self._under_way = 0

    async def open(self) -> None:
        """See `eventbus.sdk.Sink`."""

    async def close(self) -> None:
        """See `eventbus.sdk.Sink`."""

    def encode(self, event: Event, encoder: Encoder) -> Message:
        """See `eventbus.sdk.Sink`."""
        return Message(event, encoder.encode(event))

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `eventbus.sdk.Sink`."""
        now, key = anyio.current_time(), messages[0].event.key
        self.asked.append((now, key))
        self._under_way += 1
        if 1.0 <= now < BACK_AT:  # the first attempts went out together, before anybody knew
            self.most_at_once = max(self.most_at_once, self._under_way)
        await anyio.sleep(0.1)
        self._under_way -= 1
        if anyio.current_time() < BACK_AT:
            return [Retry(Fault.UNAVAILABLE, "away")]
        return [Retry(Fault.FAILED, "poison") if key == self._bad_key else DELIVERED]


def played(sink: Down, body: Callable[[Route], Awaitable[None]]) -> list[DeadLetter]:
    """Eight events of eight keys into the sink; what was parked."""
    parked: list[DeadLetter] = []

    async def park(letters: Sequence[DeadLetter]) -> None:
        parked.extend(letters)

    async def whole() -> None:
        route = Route(
            subscription="orders",
            name="down",
            sink=SharedSink(sink),
            encoder=RouteTag("down"),
            policy=RoutePolicy(
                RetryPolicy(3, 0.1, 1.0),
                CircuitPolicy(failures=1, initial_open_secs=0.5, max_open_secs=1.0),
            ),
            start=Position("0"),
            parked=(),
            changed=lambda _: None,
            letters=OnlyParked(park),
        )
        events = [change(number) for number in range(1, 9)]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(route.run)
            assert route.take(Batch(events, events[-1].position))
            await body(route)
            tasks.cancel_scope.cancel()

    run_virtual(whole)
    return parked


def change(number: int) -> Event:
    """A change with a key of its own."""
    return Event(
        token=f"{number:04d}",
        operation="insert",
        database="d",
        collection="c",
        key=b"%d" % number,
        document_key={},
    )


async def until_settled(route: Route) -> None:
    """Others keep coming until nothing is open: an event that fails alone proves nothing about itself."""
    for number in range(100, 300):
        await anyio.sleep(0.5)
        if not route.open_events:
            return
        event = change(number)
        assert route.take(Batch([event], event.position))
    raise AssertionError(f"{route.open_events} events are still open")


def test_one_attempt_at_a_time_while_it_is_down() -> None:
    """Eight lanes wait; one of them asks. When the sink is back, all are delivered and nothing is parked."""
    sink = Down()
    assert played(sink, until_settled) == []
    assert sink.most_at_once == 1
    assert len({key for at, key in sink.asked if 1.0 <= at < BACK_AT}) > 1


def test_one_bad_event_cannot_keep_a_healthy_sink_shut() -> None:
    """It fails its probe, the next one's succeeds; then it pays for itself and is parked."""
    parked = played(Down(bad_key=b"3"), until_settled)
    assert [(letter.event.key, letter.reason, letter.attempts) for letter in parked] == [(b"3", "poison", 3)]
