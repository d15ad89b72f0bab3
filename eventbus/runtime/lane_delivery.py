"""The lanes of a route: encode, attempt, classify, settle.

A lane never waits for one failing key: the key is set aside with a task of its own, later events of that key
queue behind it, and the lane goes on. A sink that is down stops the lanes themselves, and no event pays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import anyio
from anyio.abc import TaskGroup

from eventbus.core.lanes import Lane, next_wave
from eventbus.core.limit import Limit
from eventbus.core.priority import PriorityLane
from eventbus.core.window import Entry
from eventbus.model import DELIVERED, Delivered, Fault, Filtered, Message, Outcome, Rejected, Retry
from eventbus.runtime.delivery import Delivery, DeliveryParts
from eventbus.runtime.policy import Ordering, RoutePolicy
from eventbus.runtime.shared_sink import SharedSink
from eventbus.runtime.trials import Trials

__all__ = ["LaneDelivery"]


class LaneDelivery(Delivery):
    """Sends batches on several lanes; an event that fails holds up its key alone."""

    def __init__(self, parts: DeliveryParts) -> None:
        super().__init__(parts)
        policy, sink = parts.policy, parts.sink
        self._mixes_keys = sink.traits.keeps_order and not policy.holds_keys
        self._ordering = policy.ordering
        self._workers = 1 if policy.ordering is Ordering.STRICT else policy.lanes or sink.traits.lanes
        self._lanes = [_lane(policy) for _ in range(1 if policy.ordering is Ordering.NONE else self._workers)]
        self._max_batch = _max_batch(policy, sink, self._limit)
        self._max_size = min(sink.traits.max_batch_bytes, policy.batch_size or sink.traits.max_batch_bytes)
        self._trials = Trials(
            policy.retry,
            policy.ordering,
            self._send,
            self._attempts,
            self._settling,
            self._message_of,
            self._backoff,
        )

    def put(self, entries: Sequence[Entry]) -> None:
        """See `Delivery`: each on its lane."""
        if len(self._lanes) == 1:
            self._lanes[0].put(entries)
            return
        shares: dict[int, list[Entry]] = {}
        for entry in entries:
            shares.setdefault(entry.event.key_hash % len(self._lanes), []).append(entry)
        for lane, share in shares.items():
            self._lanes[lane].put(share)

    def hurry(self) -> None:
        """See `Delivery`."""
        for lane in self._lanes:
            lane.hurry()

    def _begin(self, tasks: TaskGroup) -> None:
        self._trials.begin(tasks)
        for number in range(self._workers):
            tasks.start_soon(self._work, self._lanes[number % len(self._lanes)])

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
            outcomes = await self._send(messages, entries, since)
            if outcomes.count(DELIVERED) == len(outcomes):
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
            message = self._message_of(entry.slot)
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


def _key(entry: Entry) -> bytes:
    return entry.event.key


def _has_key(entries: Sequence[Entry], entry: Entry) -> bool:
    return any(other.event.key == entry.event.key for other in entries)


def _asked_to_wait(outcomes: Sequence[Outcome]) -> float:
    """How long a sink that is not there asked us to wait, at the most."""
    failures = [outcome for outcome in outcomes if isinstance(outcome, Retry)]
    return max((one.after_secs or 0.0 for one in failures if one.fault is not Fault.FAILED), default=0.0)
