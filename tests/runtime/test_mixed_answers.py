"""A call in which the events of one key fare differently, as a sink of somebody else's may answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import anyio
from pydantic import BaseModel

from eventbus.model import (
    DELIVERED,
    Batch,
    DeadLetter,
    Event,
    Fault,
    Message,
    Outcome,
    Position,
    Rejected,
    Retry,
)
from eventbus.runtime.letters import OnlyParked
from eventbus.runtime.policy import RetryPolicy, RoutePolicy
from eventbus.runtime.route import Route
from eventbus.runtime.shared_sink import SharedSink
from eventbus.sdk import Encoder, SinkTraits
from tests.runtime.clock import run_virtual
from tests.runtime.history import Fate, History
from tests.runtime.scenes import changes_of
from tests.runtime.target import RouteTag

AWAY = Retry(Fault.UNAVAILABLE, "away")
FAILED = Retry(Fault.FAILED, "failed")


class Scripted:
    """A sink that keeps order; it gives the answers it was told, then takes everything."""

    Options: ClassVar[type[BaseModel]] = BaseModel
    name = "scripted"
    traits = SinkTraits(lanes=1, max_batch=10, keeps_order=True)

    def __init__(self, *answers: Sequence[Outcome]) -> None:
        self.calls: list[list[Event]] = []
        self.under_way: set[bytes] = set()
        self._answers = list(answers)

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
        assert not keys & self.under_way, "two attempts at once with one key"
        self.under_way |= keys
        self.calls.append([message.event for message in messages])
        await anyio.sleep(1.0)
        self.under_way -= keys
        return self._answers.pop(0) if self._answers else [DELIVERED] * len(messages)


def played(sink: Scripted, events: Sequence[Event]) -> list[DeadLetter]:
    """The events into the sink; what was parked."""
    parked: list[DeadLetter] = []

    async def park(letters: Sequence[DeadLetter]) -> None:
        parked.extend(letters)

    async def whole() -> None:
        shared = SharedSink(sink)
        await shared.open()
        route = Route(
            subscription="orders",
            name="scripted",
            sink=shared,
            encoder=RouteTag("scripted"),
            policy=RoutePolicy(RetryPolicy(3, 0.1, 1.0)),
            start=Position("0"),
            parked=(),
            letters=OnlyParked(park),
            changed=lambda _: None,
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(route.run)
            assert route.take(Batch(events, events[-1].position))
            await route.drained()
            tasks.cancel_scope.cancel()

    run_virtual(whole)
    return parked


def test_a_key_of_which_a_later_event_is_refused_keeps_its_order() -> None:
    """What comes before the refused one and what comes after go on one behind the other."""
    first, refused, last, other = events = changes_of(History(), "xxxa")
    sink = Scripted([AWAY, Rejected("never"), AWAY, DELIVERED])
    (letter,) = played(sink, events)
    assert letter.event is refused
    assert sink.calls == [[first, refused, last, other], [first], [last]]


def test_a_refused_event_waits_behind_an_earlier_one_that_failed() -> None:
    """It is parked in its turn, and what comes later of its key is behind it."""
    first, refused, last = events = changes_of(History(), "xxx")
    sink = Scripted([FAILED, Rejected("never"), FAILED])
    (letter,) = played(sink, events)
    assert letter.event is refused
    assert sink.calls == [events, [first], [last]]


def test_an_event_without_a_form_waits_for_an_earlier_one_that_is_under_way() -> None:
    """It was to go out in the same call; so does what comes later of its key, one behind the other."""
    history = History()
    first, dead = history.change("x"), history.change("x", fate=Fate.UNENCODABLE)
    last, other = changes_of(history, "xa")
    sink = Scripted()
    (letter,) = played(sink, [first, dead, last, other])
    assert letter.event is dead
    assert sink.calls == [[first, other], [last]]
