"""The promises of a sink with transactions as tests: besides those of `SinkContract`, with the same harness.

::

    class TestMyTransactions(TransactionContract, TransactionRejectionContract, TransactionOutageContract):
        @pytest.fixture
        def harness(self, my_server) -> MyHarness:
            return MyHarness(my_server)

        def poison(self, changes: Changes) -> Event:
            return changes.change("poison", text="x" * 5_000_000)

`TransactionContract` is for every sink with `transactions`, the others for targets that can refuse a message,
or be away. `received` of the harness must show nothing that did not take effect: a Kafka consumer there reads
what is committed. Each test has a route of its own name, so that positions may outlive the target.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import count

import anyio
import pytest

from eventbus.sdk import (
    Event,
    Fault,
    LeaseLost,
    Message,
    Refused,
    Rejected,
    Retry,
    Sink,
    Transactions,
    Unreachable,
)
from eventbus.testing.committing import (
    Slice,
    cancel_commit_after,
    claim_patiently,
    commit_all,
    commit_patiently,
    commit_until_fenced,
    owned,
    owner,
    slices_of,
    transactions_of,
)
from eventbus.testing.driving import deliver, encoded, ids_by_key, opened, until_sent
from eventbus.testing.harness import Changes, PlainEncoder, SinkHarness, TargetOutage
from eventbus.testing.sinks import ContractKit

__all__ = ["TransactionContract", "TransactionOutageContract", "TransactionRejectionContract"]

_KEYS = ("a", "b", "c")
_LAST = 1 << 40
"""Epoch of an owner that nobody comes after."""


class _TransactionKit(ContractKit):
    """What these contracts share."""

    @pytest.fixture
    def route(self) -> str:
        return f"contract-kit/{secrets.token_hex(8)}"

    async def _assert_there(self, harness: SinkHarness, slices: Sequence[Slice]) -> None:
        """The target has the messages of these slices, each once, in order of their key; and nothing else."""
        messages = [message for given in slices for message in given.messages]
        received = await harness.received()
        assert {item.id for item in received} <= {message.event.id for message in messages}
        assert ids_by_key(messages, received) == self._history(messages)


class TransactionContract(_TransactionKit):
    """What every sink with transactions promises."""

    async def test_messages_take_effect_once_in_order_with_their_position(
        self, harness: SinkHarness, changes: Changes, route: str
    ) -> None:
        """A target that knows no position says so; later it gives the last one, to whoever claims."""
        async with owner(harness.make_sink(), route, self.patience_secs) as first:
            assert await claim_patiently(first, 1, self.patience_secs) is None
            sink = harness.make_sink()
            slices = slices_of(sink, changes.alternating(60, *_KEYS), 7)
            await commit_all(first, slices, self.patience_secs)
            await self._assert_there(harness, slices)
        async with owner(harness.make_sink(), route, self.patience_secs) as second:
            assert await claim_patiently(second, 2, self.patience_secs) == slices[-1].position
        await self._assert_there(harness, slices)

    async def test_the_largest_slice_it_asks_for_takes_effect(
        self, harness: SinkHarness, changes: Changes, route: str
    ) -> None:
        """A route may fill a slice up to the sink's own `max_slice`."""
        sink = harness.make_sink()
        most = sink.traits.max_slice or sink.traits.max_batch
        async with owner(sink, route, self.patience_secs) as transactions:
            await claim_patiently(transactions, 1, self.patience_secs)
            slices = slices_of(sink, changes.alternating(most, *_KEYS), most)
            await commit_all(transactions, slices, self.patience_secs)
        await self._assert_there(harness, slices)

    async def test_a_position_moves_without_messages(
        self, harness: SinkHarness, changes: Changes, route: str
    ) -> None:
        """Where all of a slice became dead letters, or an operator moved the route, perhaps backwards."""
        sink = harness.make_sink()
        positions = [bytes(range(256)), b"earlier", secrets.token_bytes(3000)]
        async with owner(sink, route, self.patience_secs) as transactions:
            await claim_patiently(transactions, 1, self.patience_secs)
            slices = slices_of(sink, changes.distinct(3), 3)
            await commit_all(transactions, slices, self.patience_secs)
            for position in positions:
                await commit_patiently(transactions, Slice([], position), self.patience_secs)
                assert await claim_patiently(transactions, 1, self.patience_secs) == position
        await self._assert_there(harness, slices)

    async def test_a_slice_given_again_does_not_take_effect_twice(
        self, harness: SinkHarness, changes: Changes, route: str
    ) -> None:
        """By the same owner, or by the same epoch's next one, who may not know that it did."""
        sink = harness.make_sink()
        slices = slices_of(sink, changes.alternating(8, *_KEYS), 4)
        async with owner(sink, route, self.patience_secs) as transactions:
            await claim_patiently(transactions, 1, self.patience_secs)
            for given in slices:
                await commit_all(transactions, [given] * 3, self.patience_secs)
        async with owner(harness.make_sink(), route, self.patience_secs) as again:
            assert await claim_patiently(again, 1, self.patience_secs) == slices[-1].position
            await commit_patiently(again, slices[-1], self.patience_secs)
        await self._assert_there(harness, slices)

    async def test_a_commit_that_was_cancelled_is_given_again_in_full(
        self, harness: SinkHarness, changes: Changes, route: str
    ) -> None:
        """Wherever it was cancelled, and whatever it had done by then."""
        sink = harness.make_sink()
        slices = slices_of(sink, changes.alternating(24, *_KEYS), 2)
        async with owner(sink, route, self.patience_secs) as transactions:
            await claim_patiently(transactions, 1, self.patience_secs)
            for steps, given in enumerate(slices):
                await cancel_commit_after(steps, transactions, given)
                await commit_patiently(transactions, given, self.patience_secs)
        await self._assert_there(harness, slices)

    async def test_an_owner_that_was_shut_out_changes_nothing(
        self, harness: SinkHarness, changes: Changes, route: str
    ) -> None:
        """It learns that its lease is lost: from a commit, with messages or without, and from a claim."""
        old_sink, sink = harness.make_sink(), harness.make_sink()
        slices = slices_of(sink, changes.alternating(15, *_KEYS), 5)
        async with (
            owner(old_sink, route, self.patience_secs) as old,
            owner(sink, route, self.patience_secs) as new,
        ):
            await claim_patiently(old, 1, self.patience_secs)
            await commit_patiently(old, slices[0], self.patience_secs)
            assert await claim_patiently(new, 2, self.patience_secs) == slices[0].position
            await self._assert_shut_out(old, slices[1:2])
            await commit_patiently(new, slices[2], self.patience_secs)
            await self._assert_shut_out(old, [slices[1], slices[0], Slice([], b"nowhere")])
            with pytest.raises(LeaseLost):
                await claim_patiently(old, 1, self.patience_secs)
            assert await claim_patiently(new, 2, self.patience_secs) == slices[2].position
        await self._assert_there(harness, [slices[0], slices[2]])

    async def test_a_claim_ends_what_an_earlier_owner_has_under_way(
        self, harness: SinkHarness, changes: Changes, route: str
    ) -> None:
        """After the claim nothing of it takes effect any more: the position that was read is the last one."""
        there: list[Slice] = []
        async with AsyncExitStack() as owners:
            old = await owners.enter_async_context(owner(harness.make_sink(), route, self.patience_secs))
            await claim_patiently(old, 1, self.patience_secs)
            for epoch in range(2, 6):
                new = await owners.enter_async_context(owner(harness.make_sink(), route, self.patience_secs))
                slices = slices_of(harness.make_sink(), changes.alternating(2000, *_KEYS), 2)
                there += await self._take_over(old, new, epoch, slices)
                await self._assert_there(harness, there)
                old = new

    async def _take_over(
        self, old: Transactions, new: Transactions, epoch: int, slices: Sequence[Slice]
    ) -> Sequence[Slice]:
        """The new owner claims while the old one commits; what took effect until then."""
        taken: list[Slice] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(commit_until_fenced, old, slices, taken, self.patience_secs)
            await until_sent(taken, 3)
            position = await claim_patiently(new, epoch, self.patience_secs)
        assert await claim_patiently(new, epoch, self.patience_secs) == position
        effective = slices[: 1 + [given.position for given in slices].index(position or b"")]
        assert len(effective) - len(taken) in {0, 1}, (
            "the position is not that of what the old owner has done"
        )
        return effective

    async def test_a_slice_that_comes_too_late_changes_nothing(
        self, harness: SinkHarness, changes: Changes, route: str
    ) -> None:
        """It follows a position that the target has left, as after a restore: its owner must ask again."""
        sink = harness.make_sink()
        slices = slices_of(sink, changes.alternating(9, *_KEYS), 3)
        async with (
            owner(sink, route, self.patience_secs) as first,
            owner(harness.make_sink(), route, self.patience_secs) as second,
        ):
            await claim_patiently(first, 1, self.patience_secs)
            await commit_patiently(first, slices[0], self.patience_secs)
            assert await claim_patiently(second, 1, self.patience_secs) == slices[0].position
            await commit_patiently(second, slices[1], self.patience_secs)
            with pytest.raises(LeaseLost):
                await commit_patiently(first, slices[2], self.patience_secs)
            assert await claim_patiently(first, 1, self.patience_secs) == slices[1].position
            await commit_patiently(first, slices[2], self.patience_secs)
        await self._assert_there(harness, slices)

    async def test_routes_of_one_sink_know_nothing_of_each_other(
        self, harness: SinkHarness, changes: Changes, route: str
    ) -> None:
        """Neither positions nor epochs: each has its own, also while all of them commit at once."""
        sink = harness.make_sink()
        async with opened(sink, self.patience_secs), anyio.create_task_group() as tasks:
            shares = {
                f"{route}-{name}": slices_of(sink, changes.alternating(12, f"{name}-1", f"{name}-2"), 3)
                for name in _KEYS
            }
            for epoch, (name, slices) in enumerate(shares.items(), start=5):
                tasks.start_soon(self._own_and_commit, sink, name, epoch, slices)
        for name, slices in shares.items():
            async with owner(harness.make_sink(), name, self.patience_secs) as transactions:
                assert await claim_patiently(transactions, _LAST, self.patience_secs) == slices[-1].position
        await self._assert_there(harness, [given for slices in shares.values() for given in slices])

    async def test_plain_messages_go_out_beside_transactions(
        self, harness: SinkHarness, changes: Changes, route: str
    ) -> None:
        """Replays, gaps and watermarks: they touch no position."""
        sink = harness.make_sink()
        async with owner(sink, route, self.patience_secs) as transactions:
            await claim_patiently(transactions, 1, self.patience_secs)
            slices = slices_of(sink, changes.alternating(4, "a"), 4)
            await commit_all(transactions, slices, self.patience_secs)
            plain = encoded(sink, changes.alternating(2, "b"))
            await deliver(sink, plain, self.patience_secs)
            assert await claim_patiently(transactions, 1, self.patience_secs) == slices[-1].position
        await self._assert_there(harness, [*slices, Slice(plain, b"")])

    async def test_transactions_close_at_any_time_and_again(
        self, harness: SinkHarness, changes: Changes, route: str
    ) -> None:
        """Before a claim, after it, and twice; those of another life of the route go on on the same sink."""
        sink = harness.make_sink()
        slices = slices_of(sink, changes.alternating(4, *_KEYS), 2)
        async with opened(sink, self.patience_secs):
            await transactions_of(sink, route).close()
            for epoch, given in enumerate(slices, start=1):
                async with owned(sink, route, self.patience_secs) as transactions:
                    await claim_patiently(transactions, epoch, self.patience_secs)
                    await commit_patiently(transactions, given, self.patience_secs)
                await transactions.close()
        await self._assert_there(harness, slices)

    async def _assert_shut_out(self, old: Transactions, slices: Sequence[Slice]) -> None:
        for given in slices:
            with pytest.raises(LeaseLost):
                await commit_patiently(old, given, self.patience_secs)

    async def _own_and_commit(self, sink: Sink, route: str, epoch: int, slices: Sequence[Slice]) -> None:
        async with owned(sink, route, self.patience_secs) as transactions:
            assert await claim_patiently(transactions, epoch, self.patience_secs) is None
            await commit_all(transactions, slices, self.patience_secs)


