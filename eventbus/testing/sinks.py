"""The promises of a sink as tests: subclass the contracts that apply and give a fixture `harness`.

::

    class TestMySink(SinkContract, SinkRejectionContract, SinkOutageContract):
        @pytest.fixture
        def harness(self, my_server) -> MyHarness:
            return MyHarness(my_server)

        def poison(self, changes: Changes) -> Event:
            return changes.change("poison", text="x" * 5_000_000)

`SinkContract` is for every sink. `SinkRejectionContract` is for targets that can refuse a message for good,
`SinkOutageContract` for targets that can be away. A target that holds one state of each key, as a cache does,
has `keeps_history = False`. Nothing here measures time; `patience_secs` only turns a hang into a failure.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from typing import ClassVar

import anyio
import pytest
from pydantic import ValidationError

from eventbus.sdk import (
    DELIVERED,
    Delivered,
    EncodingError,
    Event,
    Message,
    Rejected,
    Sink,
    SinkTraits,
    Unreachable,
)
from eventbus.testing.driving import (
    assert_unavailable,
    by_id,
    cancel_after,
    deliver,
    encoded,
    first_deliveries,
    history,
    ids_by_key,
    open_patiently,
    opened,
    send_what_was_encoded,
    until_sent,
)
from eventbus.testing.harness import Changes, PlainEncoder, SinkHarness, TargetOutage

__all__ = ["ContractKit", "SinkContract", "SinkOutageContract", "SinkRejectionContract"]


class ContractKit:
    """What all contracts share."""

    pytestmark = pytest.mark.anyio
    patience_secs: ClassVar[float] = 60.0
    keeps_history: ClassVar[bool] = True
    """Whether the target keeps every message; a cache or a table holds only the newest of each key."""

    @pytest.fixture
    def anyio_backend(self) -> str:
        """The event loop that the daemon runs on."""
        return "asyncio"

    @pytest.fixture
    def changes(self) -> Changes:
        """Events of this test alone."""
        return Changes()

    def _history(self, messages: Sequence[Message]) -> dict[bytes, list[str]]:
        return history(messages, is_kept=self.keeps_history)


class SinkContract(ContractKit):
    """What every sink promises."""

    async def test_delivers_a_batch_with_one_outcome_for_each_message(
        self, harness: SinkHarness, changes: Changes
    ) -> None:
        """Delivered means that the target has the message, with the body that was encoded, once."""
        async with opened(harness.make_sink(), self.patience_secs) as sink:
            messages = encoded(sink, changes.distinct(min(sink.traits.max_batch, 50)))
            outcomes = await sink.send(messages)
        assert list(outcomes) == [DELIVERED] * len(messages)
        assert by_id(await harness.received()) == {message.event.id: [message.body] for message in messages}

    async def test_delivers_the_largest_batch_it_asks_for(
        self, harness: SinkHarness, changes: Changes
    ) -> None:
        """A route may fill a batch up to the sink's own `max_batch`."""
        async with opened(harness.make_sink(), self.patience_secs) as sink:
            messages = encoded(sink, changes.distinct(sink.traits.max_batch))
            outcomes = await sink.send(messages)
        assert list(outcomes) == [DELIVERED] * len(messages)
        assert set(by_id(await harness.received())) == {message.event.id for message in messages}

    async def test_keeps_the_order_of_a_key(self, harness: SinkHarness, changes: Changes) -> None:
        """Messages of one key take effect in the order in which a route hands them over."""
        async with opened(harness.make_sink(), self.patience_secs) as sink:
            messages = encoded(sink, changes.alternating(60, "a", "b", "c"))
            await deliver(sink, messages, self.patience_secs)
        assert ids_by_key(messages, await harness.received()) == self._history(messages)

    async def test_sends_of_several_tasks_do_not_mix_up(self, harness: SinkHarness, changes: Changes) -> None:
        """The lanes of several routes call `send` at once."""
        async with opened(harness.make_sink(), self.patience_secs) as sink:
            lanes = [encoded(sink, changes.alternating(20, f"{lane}-a", f"{lane}-b")) for lane in range(6)]
            async with anyio.create_task_group() as tasks:
                for messages in lanes:
                    tasks.start_soon(deliver, sink, messages, self.patience_secs)
        everything = [message for messages in lanes for message in messages]
        assert ids_by_key(everything, await harness.received()) == self._history(everything)

    async def test_the_same_event_gives_the_same_message(
        self, harness: SinkHarness, changes: Changes
    ) -> None:
        """A repeated delivery carries the same id and the same body."""
        event = changes.change("a", text="caf\u00e9")
        async with opened(harness.make_sink(), self.patience_secs) as sink:
            first, second = encoded(sink, [event]) + encoded(sink, [event])
            await deliver(sink, [first], self.patience_secs)
            await deliver(sink, [second], self.patience_secs)
        assert (first.body, first.key, first.target) == (second.body, second.key, second.target)
        assert list(first.headers) == list(second.headers)
        assert set(by_id(await harness.received())) == {event.id}
        assert set(by_id(await harness.received())[event.id]) == {first.body}

    async def test_a_message_larger_than_a_batch_is_taken_or_refused(
        self, harness: SinkHarness, changes: Changes
    ) -> None:
        """A route offers it alone; to try it again and again would stop its key for ever."""
        async with opened(harness.make_sink(), self.patience_secs) as sink:
            event = changes.change("large", text="x" * sink.traits.max_batch_bytes)
            made = sink.encode(event, PlainEncoder())
            outcome = made if isinstance(made, Rejected) else (await sink.send([made]))[0]
            await deliver(sink, encoded(sink, [changes.change("small")]), self.patience_secs)
        assert isinstance(outcome, Delivered | Rejected), outcome
        assert (event.id in by_id(await harness.received())) == isinstance(outcome, Delivered)

    async def test_an_event_that_cannot_be_encoded_is_refused_before_sending(
        self, harness: SinkHarness, changes: Changes
    ) -> None:
        """What the encoder cannot write becomes a dead letter, not a crash."""
        sink = harness.make_sink()
        try:
            made = sink.encode(changes.change("a", operation="unencodable"), PlainEncoder())
        except EncodingError:
            return
        assert isinstance(made, Rejected)

    async def test_cancelling_a_send_leaves_the_sink_usable(
        self, harness: SinkHarness, changes: Changes
    ) -> None:
        """A route that is stopped in the middle of a send does not spoil the sink for the others."""
        async with opened(harness.make_sink(), self.patience_secs) as sink:
            for steps in range(8):
                await cancel_after(steps, sink, encoded(sink, [changes.change("cancelled")]))
            messages = encoded(sink, changes.distinct(3))
            await deliver(sink, messages, self.patience_secs)
        assert {message.event.id for message in messages} <= set(by_id(await harness.received()))

    async def test_close_may_come_at_any_time_and_again(self, harness: SinkHarness) -> None:
        """Before `open`, after it, and twice."""
        with anyio.fail_after(self.patience_secs):
            await harness.make_sink().close()
            sink = harness.make_sink()
            await open_patiently(sink)
            await sink.close()
            await sink.close()

    async def test_says_what_it_is(self, harness: SinkHarness) -> None:
        """Traits are in range, and options that nobody knows are errors."""
        sink = harness.make_sink()
        assert isinstance(sink, Sink)
        assert isinstance(sink.traits, SinkTraits)
        assert sink.name
        assert min(sink.traits.lanes, sink.traits.max_batch, sink.traits.max_batch_bytes) >= 1
        with pytest.raises(ValidationError, match="no_such_option"):
            type(sink).Options.model_validate({"no_such_option": 1})


