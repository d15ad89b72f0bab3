"""The contract kit finds what is wrong with transactions: good ones pass, and each fault fails its test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from inspect import signature
from typing import ClassVar

import anyio
import anyio.lowlevel
import pytest
from pydantic import BaseModel

from eventbus.sdk import (
    DELIVERED,
    Commit,
    Encoded,
    Encoder,
    Event,
    Fault,
    LeaseLost,
    Message,
    Options,
    Outcome,
    Refused,
    Rejected,
    Retry,
    SinkTraits,
    Unreachable,
)
from eventbus.testing import (
    Changes,
    Received,
    TransactionContract,
    TransactionOutageContract,
    TransactionRejectionContract,
)
from tests.testing.lists import ListHarness

_LARGEST = 5000
_BLIND = {"follows anything", "reads before it shuts out", "one route", "a plain send forgets positions"}
"""Faults that need a target which looks at no position."""
_WAYS = (
    AssertionError,
    ExceptionGroup,
    RuntimeError,
    LeaseLost,
    TimeoutError,
    OSError,
    pytest.fail.Exception,
)


@dataclass
class _Kept:
    """What the target holds of one route."""

    epoch: int = 0
    position: bytes | None = None


@dataclass
class _Target:
    """What the sinks of all owners write to: a list and positions, for as long as it is up."""

    up: bool = True
    taken: list[Received] = field(default_factory=list)
    routes: dict[str, _Kept] = field(default_factory=dict)
    commits: int = 0

    def of(self, route: str) -> _Kept:
        return self.routes.setdefault(route, _Kept())


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

    async def open(self) -> None:
        if not self._target.up:
            raise Unreachable("down")

    async def close(self) -> None:
        """Nothing is held."""

    def encode(self, event: Event, encoder: Encoder) -> Encoded:
        return Message(event, encoder.encode(event))

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        self._target.taken += _received(messages)
        if self._fault == "a plain send forgets positions":
            self._target.routes.clear()
        return [DELIVERED] * len(messages)

    def transactions(self, route: str) -> _ListTransactions:
        return _ListTransactions(self._target, self._fault, "shared" if self._fault == "one route" else route)


class _ListTransactions:
    def __init__(self, target: _Target, fault: str, route: str) -> None:
        self._target = target
        self._fault = fault
        self._route = route
        self._epoch = 0
        self._last: bytes | None = None
        self._busy = False
        self._closed = False

    async def claim(self, epoch: int) -> bytes | None:
        kept = self._target.of(self._route)
        read = kept.position
        await anyio.lowlevel.checkpoint()
        if not self._target.up:
            if self._fault == "a claim fails anyhow":
                raise OSError("down")
            raise Unreachable("down")
        if kept.epoch > epoch and self._fault != "anybody may claim":
            raise LeaseLost("claimed by another")
        if self._fault == "reads before it shuts out":
            await anyio.sleep(0.001)
        kept.epoch = self._epoch = epoch
        self._last = kept.position
        return read if self._fault == "reads before it shuts out" else kept.position

    async def commit(self, messages: Sequence[Message], position: bytes) -> Commit:
        if self._busy:
            return Retry(Fault.UNAVAILABLE, "busy")
        self._busy = self._fault == "stays busy when cancelled"
        kept = self._target.of(self._route)
        if self._fault == "looks at the epoch too early":
            self._look_at_epoch(kept)
        await anyio.lowlevel.checkpoint()
        self._busy = False
        if not self._target.up:
            return Retry(Fault.FAILED if self._fault == "blames the event" else Fault.UNAVAILABLE, "down")
        if self._fault not in {"no epochs", "looks at the epoch too early"}:
            self._look_at_epoch(kept)
        if position == kept.position and self._fault != "takes everything":
            self._last = position
            return DELIVERED
        if self._last != kept.position and self._fault not in _BLIND:
            raise LeaseLost("not as it was left")
        if refused := self._refused(messages):
            return refused
        self._take(messages, kept, position)
        if self._fault == "cancelled in half":
            await anyio.lowlevel.checkpoint()
        if self._fault != "keeps no position":
            kept.position = position
        self._last = kept.position
        self._target.commits += 1
        if self._target.commits % 3 == 0:
            return Retry(Fault.UNAVAILABLE, "no answer")
        return DELIVERED

    def _look_at_epoch(self, kept: _Kept) -> None:
        if kept.epoch > self._epoch:
            raise LeaseLost("claimed by another")

    def _refused(self, messages: Sequence[Message]) -> Refused | None:
        by: Mapping[int, Rejected | Retry] = {
            number: Rejected("too large")
            for number, message in enumerate(messages)
            if len(message.body) > _LARGEST
        }
        match self._fault:
            case "names the wrong message":
                by = {number - 1: why for number, why in by.items()}
            case "takes the others":
                if by:
                    self._target.taken += _received([m for m in messages if len(m.body) <= _LARGEST])
            case "takes the poison":
                return None
        return Refused(by) if by else None

    def _take(self, messages: Sequence[Message], kept: _Kept, position: bytes) -> None:
        match self._fault:
            case "reverses a slice":
                self._target.taken += _received(list(reversed(messages)))
            case "drops the end of the largest":
                self._target.taken += _received(messages[:19])
            case _:
                self._target.taken += _received(messages)

    async def close(self) -> None:
        if self._closed and self._fault == "close only once":
            raise RuntimeError("closed already")
        self._closed = True


def _received(messages: Sequence[Message]) -> list[Received]:
    return [Received(message.event.id, message.body) for message in messages]


class _Harness(ListHarness[ListSink]):
    def __init__(self, fault: str = "") -> None:
        target = _Target()
        super().__init__(target, lambda: ListSink(target, fault))


class _Contracts(TransactionContract, TransactionRejectionContract, TransactionOutageContract):
    patience_secs: ClassVar[float] = 1.0

    def poison(self, changes: Changes) -> Event:
        return changes.change("poison", text="x" * _LARGEST)


class TestListTransactions(_Contracts):
    """The good ones."""

    @pytest.fixture
    def harness(self) -> _Harness:
        return _Harness()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("fault", "finder"),
    [
        ("reverses a slice", "messages_take_effect_once_in_order_with_their_position"),
        ("takes everything", "messages_take_effect_once_in_order_with_their_position"),
        ("keeps no position", "messages_take_effect_once_in_order_with_their_position"),
        ("drops the end of the largest", "the_largest_slice_it_asks_for_takes_effect"),
        ("keeps no position", "a_position_moves_without_messages"),
        ("takes everything", "a_slice_given_again_does_not_take_effect_twice"),
        ("stays busy when cancelled", "a_commit_that_was_cancelled_is_given_again_in_full"),
        ("cancelled in half", "a_commit_that_was_cancelled_is_given_again_in_full"),
        ("no epochs", "an_owner_that_was_shut_out_changes_nothing"),
        ("anybody may claim", "an_owner_that_was_shut_out_changes_nothing"),
        ("looks at the epoch too early", "a_claim_ends_what_an_earlier_owner_has_under_way"),
        ("reads before it shuts out", "a_claim_ends_what_an_earlier_owner_has_under_way"),
        ("follows anything", "a_slice_that_comes_too_late_changes_nothing"),
        ("one route", "routes_of_one_sink_know_nothing_of_each_other"),
        ("a plain send forgets positions", "plain_messages_go_out_beside_transactions"),
        ("close only once", "transactions_close_at_any_time_and_again"),
        ("names the wrong message", "a_refused_message_keeps_its_slice_out"),
        ("takes the others", "a_refused_message_keeps_its_slice_out"),
        ("takes the poison", "a_refused_message_keeps_its_slice_out"),
        ("blames the event", "a_dead_target_is_an_answer_and_the_transactions_recover"),
        ("a claim fails anyhow", "a_dead_target_is_an_answer_and_the_transactions_recover"),
        ("takes everything", "a_slice_takes_effect_once_when_the_target_dies_under_load"),
    ],
)
async def test_a_fault_fails_the_test_that_is_for_it(fault: str, finder: str) -> None:
    """Whatever way it fails in."""
    contracts = _Contracts()
    test = getattr(contracts, f"test_{finder}")
    fixtures = {"harness": _Harness(fault), "changes": Changes(), "route": "orders/list"}
    with pytest.raises(_WAYS):
        await test(**{name: fixtures[name] for name in signature(test).parameters})


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