class TransactionRejectionContract(_TransactionKit):
    """For targets that can refuse a message for good: override `poison`."""

    def poison(self, changes: Changes) -> Event:
        """An event that the target will never take, for instance one that is too large."""
        raise NotImplementedError

    async def test_a_refused_message_keeps_its_slice_out(
        self, harness: SinkHarness, changes: Changes, route: str
    ) -> None:
        """`encode` or `commit` tells which it is; nothing took effect, and without it the slice does."""
        sink = harness.make_sink()
        async with owner(sink, route, self.patience_secs) as transactions:
            await claim_patiently(transactions, 1, self.patience_secs)
            before = slices_of(sink, changes.distinct(2), 2)
            await commit_all(transactions, before, self.patience_secs)
            events = [changes.change("a"), self.poison(changes), changes.change("b")]
            good = encoded(sink, [events[0], events[2]])
            made = sink.encode(events[1], PlainEncoder())
            if isinstance(made, Message):
                slice_of_three = Slice([good[0], made, good[1]], b"behind the poison")
                await self._assert_refused(harness, transactions, before, slice_of_three)
            else:
                assert made.reason
            await commit_patiently(transactions, Slice(good, b"behind the poison"), self.patience_secs)
            assert await claim_patiently(transactions, 1, self.patience_secs) == b"behind the poison"
        await self._assert_there(harness, [*before, Slice(good, b"")])

    async def _assert_refused(
        self, harness: SinkHarness, transactions: Transactions, before: Sequence[Slice], given: Slice
    ) -> None:
        """The message in the middle is named; messages and position are as they were."""
        answer = await transactions.commit(given.messages, given.position)
        assert isinstance(answer, Refused), answer
        assert set(answer.by) == {1}
        assert isinstance(answer.by[1], Rejected)
        assert answer.by[1].reason
        await self._assert_there(harness, before)
        assert await claim_patiently(transactions, 1, self.patience_secs) == before[-1].position


