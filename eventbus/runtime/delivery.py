"""The lanes of a route: encode, attempt, classify, settle.

A lane never waits for one failing key: the key is set aside with a task of its own, later events of that key
queue behind it, and the lane goes on. A sink that is down stops the lanes themselves, and no event pays.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from random import Random
from typing import assert_never

import anyio
import structlog

from eventbus.core.backoff import Backoff
from eventbus.core.circuit import Circuit
from eventbus.core.gate import Gate
from eventbus.core.holds import Hold
from eventbus.core.lanes import Entry, Lane, next_wave
from eventbus.core.limit import Limit
from eventbus.core.priority import PriorityLane
from eventbus.core.signal import Signal
from eventbus.core.window import Window
from eventbus.errors import EncodingError, NoForm
from eventbus.model import (
    DELIVERED,
    Delivered,
    Event,
    Failure,
    Fault,
    Filtered,
    Message,
    Outcome,
    Parked,
    Rejected,
    Retry,
)
from eventbus.runtime.attempts import Attempts
from eventbus.runtime.letters import Letters
from eventbus.runtime.policy import Ordering, RoutePolicy
from eventbus.runtime.settling import Settling
from eventbus.runtime.shared_sink import SharedSink
from eventbus.runtime.trials import Trials
from eventbus.sdk import Encoder
from eventbus.telemetry.metrics import RouteMetrics

__all__ = ["Delivery"]

log = structlog.get_logger("eventbus.route")


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
        gate: Whether attempts are wanted at all.
        letters: The way to the store of dead letters.
        held: What each held key waits behind; of no use where keys are not held.
        changed: Notified when room came back or the circuit moved.
        metrics: The route's metrics.
        rng: Where jitter comes from.
        pause: Has the route paused, with the reason.
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
        gate: Gate,
        letters: Letters,
        held: Mapping[bytes, Hold],
        changed: Signal,
        metrics: RouteMetrics,
        rng: Random,
        pause: Callable[[str], None],
    ) -> None:
        self._sink = sink
        self._encoder = encoder
        self._mixes_keys = sink.traits.keeps_order and not policy.holds_keys
        self._retry = policy.retry
        self._transform = policy.transform
        self._changed = changed
        self._rng = rng
        self._log = log.bind(subscription=subscription, route=route)
        self._ordering = policy.ordering
        self._workers = 1 if policy.ordering is Ordering.STRICT else policy.lanes or sink.traits.lanes
        self._lanes = [_lane(policy) for _ in range(1 if policy.ordering is Ordering.NONE else self._workers)]
        limit = _limit(policy, sink)
        self._attempts = Attempts(sink, circuit, gate, limit, changed, metrics, self._log, pause)
        self._max_batch = _max_batch(policy, sink, limit)
        self._max_size = min(sink.traits.max_batch_bytes, policy.batch_size or sink.traits.max_batch_bytes)
        self._settling = Settling(
            subscription=subscription,
            route=route,
            policy=policy,
            window=window,
            letters=letters,
            held=held,
            backoff=self._backoff,
            changed=changed,
            metrics=metrics,
            log=self._log,
        )
        self._trials = Trials(
            policy.retry, policy.ordering, self._attempts, self._settling, self._encode_one, self._backoff
        )

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

    def hurry(self) -> None:
        """Let no event wait for a fuller batch from now on: there will be none."""
        for lane in self._lanes:
            lane.hurry()

    @property
    def held(self) -> Mapping[bytes, Hold]:
        """What each held key waits behind."""
        return self._settling.holds.held

    @property
    def parks(self) -> int:
        """Goes up when a park begins and when it ends."""
        return self._settling.holds.parks

    def release(self, keys: Collection[bytes], asked: int) -> None:
        """Hold keys no longer, but for those of which a park was under way meanwhile.

        Args:
            keys: Keys of which the store had no dead letter left.
            asked: The number of `parks` before the store was asked.
        """
        self._settling.release(keys, asked)

    async def run(self) -> None:
        """Work on all lanes until cancelled."""
        await self._sink.open()
        self._changed.notify()
        async with anyio.create_task_group() as tasks:
            self._trials.begin(tasks)
            tasks.start_soon(self._settling.run)
            for number in range(self._workers):
                tasks.start_soon(self._work, self._lanes[number % len(self._lanes)])

    async def announce(self, event: Event) -> str | None:
        """Try once to send something that is no change and has no ticket; why the sink does not have it."""
        message = self._encode_slot(event)
        if isinstance(message, Filtered):
            return None
        if isinstance(message, Rejected):
            return message.reason
        outcome = (await self._attempts.attempt([message], self._attempts.answers))[0]
        return None if isinstance(outcome, Delivered) else outcome.reason

    async def _work(self, lane: Lane) -> None:
        while True:
            batch = await lane.next_batch(self._max_batch, self._max_size)
            while batch := self._trials.without_set_aside(batch):
                wave, rest = (batch, []) if self._mixes_keys else next_wave(batch, _key)
                batch = await self._deliver(wave) + rest
            if self._ordering is Ordering.STRICT:
                await self._trials.over()

    async def _deliver(self, wave: Sequence[Entry]) -> list[Entry]:
        """See a wave through, but for the keys that fail by themselves.

        Returns:
            What must come after it: an event that cannot be encoded, and had an earlier one of its key in it.
        """
        entries, messages, later = self._encode(wave)
        backoff = self._backoff()
        while entries:
            since = self._attempts.answers
            outcomes = await self._attempts.attempt(messages, since)
            if all(outcome is DELIVERED for outcome in outcomes):
                self._settling.delivered(entries)
                break
            entries, messages = self._sort_out(entries, messages, outcomes, since)
            if entries:
                await anyio.sleep(max(backoff.next(), _asked_to_wait(outcomes)))
        return later

    def _encode(self, wave: Sequence[Entry]) -> tuple[list[Entry], list[Message], list[Entry]]:
        """Messages for what can be encoded; what cannot is parked, and its key set aside meanwhile."""
        encoded: list[Entry] = []
        messages: list[Message] = []
        later: list[Entry] = []
        some_parked = False
        for entry in wave:
            if some_parked and self._trials.queued(entry):
                continue
            if later and _has_key(later, entry):
                later.append(entry)
                continue
            message = self._encode_one(entry)
            if isinstance(message, Message):
                encoded.append(entry)
                messages.append(message)
            elif isinstance(message, Filtered):
                self._settling.filtered(entry)
            elif _has_key(encoded, entry):
                later.append(entry)
            else:
                self._trials.park(entry, message)
                some_parked = True
        return encoded, messages, later

    def _encode_one(self, entry: Entry) -> Message | Rejected | Filtered:
        return self._encode_slot(entry.slot)

    def _encode_slot(self, slot: Event | Parked) -> Message | Rejected | Filtered:
        if isinstance(slot, Parked):
            return Rejected(slot.reason, Failure.STAGE)
        try:
            made = self._transform(slot) if self._transform is not None else slot
            if isinstance(made, Parked):
                return Rejected(made.reason, Failure.STAGE)
            return made if isinstance(made, Filtered) else self._sink.sink.encode(made, self._encoder)
        except NoForm:
            return Filtered(slot)
        except EncodingError as error:
            return Rejected(f"not encodable: {error}", Failure.ENCODING)
        except Exception as error:  # noqa: BLE001 - a bug of an encoding costs one event, not the route
            self._log.exception("encoding_raised", event_id=slot.id)
            return Rejected(f"not encodable: {type(error).__name__}", Failure.BUG)

    def _sort_out(
        self,
        entries: Sequence[Entry],
        messages: Sequence[Message],
        outcomes: Sequence[Outcome],
        since: int,
    ) -> tuple[list[Entry], list[Message]]:
        """Settle and set aside by outcome.

        Returns:
            What the lane itself must try again, since it is the sink that was not there.
        """
        again: list[tuple[Entry, Message]] = []
        again_keys: set[bytes] = set()
        rejected_keys = {
            entry.event.key
            for entry, outcome in zip(entries, outcomes, strict=True)
            if isinstance(outcome, Rejected)
        }
        for entry, message, outcome in zip(entries, messages, outcomes, strict=True):
            match outcome:
                case Delivered():
                    self._settling.delivered([entry])
                case Rejected():
                    self._trials.park(entry, outcome, message)
                case Retry() if self._trials.queued(entry):
                    pass
                case Retry(fault=Fault.FAILED) if entry.event.key not in again_keys:
                    self._trials.try_again(entry, message, outcome, since)
                case Retry() if entry.event.key in rejected_keys:  # it is set aside for a later one anyway
                    self._trials.try_again(entry, message, outcome, since)
                case Retry():
                    again.append((entry, message))
                    again_keys.add(entry.event.key)
                case _:
                    assert_never(outcome)
        return [entry for entry, _ in again], [message for _, message in again]

    def _backoff(self) -> Backoff:
        return Backoff(self._retry.initial_delay_secs, self._retry.max_delay_secs, self._rng)


def _lane(policy: RoutePolicy) -> Lane:
    if policy.priority is None:
        return Lane(policy.batch_wait_secs)
    return PriorityLane(policy.priority, policy.batch_wait_secs)


def _max_batch(policy: RoutePolicy, sink: SharedSink, limit: Limit | None) -> int:
    """The most events in a call; one with a strict order, lest what is behind a failing one gets through."""
    if policy.ordering is Ordering.STRICT:
        return 1
    bounds = (sink.traits.max_batch, policy.batch_events, limit and limit.largest_call)
    return min(bound for bound in bounds if bound)


def _limit(policy: RoutePolicy, sink: SharedSink) -> Limit | None:
    """The route's own limit before the sink's."""
    if policy.rate_per_sec is None and policy.concurrency is None:
        return sink.limit
    return Limit(rate_per_sec=policy.rate_per_sec, concurrency=policy.concurrency, beyond=sink.limit)


def _key(entry: Entry) -> bytes:
    return entry.event.key


def _has_key(entries: Sequence[Entry], entry: Entry) -> bool:
    return any(other.event.key == entry.event.key for other in entries)


def _asked_to_wait(outcomes: Sequence[Outcome]) -> float:
    """How long a sink that is not there asked us to wait, at the most."""
    failures = [outcome for outcome in outcomes if isinstance(outcome, Retry)]
    return max((one.after_secs or 0.0 for one in failures if one.fault is not Fault.FAILED), default=0.0)
