"""Events that cannot go on with their lane: tried again, or parked, in a task of their key's own.

While a key has such a task it is set aside: its later events queue up behind, and everything else goes on.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias, assert_never

import anyio
from anyio.abc import TaskGroup

from eventbus.core.backoff import Backoff
from eventbus.core.holds import Hold
from eventbus.core.signal import Signal
from eventbus.core.window import Entry
from eventbus.model import (
    Delivered,
    FailedAttempt,
    Fault,
    Filtered,
    Message,
    Outcome,
    Rejected,
    Retry,
    Taken,
)
from eventbus.runtime.attempts import Attempts
from eventbus.runtime.policy import Ordering, RetryPolicy
from eventbus.runtime.settling import Settling

__all__ = ["Trial", "Trials"]

_MAX_ERRORS_KEPT = 10

_End: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
"""Brings one event to its end."""
_Queue: TypeAlias = deque[tuple[Entry, _End | None]]
"""Events of one key in their order; one that was not sent yet has no end of its own."""


@dataclass(slots=True)
class Trial:
    """A failing event: what was tried and what came of it.

    Args:
        entry: The event's place in its ticket.
        message: What is sent.
        answers: How many answers the route had when the last try began.
        attempts: Tries that cost the event.
        errors: The last of them.
        age_secs: The time between its failures, less that of outages.
        failed_at: When it last failed by itself; None since an outage.
        outages: How often the sink had been down by then.
        first_answers: How many answers the route had when the first try began.
    """

    entry: Entry
    message: Message
    answers: int
    attempts: int = 0
    errors: list[FailedAttempt] = field(default_factory=list)
    age_secs: float = 0.0
    failed_at: float | None = None
    outages: int | None = None
    first_answers: int = field(init=False)

    def __post_init__(self) -> None:
        self.first_answers = self.answers

    def failed(self, failure: Retry | Rejected, now: float, outages: int | None) -> None:
        """A try cost the event, while the sink is up after so many outages, or down."""
        if self.failed_at is not None and self.outages is not None and self.outages == outages:
            self.age_secs += now - self.failed_at
        self.failed_at, self.outages = now, outages
        self.attempts += 1
        self.errors.append(FailedAttempt(round(time.time() * 1000), failure.kind, _in_full(failure)))
        del self.errors[:-_MAX_ERRORS_KEPT]

    def is_spent(self, policy: RetryPolicy) -> bool:
        """Whether it has had all the tries, or all the time, that an event has."""
        is_old = policy.max_age_secs is not None and self.age_secs >= policy.max_age_secs
        return is_old or self.attempts >= policy.attempts

    async def park(self, settling: Settling, failure: Retry | Rejected) -> None:
        """Make a dead letter of the event, with all that was tried."""
        await settling.park(
            self.entry,
            failure,
            attempts=self.attempts,
            body=self.message.body,
            errors=tuple(self.errors),
        )


class Trials:
    """The keys of one route that are set aside.

    Args:
        policy: The budget of each event.
        ordering: Whether later events of a key wait for a failing one.
        send: Makes the tries.
        attempts: Knows how the sink is.
        settling: Takes what found its end.
        message_of: Makes messages for events that queued up.
        backoff: Makes the waits between tries.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        ordering: Ordering,
        send: Callable[[Sequence[Message], Sequence[Entry], int], Awaitable[Sequence[Outcome]]],
        attempts: Attempts,
        settling: Settling,
        message_of: Callable[[Taken], Message | Rejected | Filtered],
        backoff: Callable[[], Backoff],
    ) -> None:
        self._policy = policy
        self._ordering = ordering
        self._send = send
        self._attempts = attempts
        self._settling = settling
        self._message_of = message_of
        self._backoff = backoff
        self._queues: dict[bytes, _Queue] = {}
        self._answers_before: dict[bytes, int] = {}
        self._loose = 0
        self._ended = Signal()
        self._tasks: TaskGroup | None = None

    def begin(self, tasks: TaskGroup) -> None:
        """Run the tasks of keys there."""
        self._tasks = tasks

    def without_set_aside(self, entries: list[Entry]) -> list[Entry]:
        """Move events whose key is set aside, or held, to the end of that key's queue; the others stay."""
        held = self._settling.holds.held
        if not self._queues and not held:
            return entries
        return [entry for entry in entries if not self._went_aside(entry, held)]

    async def over(self) -> None:
        """Wait until nothing is set aside."""
        while self._queues:
            await self._ended.wait()

    def queued(self, entry: Entry) -> bool:
        """Put an event behind its key, if that is set aside; whether it was."""
        if not self._queues or (queue := self._queues.get(entry.event.key)) is None:
            return False
        queue.append((entry, None))
        return True

    def try_again(self, entry: Entry, message: Message, failure: Retry, answers: int) -> None:
        """An event failed by itself, and is tried by itself from now on."""
        trial = Trial(entry, message, answers)
        self._set_aside(entry, partial(self._try_until_settled, trial, failure))

    def park(self, entry: Entry, failure: Rejected, message: Message | None = None) -> None:
        """An event can never be delivered; with its message, if it got so far."""
        end = self._settling.park
        if message is None:
            self._set_aside(entry, partial(end, entry, failure))
            return
        trial = Trial(entry, message, self._attempts.answers)
        self._charge(trial, failure)
        self._set_aside(entry, partial(trial.park, self._settling, failure))

    def _went_aside(self, entry: Entry, held: Mapping[bytes, Hold]) -> bool:
        if self.queued(entry):
            return True
        if entry.event.key not in held or self._settling.held_behind(entry.event) is None:
            return False
        self._set_aside(entry, None)
        return True

    def _set_aside(self, entry: Entry, end: _End | None) -> None:
        """Bring an event to its end behind what is set aside of its key, or begin to set it aside."""
        assert self._tasks is not None
        if self._ordering is Ordering.NONE:
            self._tasks.start_soon(self._see_one_through, end or partial(self._from_queue, entry))
            return
        key = entry.event.key
        if key in self._queues:
            self._queues[key].append((entry, end))
            return
        self._queues[key] = deque([(entry, end)])
        self._answers_before[key] = self._attempts.answers
        self._tasks.start_soon(self._see_through, key)

    async def _see_one_through(self, end: _End) -> None:
        """Bring an event to its end that nothing waits for."""
        self._loose += 1
        await end()
        self._loose -= 1

    async def _see_through(self, key: bytes) -> None:
        """Bring events of a key to their end, in order, until no more have queued up."""
        queue = self._queues[key]
        while queue:
            entry, end = queue.popleft()
            if end is not None:
                await end()
            elif behind := self._settling.held_behind(entry.event):
                await self._settling.park_held([entry, *_plain(queue)], behind)
            else:
                await self._from_queue(entry)
        del self._queues[key], self._answers_before[key]
        self._ended.notify()

    async def _from_queue(self, entry: Entry) -> None:
        message = self._message_of(entry.slot)
        if isinstance(message, Message):
            await self._try_until_settled(Trial(entry, message, self._attempts.answers), None)
        elif isinstance(message, Filtered):
            self._settling.filtered(entry)
        else:
            await self._settling.park(entry, message)

    async def _try_until_settled(self, trial: Trial, failure: Retry | None) -> None:
        backoff = self._backoff()
        while True:
            if failure is not None:
                if failure.fault is Fault.FAILED and self._is_spent(trial, failure):
                    return await trial.park(self._settling, failure)
                await anyio.sleep(max(backoff.next(), failure.after_secs or 0.0))
            before = self._attempts.answers
            outcome = (await self._send([trial.message], [trial.entry], trial.answers))[0]
            match outcome:
                case Delivered():
                    return self._settling.delivered([trial.entry])
                case Rejected():
                    self._charge(trial, outcome)
                    return await trial.park(self._settling, outcome)
                case Retry():
                    failure = outcome
                case _:
                    assert_never(outcome)
            if failure.fault is not Fault.FAILED:
                trial.answers = before
                trial.failed_at = None

    def _is_spent(self, trial: Trial, failure: Retry) -> bool:
        """Count a failed try against the event; whether that was the last.

        It counts if others got through meanwhile, or if none can, since all wait for this one.
        """
        others_tell = self._attempts.answers > trial.answers or self._ordering is Ordering.STRICT
        if not others_tell and not self._stands_alone(trial):
            trial.failed_at = None
            return False
        self._charge(trial, failure)
        trial.answers = self._attempts.answers
        return trial.is_spent(self._policy)

    def _stands_alone(self, trial: Trial) -> bool:
        """Whether no other key is left to tell a bad event from a sink that is down, but many have told it.

        A window that is full behind a failing event lets in nobody who could, and the route would stand
        still for ever. So what got through since the key began to fail, a good part of a window, is taken
        for an answer.
        """
        set_aside = sum(map(len, self._queues.values())) + len(self._queues) + self._loose
        since = self._answers_before.get(trial.entry.event.key, trial.first_answers)
        told = self._attempts.answers - since
        return self._settling.unsettled <= set_aside and told >= self._settling.enough_events

    def _charge(self, trial: Trial, failure: Retry | Rejected) -> None:
        # Where all wait for this one, it is this one's failures that open the circuit: they are no outage.
        outages = 0 if self._ordering is Ordering.STRICT else self._attempts.outages
        trial.failed(failure, anyio.current_time(), outages)


def _in_full(failure: Retry | Rejected) -> str:
    """The reason, with what the target said besides."""
    detail = failure.detail if isinstance(failure, Retry) else ""
    return f"{failure.reason}: {detail}" if detail else failure.reason


def _plain(queue: _Queue) -> Iterator[Entry]:
    """Take the next events that have no end of their own."""
    while queue and queue[0][1] is None:
        yield queue.popleft()[0]
