"""How the admitted events of a route get to its sink: what its two ways of delivery have in common.

One sends what is ready on several lanes, and each event by itself counts; the other commits slices together
with the route's position.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

import structlog
from anyio import create_task_group
from anyio.abc import TaskGroup

from eventbus.core.backoff import Backoff
from eventbus.core.circuit import Circuit
from eventbus.core.gate import Gate
from eventbus.core.holds import Hold
from eventbus.core.limit import Limit
from eventbus.core.signal import Signal
from eventbus.core.window import Entry, Window
from eventbus.model import Delivered, Event, Filtered, Message, Outcome, Rejected
from eventbus.runtime.attempts import Attempts
from eventbus.runtime.letters import Letters
from eventbus.runtime.messages import MessageMaker
from eventbus.runtime.policy import RoutePolicy
from eventbus.runtime.settling import Settling
from eventbus.runtime.shared_sink import SharedSink
from eventbus.sdk import Encoder
from eventbus.telemetry.metrics import RouteMetrics
from eventbus.telemetry.notices import RouteNotices
from eventbus.telemetry.tracing import Attempted

__all__ = ["Delivery", "DeliveryParts"]

log = structlog.get_logger("eventbus.route")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryParts:
    """What the delivery of a route works with.

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

    subscription: str
    route: str
    sink: SharedSink
    encoder: Encoder
    policy: RoutePolicy
    window: Window
    circuit: Circuit
    gate: Gate
    letters: Letters
    held: Mapping[bytes, Hold]
    changed: Signal
    metrics: RouteMetrics
    rng: Random
    pause: Callable[[str], None]


class Delivery(ABC):
    """Carries the admitted events of one route to its sink."""

    def __init__(self, parts: DeliveryParts) -> None:
        self._sink = parts.sink
        self._retry = parts.policy.retry
        self._rng = parts.rng
        self._log = log.bind(subscription=parts.subscription, route=parts.route)
        maker = MessageMaker(parts.sink.sink, parts.encoder, parts.policy.transform, self._log)
        self._message_of = maker.message_of
        self._limit = _limit(parts.policy, parts.sink)
        notices = RouteNotices(parts.subscription, parts.route, parts.sink.name)
        self._attempts = Attempts(
            parts.circuit,
            parts.gate,
            self._limit,
            parts.changed,
            parts.metrics,
            notices,
            self._log,
            parts.pause,
            Attempted(parts.subscription, parts.route, parts.sink.name),
        )
        self._settling = Settling(
            subscription=parts.subscription,
            route=parts.route,
            policy=parts.policy,
            window=parts.window,
            letters=parts.letters,
            held=parts.held,
            backoff=self._backoff,
            changed=parts.changed,
            metrics=parts.metrics,
            notices=notices,
            log=self._log,
        )

    @abstractmethod
    def put(self, entries: Sequence[Entry]) -> None:
        """Take over admitted events."""

    @abstractmethod
    def hurry(self) -> None:
        """Let no event wait for a fuller batch from now on: there will be none."""

    @abstractmethod
    def _begin(self, tasks: TaskGroup) -> None:
        """Start whatever works on events; the sink is open."""

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
        """Work until cancelled; the sink is open."""
        async with create_task_group() as tasks:
            tasks.start_soon(self._settling.run)
            self._begin(tasks)

    async def announce(self, event: Event) -> str | None:
        """Try once to send something that is no change and has no ticket; why the sink does not have it."""
        message = self._message_of(event)
        if isinstance(message, Filtered):
            return None
        if isinstance(message, Rejected):
            return message.reason
        outcome = (await self._send([message], (), self._attempts.answers))[0]
        return None if isinstance(outcome, Delivered) else outcome.reason

    async def _send(
        self, messages: Sequence[Message], entries: Sequence[Entry], since: int
    ) -> Sequence[Outcome]:
        """One attempt for each message (see `Attempts.attempt`)."""
        return await self._attempts.attempt(partial(self._sink.send, messages), messages, entries, since)

    def _backoff(self) -> Backoff:
        return Backoff(self._retry.initial_delay_secs, self._retry.max_delay_secs, self._rng)


def _limit(policy: RoutePolicy, sink: SharedSink) -> Limit | None:
    """The route's own limit before the sink's."""
    if policy.rate_per_sec is None and policy.concurrency is None:
        return sink.limit
    return Limit(rate_per_sec=policy.rate_per_sec, concurrency=policy.concurrency, beyond=sink.limit)
