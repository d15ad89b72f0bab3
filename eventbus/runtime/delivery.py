"""The lanes of a route: encode, attempt, classify, retry, park, settle.

A lane never waits for one failing key: the key is set aside with a task of its own, later events of that key
queue behind it, and the lane goes on. A sink that is down stops the lanes themselves, and no event pays.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TypeAlias, assert_never

import anyio
import structlog
from anyio.abc import TaskGroup

from eventbus.core.backoff import Backoff
from eventbus.core.circuit import Circuit
from eventbus.core.lanes import Entry, Lane, next_wave
from eventbus.core.signal import Signal
from eventbus.core.window import Window
from eventbus.errors import EncodingError, Unreachable
from eventbus.model import (
    DELIVERED,
    DeadLetter,
    Delivered,
    FailedAttempt,
    Failure,
    Fault,
    Message,
    Outcome,
    Parked,
    Rejected,
    Retry,
)
from eventbus.runtime.policy import RoutePolicy
from eventbus.runtime.shared_sink import SharedSink
from eventbus.sdk import Encoder
from eventbus.telemetry.metrics import RouteMetrics

__all__ = ["Delivery", "Park"]

log = structlog.get_logger("eventbus.route")

Park: TypeAlias = Callable[[Sequence[DeadLetter]], Awaitable[None]]
"""Stores dead letters durably; raises Unreachable while it cannot."""

_MAX_ERRORS_KEPT = 10


@dataclass(slots=True)
class _Trial:
    """A failing event: what was tried and what came of it.

    Args:
        entry: The event's place in its ticket.
        message: What is sent.
        attempts: Tries that cost the event.
        errors: The last of them.
        progress: How many answers the route had when the last try began.
    """

    entry: Entry
    message: Message
    progress: int
    attempts: int = 0
    errors: list[FailedAttempt] = field(default_factory=list)


class Delivery:
    """Carries the admitted events of one route to its sink.

    Args:
        subscription: Name of the subscription.
        route: Name of the route.
        sink: Where the events go.
        encoder: What messages look like.
        policy: The route's patience.
        window: Where events are settled.
        circuit: Whether the sink is worth an attempt.
        park: Stores dead letters durably.
        changed: Notified when room came back or the circuit moved.
        metrics: The route's metrics.
        rng: Where jitter comes from.
    """

    def __init__(
        self,
        *,
        subscription: str,
        route: str,
        sink: SharedSink,
        encoder: Encoder,
        policy: RoutePolicy,
        window: Window,
        circuit: Circuit,
        park: Park,
        changed: Signal,
        metrics: RouteMetrics,
        rng: Random,
    ) -> None:
        self._subscription = subscription
        self._route = route
        self._sink = sink
        self._encoder = encoder
        self._retry = policy.retry
        self._window = window
        self._circuit = circuit
        self._park_letters = park
        self._changed = changed
        self._metrics = metrics
        self._rng = rng
        self._lanes = [Lane() for _ in range(policy.lanes or sink.traits.lanes)]
        self._set_aside: dict[bytes, deque[Entry]] = {}
        self._probe = anyio.Lock()
        self._progress = 0
        self._tasks: TaskGroup | None = None
        self._log = log.bind(subscription=subscription, route=route)

    def put(self, entries: Sequence[Entry]) -> None:
        """Put admitted events on their lanes."""
        if len(self._lanes) == 1:
            self._lanes[0].put(entries)
            return
        shares: dict[int, list[Entry]] = {}
        for entry in entries:
            shares.setdefault(entry.event.key_hash % len(self._lanes), []).append(entry)
        for lane, share in shares.items():
            self._lanes[lane].put(share)

    async def run(self) -> None:
        """Work on all lanes until cancelled."""
        await self._sink.open()
        self._changed.notify()
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            for lane in self._lanes:
                tasks.start_soon(self._work, lane)

    async def _work(self, lane: Lane) -> None:
        traits = self._sink.traits
        while True:
            batch = await lane.next_batch(traits.max_batch, traits.max_batch_bytes)
            while batch := self._without_set_aside(batch):
                if traits.keeps_order:
                    wave, batch = batch, []
                else:
                    wave, batch = next_wave(batch, _key)
                await self._deliver(wave)

    def _without_set_aside(self, batch: list[Entry]) -> list[Entry]:
        """Move events whose key is set aside to the end of that key's queue."""
        if not self._set_aside:
            return batch
        going = []
        for entry in batch:
            queue = self._set_aside.get(entry.event.key)
            if queue is None:
                going.append(entry)
            else:
                queue.append(entry)
        return going

    async def _deliver(self, entries: Sequence[Entry]) -> None:
        """See a wave through, but for the keys that fail by themselves."""
        entries, messages = await self._encode(entries)
        backoff = self._backoff()
        while entries:
            since = self._progress
            outcomes = await self._attempt(messages, since)
            if all(outcome is DELIVERED for outcome in outcomes):
                self._settle_delivered(entries)
                return
            entries, messages = await self._sort_out(entries, messages, outcomes, since)
            if entries:
                await anyio.sleep(max(backoff.next(), _asked_to_wait(outcomes)))

    async def _encode(self, entries: Sequence[Entry]) -> tuple[Sequence[Entry], Sequence[Message]]:
        """Messages for what can be encoded; what cannot is parked."""
        encoded: list[Entry] = []
        messages: list[Message] = []
        for entry in entries:
            message = self._encode_one(entry)
            if isinstance(message, Message):
                encoded.append(entry)
                messages.append(message)
            else:
                await self._park(entry, message)
        return encoded, messages

    def _encode_one(self, entry: Entry) -> Message | Rejected:
        slot = entry.slot
        if isinstance(slot, Parked):
            return Rejected(slot.reason, Failure.STAGE)
        try:
            return self._sink.sink.encode(slot, self._encoder)
        except EncodingError as error:
            return Rejected(f"not encodable: {error}", Failure.ENCODING)
        except Exception as error:  # noqa: BLE001 - a bug of an encoding costs one event, not the route
            self._log.exception("encoding_raised", event_id=slot.id)
            return Rejected(f"not encodable: {type(error).__name__}", Failure.BUG)

    async def _attempt(self, messages: Sequence[Message], since: int) -> Sequence[Outcome]:
        """One call to the sink, when the circuit lets it pass.

        While the circuit is not closed, attempts queue up in order and go out one at a time, so that each
        probe is another one's turn and one bad event cannot keep a healthy sink's circuit open.
        """
        if self._circuit.is_closed():
            return await self._send(messages, since)
        async with self._probe:
            while anyio.current_time() < self._circuit.open_until:
                with anyio.CancelScope(deadline=self._circuit.open_until):
                    await self._changed.wait()  # another attempt, sent earlier, may close it meanwhile
            if not self._circuit.is_closed():
                return await self._send(messages, since)
        return await self._send(messages, since)

    async def _send(self, messages: Sequence[Message], since: int) -> Sequence[Outcome]:
        begun = anyio.current_time()
        outcomes = await self._sink.send(messages)
        self._metrics.sent(anyio.current_time() - begun)
        self._learn(outcomes, since)
        return outcomes

    def _learn(self, outcomes: Sequence[Outcome], since: int) -> None:
        """Tell the circuit what the outcomes say about the sink."""
        failures = [outcome for outcome in outcomes if isinstance(outcome, Retry)]
        for failure in failures:
            self._metrics.failed(failure.fault, failure.kind)
        if answers := len(outcomes) - len(failures):
            self._progress += answers
            if self._circuit.succeeded():
                self._log.info("circuit_closed")
                self._changed.notify()
            return
        blamed = [failure for failure in failures if failure.fault is not Fault.FAILED]
        if not blamed and self._progress > since:
            return  # others get through: the events pay for themselves
        worst = (blamed or failures)[0]
        after_secs = max((failure.after_secs for failure in blamed if failure.after_secs), default=None)
        unauthorised = worst.fault is Fault.UNAUTHORISED
        now = anyio.current_time()
        if self._circuit.failed(now, worst.reason, after_secs=after_secs, at_once=unauthorised):
            self._log.warning(
                "circuit_opened", reason=worst.reason, fault=worst.fault.value, kind=worst.kind.value
            )
            self._changed.notify()

    async def _sort_out(
        self,
        entries: Sequence[Entry],
        messages: Sequence[Message],
        outcomes: Sequence[Outcome],
        since: int,
    ) -> tuple[list[Entry], list[Message]]:
        """Settle, park and set aside by outcome.

        Returns:
            What the lane itself must try again, since it is the sink that was not there.
        """
        again: list[tuple[Entry, Message]] = []
        again_keys: set[bytes] = set()
        for entry, message, outcome in zip(entries, messages, outcomes, strict=True):
            queue = self._set_aside.get(entry.event.key)
            match outcome:
                case Delivered():
                    self._settle_delivered([entry])
                case Rejected():
                    await self._park(
                        entry, outcome, attempts=1, body=message.body, errors=(_failed_attempt(outcome),)
                    )
                case Retry() if queue is not None:
                    queue.append(entry)
                case Retry(fault=Fault.FAILED) if entry.event.key not in again_keys:
                    trial = _Trial(entry, message, progress=since)
                    self._set_aside[entry.event.key] = deque()
                    assert self._tasks is not None
                    self._tasks.start_soon(self._see_through, trial, outcome)
                case Retry():
                    again.append((entry, message))
                    again_keys.add(entry.event.key)
                case _:
                    assert_never(outcome)
        return [entry for entry, _ in again], [message for _, message in again]

    async def _see_through(self, trial: _Trial, failure: Retry) -> None:
        """Bring a failing event to its end, then what queued up behind it, in order."""
        await self._try_until_settled(trial, failure)
        key = trial.entry.event.key
        queue = self._set_aside[key]
        while queue:
            entry = queue.popleft()
            message = self._encode_one(entry)
            if isinstance(message, Message):
                await self._try_until_settled(_Trial(entry, message, progress=self._progress), None)
            else:
                await self._park(entry, message)
        del self._set_aside[key]

    async def _try_until_settled(self, trial: _Trial, failure: Retry | None) -> None:
        backoff = self._backoff()
        while True:
            if failure is not None:
                if failure.fault is Fault.FAILED and self._is_spent(trial, failure):
                    return await self._park_trial(trial, failure)
                await anyio.sleep(max(backoff.next(), failure.after_secs or 0.0))
            before = self._progress
            outcome = (await self._attempt([trial.message], trial.progress))[0]
            match outcome:
                case Delivered():
                    return self._settle_delivered([trial.entry])
                case Rejected():
                    trial.errors.append(_failed_attempt(outcome))
                    trial.attempts += 1
                    return await self._park_trial(trial, outcome)
                case Retry():
                    failure = outcome
                case _:
                    assert_never(outcome)
            if failure.fault is not Fault.FAILED:
                trial.progress = before

    def _is_spent(self, trial: _Trial, failure: Retry) -> bool:
        """Count a failed try against the event if others got through meanwhile; whether that was the last."""
        if self._progress > trial.progress:
            trial.attempts += 1
            trial.errors.append(_failed_attempt(failure))
            del trial.errors[:-_MAX_ERRORS_KEPT]
        trial.progress = self._progress
        return trial.attempts >= self._retry.attempts

    async def _park_trial(self, trial: _Trial, failure: Retry | Rejected) -> None:
        await self._park(
            trial.entry,
            failure,
            attempts=trial.attempts,
            body=trial.message.body,
            errors=tuple(trial.errors),
        )

    async def _park(
        self,
        entry: Entry,
        failure: Retry | Rejected,
        *,
        attempts: int = 0,
        body: bytes | None = None,
        errors: tuple[FailedAttempt, ...] = (),
    ) -> None:
        """Make a dead letter durable, however long it takes; only then is the event settled."""
        event = entry.event
        letter = DeadLetter(
            self._subscription,
            self._route,
            event,
            failure.reason,
            attempts,
            body,
            errors,
            kind=failure.kind,
        )
        backoff = self._backoff()
        waiting = False
        while True:
            try:
                await self._park_letters([letter])
                break
            except Unreachable as error:
                self._metrics.park_failed()
                if not waiting:
                    self._log.warning("dead_letter_delayed", event_id=event.id, reason=str(error))
                waiting = True
            await anyio.sleep(backoff.next())
        self._metrics.parked(failure.kind)
        self._log.warning(
            "event_parked",
            event_id=event.id,
            reason=failure.reason,
            kind=failure.kind.value,
            attempts=attempts,
        )
        self._settle(entry)

    def _settle_delivered(self, entries: Sequence[Entry]) -> None:
        self._metrics.delivered(len(entries))
        for entry in entries:
            self._settle(entry)

    def _settle(self, entry: Entry) -> None:
        if self._window.settle(entry.ticket, entry.place):
            self._changed.notify()

    def _backoff(self) -> Backoff:
        return Backoff(self._retry.initial_delay_secs, self._retry.max_delay_secs, self._rng)


def _failed_attempt(failure: Retry | Rejected) -> FailedAttempt:
    return FailedAttempt(round(time.time() * 1000), failure.kind, failure.reason)


def _key(entry: Entry) -> bytes:
    return entry.event.key


def _asked_to_wait(outcomes: Sequence[Outcome]) -> float:
    """How long a sink that is not there asked us to wait, at the most."""
    failures = [outcome for outcome in outcomes if isinstance(outcome, Retry)]
    return max((one.after_secs or 0.0 for one in failures if one.fault is not Fault.FAILED), default=0.0)
