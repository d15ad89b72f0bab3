"""The contract kit finds what is wrong with a sink: a good one passes, and each fault fails its test."""

from __future__ import annotations

import json
from collections.abc import Sequence
from inspect import signature
from typing import ClassVar

import anyio
import anyio.lowlevel
import pytest
from pydantic import BaseModel

from eventbus.sdk import (
    DELIVERED,
    Encoded,
    Encoder,
    EncodingError,
    Event,
    Fault,
    Message,
    Options,
    Outcome,
    Rejected,
    Retry,
    SinkTraits,
    Unreachable,
)
from eventbus.testing import Changes, Received, SinkContract, SinkOutageContract, SinkRejectionContract
from tests.testing.lists import ListHarness

_LARGEST = 5000


class _Target:
    """What a sink writes to: a list, for as long as it is up."""

    def __init__(self) -> None:
        self.up = True
        self.taken: list[Received] = []


class _NoOptions(Options):
    """Nothing to choose."""


class ListSink:
    """A sink that keeps its promises, but for the fault that it is told to have."""

    Options: ClassVar[type[BaseModel]] = _NoOptions
    traits = SinkTraits(max_batch=20, max_batch_bytes=10_000, keeps_order=True)

    def __init__(self, target: _Target, fault: str) -> None:
        self.name = "list"
        self._target = target
        self._fault = fault
        self._closed = False
        self._busy = False
        self._numbers = 0

    async def open(self) -> None:
        await anyio.lowlevel.checkpoint()
        if not self._target.up:
            raise RuntimeError if self._fault == "open raises anything" else Unreachable("down")

    async def close(self) -> None:
        if self._closed and self._fault == "close only once":
            raise RuntimeError("closed already")
        self._closed = True

    def encode(self, event: Event, encoder: Encoder) -> Encoded:
        try:
            body = encoder.encode(event)
        except EncodingError:
            if self._fault == "crashes on what cannot be encoded":
                raise RuntimeError from None
            return Rejected("not encodable")
        if self._fault == "another body each time":
            self._numbers += 1
            body = body.replace(b"{", b'{"n":%d,' % self._numbers, 1)
        return Message(event, body)

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        if self._busy:
            return [Retry(Fault.UNAVAILABLE, "busy")] * len(messages)
        self._busy = self._fault == "stays busy when cancelled"
        await anyio.lowlevel.checkpoint()
        self._busy = False
        if not self._target.up:
            return self._down(messages)
        if self._fault == "one refused, all refused" and any(len(m.body) > _LARGEST for m in messages):
            return [Rejected("too large")] * len(messages)
        outcomes = [self._take(message) for message in self._in_some_order(messages)]
        return outcomes[1:] if self._fault == "an outcome too few" else outcomes

    def _in_some_order(self, messages: Sequence[Message]) -> Sequence[Message]:
        return list(reversed(messages)) if self._fault == "reverses a batch" else messages

    def _down(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        match self._fault:
            case "send raises":
                raise OSError("down")
            case "blames the event":
                return [Retry(Fault.FAILED, "down")] * len(messages)
            case "says delivered when down":
                return [DELIVERED] * len(messages)
            case "rejects when down":
                return [Rejected("down")] * len(messages)
            case _:
                return [Retry(Fault.UNAVAILABLE, "down")] * len(messages)

    def _take(self, message: Message) -> Outcome:
        if len(message.body) > _LARGEST:
            too_late = Retry(Fault.FAILED, "too large")
            return too_late if self._fault == "never gives up on the large" else Rejected("too large")
        if self._fault == "loses every tenth" and len(self._target.taken) % 10 == 9:
            self._target.taken.append(Received("lost", b""))
            return DELIVERED
        body = message.body + b"\n" if self._fault == "changes the body" else message.body
        self._target.taken += [Received(message.event.id, body)] * (2 if self._fault == "writes twice" else 1)
        return DELIVERED


class _Harness(ListHarness[ListSink]):
    def __init__(self, fault: str = "") -> None:
        target = _Target()
        super().__init__(target, lambda: ListSink(target, fault))


class _Contracts(SinkContract, SinkRejectionContract, SinkOutageContract):
    patience_secs: ClassVar[float] = 2.0

    def poison(self, changes: Changes) -> Event:
        return changes.change("poison", text="x" * _LARGEST)


class TestListSink(_Contracts):
    """The good one."""

    @pytest.fixture
    def harness(self) -> _Harness:
        return _Harness()


class _StateHarness(_Harness):
    """Of each key there is only what was written last."""

    async def received(self) -> Sequence[Received]:
        documents = {message.id: json.loads(message.body)["document"] for message in self._target.taken}
        newest = {documents[message.id]["_id"]: message for message in self._target.taken}
        return list(newest.values())


class _StateContracts(_Contracts):
    keeps_history: ClassVar[bool] = False


class TestStateSink(_StateContracts):
    """A good one that keeps but the newest of each key."""

    @pytest.fixture
    def harness(self) -> _Harness:
        return _StateHarness()


@pytest.mark.anyio
@pytest.mark.parametrize("finder", ["keeps_the_order_of_a_key", "sends_of_several_tasks_do_not_mix_up"])
async def test_an_old_state_fails_the_tests_of_order(finder: str) -> None:
    """As if it had been written last."""
    test = getattr(_StateContracts(), f"test_{finder}")
    with pytest.raises(AssertionError):
        await test(_StateHarness("reverses a batch"), Changes())


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("fault", "finder"),
    [
        ("loses every tenth", "delivers_a_batch_with_one_outcome_for_each_message"),
        ("loses every tenth", "delivers_the_largest_batch_it_asks_for"),
        ("an outcome too few", "delivers_a_batch_with_one_outcome_for_each_message"),
        ("changes the body", "delivers_a_batch_with_one_outcome_for_each_message"),
        ("writes twice", "delivers_a_batch_with_one_outcome_for_each_message"),
        ("reverses a batch", "keeps_the_order_of_a_key"),
        ("reverses a batch", "sends_of_several_tasks_do_not_mix_up"),
        ("another body each time", "the_same_event_gives_the_same_message"),
        ("never gives up on the large", "a_message_larger_than_a_batch_is_taken_or_refused"),
        ("crashes on what cannot be encoded", "an_event_that_cannot_be_encoded_is_refused_before_sending"),
        ("stays busy when cancelled", "cancelling_a_send_leaves_the_sink_usable"),
        ("close only once", "close_may_come_at_any_time_and_again"),
        ("one refused, all refused", "a_refused_message_takes_no_other_with_it"),
        ("never gives up on the large", "a_refused_message_takes_no_other_with_it"),
        ("send raises", "a_dead_target_is_an_outcome_and_the_sink_recovers"),
        ("blames the event", "a_dead_target_is_an_outcome_and_the_sink_recovers"),
        ("says delivered when down", "a_dead_target_is_an_outcome_and_the_sink_recovers"),
        ("says delivered when down", "nothing_is_lost_when_the_target_dies_under_load"),
        ("rejects when down", "nothing_is_lost_when_the_target_dies_under_load"),
        ("open raises anything", "opening_waits_for_the_target"),
    ],
)
async def test_a_fault_fails_the_test_that_is_for_it(fault: str, finder: str) -> None:
    """Whatever way it fails in."""
    test = getattr(_Contracts(), f"test_{finder}")
    fixtures = {"harness": _Harness(fault), "changes": Changes()}
    with pytest.raises((AssertionError, ExceptionGroup, RuntimeError, OSError, TimeoutError)):
        await test(**{name: fixtures[name] for name in signature(test).parameters})


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
