"""Every try of a route passes here: when it may go out, and what its outcome says about the sink.

What an outcome means for its event is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import anyio
import structlog

from eventbus.core.circuit import Circuit
from eventbus.core.gate import Gate
from eventbus.core.limit import Limit
from eventbus.core.signal import Signal
from eventbus.core.window import Entry
from eventbus.model import DELIVERED, Delivered, Fault, Message, Outcome, Retry
from eventbus.telemetry import tracing
from eventbus.telemetry.metrics import RouteMetrics
from eventbus.telemetry.notices import RouteNotices
from eventbus.telemetry.tracing import Attempted

__all__ = ["Attempts", "Call"]

Call: TypeAlias = Callable[[], Awaitable[Sequence[Outcome]]]
"""One call to a sink; gives what it said, of each message or of all."""


class Attempts:
    """Makes the attempts of one route, as its circuit lets them.

    Args:
        circuit: Whether the sink is worth an attempt.
        gate: Whether attempts are wanted at all.
        limit: How much may go out, on this route and into the sink; None for no bound.
        changed: Notified when the circuit opened or closed.
        metrics: The route's metrics.
        notices: The route's notices.
        log: Bound to the route.
        pause: Has the route paused, with the reason, when the sink wants nothing more or fails for too long.
        whose: The route, for traces.
    """

    def __init__(
        self,
        circuit: Circuit,
        gate: Gate,
        limit: Limit | None,
        changed: Signal,
        metrics: RouteMetrics,
        notices: RouteNotices,
        log: structlog.stdlib.BoundLogger,
        pause: Callable[[str], None],
        whose: Attempted,
    ) -> None:
        self._pause = pause
        self._whose = whose
        self.answers = 0
        """How many messages the sink has judged: while it goes up, an event that fails pays for itself."""
        self._circuit = circuit
        self._gate = gate
        self._changed = changed
        self._metrics = metrics
        self._notices = notices
        self._log = log
        self._limit = limit
        self._probe = anyio.Lock()

    @property
    def outages(self) -> int | None:
        """How often the sink has been down; None while it is."""
        return self._circuit.outages if self._circuit.is_closed() else None

    async def attempt(
        self, call: Call, messages: Sequence[Message], entries: Sequence[Entry], since: int
    ) -> Sequence[Outcome]:
        """One call to the sink, when the circuit lets it pass.

        While the circuit is not closed, attempts queue up in order and go out one at a time, so that each
        probe is another one's turn and one bad event cannot keep a healthy sink's circuit open.

        Args:
            call: Makes the attempt; it may be made once at most.
            messages: What it sends.
            entries: The events that they are of, for the metrics; none for what is no change.
            since: The number of `answers` when these messages were last tried.
        """
        while True:
            await self._gate.passed()
            if self._circuit.is_closed():
                if self._limit is None:
                    return await self._send(call, messages, entries, since)
                outcomes = await self._send_in_turn(call, messages, entries, since, self._circuit.is_closed)
            else:
                outcomes = await self._send_probe(call, messages, entries, since)
            if outcomes is not None:
                return outcomes

    async def _send_probe(
        self, call: Call, messages: Sequence[Message], entries: Sequence[Entry], since: int
    ) -> Sequence[Outcome] | None:
        """Wait until it is time for this attempt to ask; None if the circuit closed before, or stays open."""
        async with self._probe:
            while not self._may_probe():
                with anyio.CancelScope(deadline=self._circuit.open_until):
                    await self._changed.wait()  # another attempt, sent earlier, may close it meanwhile
            await self._gate.passed()
            if not self._circuit.is_closed() and self._may_probe():
                return await self._send_in_turn(call, messages, entries, since, self._may_probe)
        return None

    def _may_probe(self) -> bool:
        return anyio.current_time() >= self._circuit.open_until

    async def _send_in_turn(
        self,
        call: Call,
        messages: Sequence[Message],
        entries: Sequence[Entry],
        since: int,
        may_go: Callable[[], bool],
    ) -> Sequence[Outcome] | None:
        """Wait for the limit, which may take long; None if the attempt may not go any more by then."""
        if self._limit is None:
            return await self._send(call, messages, entries, since)
        begun = anyio.current_time()
        await self._limit.enter(len(messages))
        try:
            self._metrics.waited_for_limit(anyio.current_time() - begun)
            if may_go() and self._gate.reason is None:
                return await self._send(call, messages, entries, since)
            self._limit.give_back(len(messages))
        finally:
            self._limit.leave()
        return None

    async def _send(
        self, call: Call, messages: Sequence[Message], entries: Sequence[Entry], since: int
    ) -> Sequence[Outcome]:
        begun = anyio.current_time()
        with tracing.attempt(self._whose, messages) as span:
            outcomes = await call()
            span.ended(outcomes)
        seconds = anyio.current_time() - begun
        self._metrics.sent(seconds, messages, outcomes)
        for entry, outcome in zip(entries, outcomes, strict=False):
            if isinstance(outcome, Delivered):  # it stands for all of the call: to observe each is too slow
                delivered = outcomes.count(DELIVERED)
                self._metrics.reached(entry.event, begun - entry.ticket.read_at, seconds, delivered)
                break
        self._learn(outcomes, since)
        return outcomes

    def _learn(self, outcomes: Sequence[Outcome], since: int) -> None:
        """Tell the circuit what the outcomes say about the sink."""
        failures = [outcome for outcome in outcomes if isinstance(outcome, Retry)]
        for failure in failures:
            self._metrics.failed(failure.fault, failure.kind)
            if failure.pauses:
                self._pause(failure.reason)
        if answers := len(outcomes) - len(failures):
            is_first = self.answers == 0  # an earlier life may have told that the circuit is open
            self.answers += answers
            closed = self._circuit.succeeded()
            if closed or is_first:
                self._notices.circuit_closed()
            if closed:
                self._log.info("circuit_closed")
                self._changed.notify()
            return
        blamed = [failure for failure in failures if failure.fault is not Fault.FAILED]
        if not blamed and self.answers > since:
            return  # others get through: the events pay for themselves
        self._blame((blamed or failures)[0], blamed)

    def _blame(self, worst: Retry, blamed: Sequence[Retry]) -> None:
        after_secs = max((failure.after_secs for failure in blamed if failure.after_secs), default=None)
        unauthorised = worst.fault is Fault.UNAUTHORISED
        now = anyio.current_time()
        if self._circuit.failed(now, worst.reason, after_secs=after_secs, at_once=unauthorised):
            self._log.warning(
                "circuit_opened", reason=worst.reason, fault=worst.fault.value, kind=worst.kind.value
            )
            self._notices.circuit_opened(worst.reason, fault=worst.fault.value, kind=worst.kind.value)
            self._changed.notify()
        if self._circuit.is_hopeless(now):
            self._pause(f"every attempt has failed for longer than circuit.pause_after: {worst.reason}")
