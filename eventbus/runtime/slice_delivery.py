"""Exactly once: events go out in slices, each in one transaction with the position at its end.

There is one lane, for a position says that everything before it is settled; one slice is under way while the
next is made ready. What can never go out is a dead letter before the rest of its slice is committed, so a
crash between the two loses nothing. A slice whose fate is unknown is given again as it was; only where the
target has said that nothing took effect may it change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, assert_never

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from eventbus.core.lanes import Lane
from eventbus.core.signal import Signal
from eventbus.core.window import Entry
from eventbus.encoding.positions import encode_position
from eventbus.errors import LeaseLost
from eventbus.model import (
    DELIVERED,
    Delivered,
    Failure,
    Fault,
    Filtered,
    Message,
    Outcome,
    Position,
    Rejected,
    Retry,
)
from eventbus.runtime.delivery import Delivery, DeliveryParts
from eventbus.runtime.trials import Trial
from eventbus.sdk import Commit, Refused, Transactions

__all__ = ["SliceDelivery"]


_BREATH: Final = 500
"""After so many events that are encoded others have their turn."""


@dataclass(slots=True)
class _Slice:
    """What goes out together.

    Args:
        trials: In source order.
        size: Bytes of their events.
        end: Position behind the last event that was looked at, whether it has a message or none.
    """

    trials: list[Trial] = field(default_factory=list)
    size: int = 0
    end: Position | None = None


class SliceDelivery(Delivery):
    """Commits slices of a route together with its position.

    Args:
        parts: What it works with.
        transactions: Those of the route, in its target.
        committed: Token of the position that the target keeps; empty if it keeps none.
    """

    def __init__(self, parts: DeliveryParts, transactions: Transactions, committed: str) -> None:
        super().__init__(parts)
        policy, traits = parts.policy, parts.sink.traits
        bounds = (
            traits.max_slice or traits.max_batch,
            policy.batch_events,
            self._limit and self._limit.largest_call,
            max(1, policy.window_events // 2),  # half of a window goes out, the other is made ready
        )
        self.committed = committed
        """Token of the last position that the target is known to keep; empty if it keeps none."""
        self._transactions = transactions
        self._most = min(bound for bound in bounds if bound)
        self._largest = policy.batch_size or traits.max_slice_bytes or traits.max_batch_bytes
        self._lane = Lane(policy.batch_wait_secs)
        self._next = _Slice()
        self._changed = Signal()

    def put(self, entries: Sequence[Entry]) -> None:
        """See `Delivery`."""
        self._lane.put(entries)

    def hurry(self) -> None:
        """See `Delivery`."""
        self._lane.hurry()

    def _begin(self, tasks: TaskGroup) -> None:
        tasks.start_soon(self._prepare)
        tasks.start_soon(self._work)

    async def _prepare(self) -> None:
        """Make the next slice ready while one is under way; it grows until its turn comes."""
        while True:
            room, size = self._most - len(self._next.trials), self._largest - self._next.size
            if room <= 0 or size <= 0:
                await self._changed.wait()
                continue
            entries = await self._lane.next_batch(room, size)
            trials = await self._trials_of(entries)
            size = sum(trial.entry.event.size for trial in trials)
            while self._next.trials and self._next.size + size > self._largest:
                await self._changed.wait()
            self._next.trials += trials
            self._next.size += size
            self._next.end = entries[-1].event.position
            self._changed.notify()

    async def _work(self) -> None:
        while True:
            while not self._next.trials:
                await self._changed.wait()
            ready, self._next = self._next, _Slice()
            self._changed.notify()
            assert ready.end is not None
            await self._commit(ready.trials, ready.end)

    async def _trials_of(self, entries: Sequence[Entry]) -> list[Trial]:
        """What can go out, encoded; everything else finds its end here."""
        trials: list[Trial] = []
        for number, entry in enumerate(entries, start=1):
            if number % _BREATH == 0:
                await anyio.lowlevel.checkpoint()
            if behind := self._settling.held_behind(entry.event):
                await self._settling.park_held([entry], behind)
                continue
            message = self._message_of(entry.slot)
            if isinstance(message, Message):
                trials.append(Trial(entry, message, self._attempts.answers))
            elif isinstance(message, Filtered):
                self._settling.filtered(entry)
            else:
                await self._settling.park(entry, message)
        return trials

    async def _commit(self, trials: Sequence[Trial], position: Position) -> None:
        """See a slice through, but for what the target refuses of it, and what has to wait behind that."""
        content = encode_position(position)
        backoff = self._backoff()
        if self.held:
            trials = await self._without_refused(trials, Refused({}))
        while trials:
            answer = await self._attempt(trials, content)
            if isinstance(answer, Delivered):
                self.committed = position.token
                self._settling.delivered([trial.entry for trial in trials])
                return
            failures = answer.by.values() if isinstance(answer, Refused) else [answer]
            if isinstance(answer, Refused):
                trials = await self._without_refused(trials, answer)
            asked = [failure.after_secs or 0.0 for failure in failures if isinstance(failure, Retry)]
            if asked:
                await anyio.sleep(max(backoff.next(), *asked))

    async def _attempt(self, trials: Sequence[Trial], content: bytes) -> Commit:
        """One try, when the circuit lets it pass."""
        answers: list[Commit] = []
        messages = [trial.message for trial in trials]
        entries = [trial.entry for trial in trials]

        async def call() -> Sequence[Outcome]:
            answers.append(await self._call(messages, content))
            return _said(answers[-1], len(messages))

        await self._attempts.attempt(call, messages, entries, self._attempts.answers)
        return answers[-1]

    async def _call(self, messages: Sequence[Message], content: bytes) -> Commit:
        try:
            return await self._transactions.commit(messages, content)
        except Exception as error:
            if isinstance(error, LeaseLost):
                raise
            self._log.exception("sink_raised", sink=self._sink.name)
            return Retry(Fault.FAILED, f"the sink raised {type(error).__name__}", kind=Failure.BUG)

    async def _without_refused(self, trials: Sequence[Trial], refused: Refused) -> Sequence[Trial]:
        """What is left of a slice, in its order, once all that must not go out has become a dead letter."""
        left: list[Trial] = []
        for index, trial in enumerate(trials):
            if behind := self._settling.held_behind(trial.entry.event):
                await self._settling.park_held([trial.entry], behind)
                continue
            failure = refused.by.get(index)
            if failure is not None:
                trial.failed(failure, anyio.current_time(), outages=0)  # all wait for it: it is no outage
            if isinstance(failure, Rejected) or (failure and trial.is_spent(self._retry)):
                await trial.park(self._settling, failure)
            else:
                left.append(trial)
        return left


def _said(answer: Commit, messages: int) -> Sequence[Outcome]:
    """What an answer tells of the target."""
    match answer:
        case Delivered():
            return [DELIVERED] * messages
        case Refused():
            return list(answer.by.values())
        case Retry():
            return [answer]
        case _:
            assert_never(answer)
