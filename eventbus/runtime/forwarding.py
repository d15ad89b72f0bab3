"""Copies dead letters of a route to another sink. The store is the queue; a row knows if it was copied.

Nothing waits for it: a dead-letter sink that is down delays no live event, and what it refuses stays a dead
letter all the same. While the sink is healthy, copies go out in the order of their events.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import assert_never

import anyio
import structlog

from eventbus.core.backoff import Backoff, until_reachable
from eventbus.core.signal import Signal
from eventbus.errors import EventbusError, Unreachable
from eventbus.model import Delivered, Failure, Fault, Message, Outcome, Rejected, Retry
from eventbus.runtime.copies import CopiesTo, Copy
from eventbus.runtime.policy import RoutePolicy
from eventbus.state.store import LetterQuery, LetterStatus, LetterStore, StoredDeadLetter
from eventbus.telemetry import metrics

__all__ = ["Forwarding"]

log = structlog.get_logger("eventbus.route")

_REST_SECS = 1.0
"""Between two rounds, so that what is parked one by one is copied together."""
_WHOLE_ROUND_SECS = 300.0
"""After so long without news all is looked at: a command that sends dead letters itself parks unseen."""
_PAGE = 250
_PAGE_BYTES = 8 << 20


@dataclass(slots=True)
class _Tries:
    """What a copy has cost that fails by itself.

    Args:
        answers: How many messages the sink had judged when it failed last.
        count: How often it failed though others had got through since it failed before.
    """

    answers: int
    count: int = 0


class Forwarding:
    """The way of one route's dead letters, and of those of its replays, into its dead-letter sink.

    It works in rounds over the letters that have no copy yet, each of which is tried once in a round. A sink
    that cannot be talked to is waited for; one that fails on a letter gets the next one instead.

    Args:
        subscription: Name of the subscription.
        route: Name of the route.
        policy: The route's own, for patience.
        to: Where the copies go, and what they look like.
        store: Where the dead letters are.
        rng: Where jitter comes from.
    """

    def __init__(
        self,
        subscription: str,
        route: str,
        policy: RoutePolicy,
        to: CopiesTo,
        store: LetterStore,
        *,
        rng: Random,
    ) -> None:
        self._subscription = subscription
        self._route = route
        self._sink = sink = to.sink
        self._to = to
        self._store = store
        self._query = LetterQuery(
            subscription,
            match={"route": {"$regex": f"^{route}(@|$)"}},
            statuses=(LetterStatus.PARKED,),
            forwarded=False,
        )
        self._attempts = policy.retry.attempts
        self._patience = policy.circuit.failures
        self._backoff = Backoff(policy.circuit.initial_open_secs, policy.circuit.max_open_secs, rng)
        self._next: str | None = ""
        self._news = Signal()
        self._tries: dict[str, _Tries] = {}
        self._answers = 0
        self._failures = 0
        self._log = log.bind(subscription=subscription, route=route, sink=sink.name)

    def parked(self, token: str) -> None:
        """A dead letter with an event of this token became durable."""
        before = token[:-1]  # what begins another text is less than it
        self._next = before if self._next is None else min(before, self._next)
        self._news.notify()

    async def run(self) -> None:
        """Copy what there is, until cancelled. No fault of a sink or of a letter gets out."""
        while True:
            try:
                await self._sink.open(self._not_there_yet)
                while True:
                    start, self._next = self._next, None
                    if start is not None:
                        await self._round(start)
                    await self._rest()
            except EventbusError as error:
                self._log.error("forwarding_failed", reason=str(error))
            self._next = ""
            await anyio.sleep(_WHOLE_ROUND_SECS)

    async def _rest(self) -> None:
        """Wait until there is something to do again."""
        if self._next is None:
            with anyio.move_on_after(_WHOLE_ROUND_SECS) as silence:
                await self._news.wait()
            if silence.cancelled_caught:
                self._next = ""
        await anyio.sleep(_REST_SECS)

    async def _round(self, after: str) -> None:
        """Try each letter beyond a token once."""
        while page := await self._page(after):
            for batch in self._batches(page):
                await self._send(batch)
            after = page[-1].letter.event.token
            self._look_again_at_the_end_of(page)

    async def _page(self, after: str) -> list[StoredDeadLetter]:
        return await until_reachable(lambda: self._read(after), on_failure=self._report_waiting)

    async def _read(self, after: str) -> list[StoredDeadLetter]:
        page: list[StoredDeadLetter] = []
        size = 0
        async for stored in self._store.find_letters(self._query, by_token=True, after=after, limit=_PAGE):
            page.append(stored)
            size += stored.letter.event.size
            if size >= _PAGE_BYTES:
                break
        return page

    def _look_again_at_the_end_of(self, page: Sequence[StoredDeadLetter]) -> None:
        """A route and its replays park events of one token: the page may end between two of them."""
        size = sum(stored.letter.event.size for stored in page)
        if len(page) == _PAGE or size >= _PAGE_BYTES:
            self.parked(page[-1].letter.event.token)

    def _batches(self, page: Sequence[StoredDeadLetter]) -> Iterator[list[Copy]]:
        """Calls in the order of the letters, each within what the sink takes."""
        traits, limit = self._sink.traits, self._sink.limit
        most = min(traits.max_batch, (limit and limit.largest_call) or traits.max_batch)
        batch: list[Copy] = []
        keys: set[bytes] = set()
        size = 0
        for stored in page:
            copy = Copy(stored, self._sink.sink, self._to.encoder, self._to.omits)
            body = len(copy.message.body) if copy.message is not None else 0
            is_twice = stored.key in keys and not traits.keeps_order
            if batch and (len(batch) == most or size + body > traits.max_batch_bytes or is_twice):
                yield batch
                batch, keys, size = [], set(), 0
            batch.append(copy)
            keys.add(stored.key)
            size += body
        yield batch

    async def _send(self, batch: Sequence[Copy]) -> None:
        """Try each copy, as soon as the sink can be talked to."""
        without_form = [copy for copy in batch if copy.message is None]
        for copy in without_form:
            self._refused(copy, copy.refusal)
        await self._note(without_form)
        rest = [copy for copy in batch if copy.message is not None]
        while rest:
            outcomes = await self._attempt([copy.message for copy in rest if copy.message is not None])
            failures = self._learn(outcomes)
            over, again = self._sort_out(rest, outcomes)
            await self._note(over)
            if failures and (again or len(failures) == len(outcomes)):
                await anyio.sleep(max(self._backoff.next(), *(one.after_secs or 0.0 for one in failures)))
            rest = again

    async def _attempt(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """One call, within the sink's own limit."""
        if self._sink.limit is None:
            return await self._sink.send(messages)
        await self._sink.limit.enter(len(messages))
        try:
            return await self._sink.send(messages)
        finally:
            self._sink.limit.leave()

    def _learn(self, outcomes: Sequence[Outcome]) -> list[Retry]:
        """What the outcomes say about the sink; the failures among them."""
        failures = [outcome for outcome in outcomes if isinstance(outcome, Retry)]
        for failure in failures:
            metrics.dead_letter_forwarding_failed(self._subscription, self._route, failure.kind)
        if answers := len(outcomes) - len(failures):
            self._answers += answers
            self._backoff.reset()
            if self._failures >= self._patience:
                self._log.info("dead_letter_sink_back")
            self._failures = 0
            return failures
        self._failures += 1
        if self._failures == self._patience:
            worst = failures[0]
            self._log.warning("dead_letter_sink_away", reason=worst.reason, kind=worst.kind.value)
        return failures

    def _sort_out(self, batch: Sequence[Copy], outcomes: Sequence[Outcome]) -> tuple[list[Copy], list[Copy]]:
        """Those that need no further try, and those that need one in this round."""
        over: list[Copy] = []
        again: list[Copy] = []
        for copy, outcome in zip(batch, outcomes, strict=True):
            match outcome:
                case Delivered():
                    metrics.dead_letter_forwarded(self._subscription, self._route, "delivered")
                    over.append(copy)
                case Rejected() if copy.shrink(outcome):
                    again.append(copy)
                case Rejected():
                    self._refused(copy, copy.refusal)
                    over.append(copy)
                case Retry(fault=Fault.FAILED) if self._is_spent(copy):
                    self._refused(copy, outcome.reason)
                    over.append(copy)
                case Retry(fault=Fault.FAILED):
                    self.parked(copy.stored.letter.event.token)
                case Retry():
                    again.append(copy)
                case _:
                    assert_never(outcome)
        return over, again

    def _is_spent(self, copy: Copy) -> bool:
        """Count a failure against a letter, if others got through since its last; whether that was enough."""
        tries = self._tries.setdefault(copy.stored.id, _Tries(self._answers))
        tries.count += self._answers > tries.answers
        tries.answers = self._answers
        return tries.count >= self._attempts

    def _refused(self, copy: Copy, reason: str) -> None:
        metrics.dead_letter_forwarded(self._subscription, self._route, "refused")
        self._log.warning("dead_letter_not_forwarded", dead_letter=copy.stored.id, reason=reason)

    async def _note(self, copies: Sequence[Copy]) -> None:
        """Make it durable that these need no further try."""
        if not copies:
            return
        ids = [(copy.stored.letter.route, copy.stored.letter.event.id) for copy in copies]
        await until_reachable(
            lambda: self._store.forwarded_letters(self._subscription, ids), on_failure=self._report_waiting
        )
        for copy in copies:
            self._tries.pop(copy.stored.id, None)

    def _not_there_yet(self, error: Unreachable) -> None:  # noqa: ARG002 - the sink itself says why
        metrics.dead_letter_forwarding_failed(self._subscription, self._route, Failure.NETWORK)

    def _report_waiting(self, error: Unreachable) -> None:
        self._log.debug("dead_letters_not_read", reason=str(error))