class SinkRejectionContract(ContractKit):
    """For targets that can refuse a message for good: override `poison`."""

    def poison(self, changes: Changes) -> Event:
        """An event that the target will never take, for instance one that is too large."""
        raise NotImplementedError

    async def test_a_refused_message_takes_no_other_with_it(
        self, harness: SinkHarness, changes: Changes
    ) -> None:
        """It is rejected, by `encode` or by `send`; its neighbours of the same batch are delivered."""
        async with opened(harness.make_sink(), self.patience_secs) as sink:
            events = [changes.change("before"), self.poison(changes), changes.change("after")]
            results = [sink.encode(event, PlainEncoder()) for event in events]
            outcomes = await send_what_was_encoded(sink, results)
            again = await deliver(sink, encoded(sink, [changes.change("later")]), self.patience_secs)
        assert [type(outcome) for outcome in outcomes] == [type(DELIVERED), Rejected, type(DELIVERED)]
        assert isinstance(outcomes[1], Rejected)
        assert outcomes[1].reason
        assert again == 1
        received = set(by_id(await harness.received()))
        assert {events[0].id, events[2].id} <= received
        assert events[1].id not in received


class SinkOutageContract(ContractKit):
    """For targets that can be away: the harness must have `outage`."""

    async def test_a_dead_target_is_an_outcome_and_the_sink_recovers(
        self, harness: TargetOutage, changes: Changes
    ) -> None:
        """Messages ask for another try at nobody's cost; the same sink works when the target is back."""
        async with opened(harness.make_sink(), self.patience_secs) as sink:
            messages = encoded(sink, changes.distinct(min(sink.traits.max_batch, 5)))
            await deliver(sink, messages, self.patience_secs)
            later = encoded(sink, changes.distinct(min(sink.traits.max_batch, 5)))
            async with harness.outage():
                for _ in range(2):
                    with anyio.fail_after(self.patience_secs):
                        assert_unavailable(await sink.send(later), len(later))
            await deliver(sink, later, self.patience_secs)
        received = set(by_id(await harness.received()))
        assert {event_id for ids in self._history(messages + later).values() for event_id in ids} <= received

    async def test_nothing_is_lost_when_the_target_dies_under_load(
        self, harness: TargetOutage, changes: Changes
    ) -> None:
        """First deliveries keep the order of their key before, during and after; a repeat is allowed."""
        async with opened(harness.make_sink(), self.patience_secs) as sink:
            sent: list[Message] = []
            stop = anyio.Event()

            async def produce(lane: int) -> None:
                for number in count():
                    if stop.is_set():
                        return
                    messages = encoded(sink, changes.alternating(4, f"{lane}-{number % 3}"))
                    sent.extend(messages)
                    await deliver(sink, messages, 2 * self.patience_secs)

            async with anyio.create_task_group() as tasks:
                for lane in range(3):
                    tasks.start_soon(produce, lane)
                await until_sent(sent, 24)
                async with harness.outage():
                    pass
                await until_sent(sent, len(sent) + 24)
                stop.set()
        received = await harness.received()
        assert first_deliveries(sent, received) == self._history(sent)

    async def test_opening_waits_for_the_target(self, harness: TargetOutage, changes: Changes) -> None:
        """`open` during an outage says Unreachable, if the sink looks at all; the next try succeeds."""
        sink = harness.make_sink()
        async with harness.outage():
            with anyio.fail_after(self.patience_secs), suppress(Unreachable):
                await sink.open()
        async with opened(sink, self.patience_secs):
            await deliver(sink, encoded(sink, [changes.change("a")]), self.patience_secs)