class TransactionOutageContract(_TransactionKit):
    """For targets that can be away: the harness must have `outage`."""

    async def test_a_dead_target_is_an_answer_and_the_transactions_recover(
        self, harness: TargetOutage, changes: Changes, route: str
    ) -> None:
        """A commit asks for another try at nobody's cost, a claim is Unreachable; later both go on."""
        sink = harness.make_sink()
        async with owner(sink, route, self.patience_secs) as transactions:
            await claim_patiently(transactions, 1, self.patience_secs)
            slices = slices_of(sink, changes.alternating(9, *_KEYS), 3)
            await commit_patiently(transactions, slices[0], self.patience_secs)
            async with harness.outage():
                with anyio.fail_after(self.patience_secs):
                    for given in [slices[1], slices[1], Slice([], b"nowhere")]:
                        answer = await transactions.commit(given.messages, given.position)
                        assert isinstance(answer, Retry), answer
                        assert (answer.fault, bool(answer.reason)) == (Fault.UNAVAILABLE, True)
                    with pytest.raises(Unreachable):
                        await transactions.claim(1)
            assert await claim_patiently(transactions, 1, self.patience_secs) == slices[0].position
            await commit_all(transactions, slices[1:], self.patience_secs)
            assert await claim_patiently(transactions, 1, self.patience_secs) == slices[2].position
        await self._assert_there(harness, slices)

    async def test_a_slice_takes_effect_once_when_the_target_dies_under_load(
        self, harness: TargetOutage, changes: Changes, route: str
    ) -> None:
        """Whatever was under way: its fate is unknown, and it is given again."""
        sink, taken = harness.make_sink(), list[Slice]()
        async with owner(sink, route, self.patience_secs) as transactions:
            await claim_patiently(transactions, 1, self.patience_secs)
            stop = anyio.Event()

            async def go_on() -> None:
                for number in count():
                    if stop.is_set():
                        return
                    messages = encoded(sink, changes.alternating(4, *_KEYS))
                    given = Slice(messages, b"%d" % number)
                    await commit_patiently(transactions, given, 2 * self.patience_secs)
                    taken.append(given)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(go_on)
                for _ in range(2):
                    await until_sent(taken, len(taken) + 5)
                    async with harness.outage():
                        pass
                await until_sent(taken, len(taken) + 5)
                stop.set()
            assert await claim_patiently(transactions, 1, self.patience_secs) == taken[-1].position
        await self._assert_there(harness, taken)
