"""Copies dead letters of a route to another sink. The store is the queue; a row knows if it was copied.

Nothing waits for it: a dead-letter sink that is down delays no live event, and what it refuses stays a dead
letter all the same. Copies of one key are sent in order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeAlias, assert_never

import anyio
import structlog

from eventbus.core.backoff import Backoff
from eventbus.core.lanes import next_wave
from eventbus.errors import EncodingError, Unreachable
from eventbus.model import Delivered, Fault, Message, Outcome, Rejected, Retry
from eventbus.runtime.shared_sink import SharedSink
from eventbus.sdk import Encoder
from eventbus.state.store import LetterQuery, LetterStore, StoredDeadLetter
from eventbus.telemetry import metrics

__all__ = ["Forwarding", "LetterEncoder"]

LetterEncoder: TypeAlias = Callable[[StoredDeadLetter], tuple[Encoder, Sequence[tuple[str, bytes]]]]
"""What the message of a dead letter looks like, and what headers it has."""

log = structlog.get_logger("eventbus.route")

_LOOK_SECS = 2.0
_PAGE = 100
_MOST_TRIES = 10
"""So often a single copy may fail while the sink takes others."""


class Forwarding:
    """The way of one route's dead letters into its dead-letter sink.

    Args:
        subscription: Name of the subscription.
        route: Name of the route.
        sink: Where the copies go.
        encoder: What they look like.
        store: Where the dead letters are.
    """

    def __init__(
        self, subscription: str, route: str, sink: SharedSink, encoder: LetterEncoder, store: LetterStore
    ) -> None:
        self._subscription = subscription
        self._route = route
        self._sink = sink
        self._encoder = encoder
        self._store = store
        self._tries: Counter[str] = Counter()
        self._log = log.bind(subscription=subscription, route=route, sink=sink.name)

    async def run(self) -> None:
        """Copy what there is, until cancelled."""
        await self._sink.open()
        backoff = Backoff(0.5, 30.0)
        while True:
            try:
                letters = await self._page()
                is_well = await self._copy(letters)
            except Unreachable as error:
                self._log.debug("dead_letters_not_read", reason=str(error))
                letters, is_well = [], False
            if is_well:
                backoff.reset()
            await anyio.sleep(_LOOK_SECS if is_well and not letters else 0.0 if is_well else backoff.next())

    async def _page(self) -> list[StoredDeadLetter]:
        query = LetterQuery(subscription=self._subscription, routes=(self._route,), forwarded=False)
        limit = self._sink.limit
        largest = (limit and limit.largest_call) or _PAGE
        size = min(_PAGE, self._sink.traits.max_batch, largest)
        return [one async for one in self._store.find_letters(query, by_token=True, limit=size)]

    async def _copy(self, letters: Sequence[StoredDeadLetter]) -> bool:
        """Copy a page; False if something of it must be tried again."""
        rest = list(letters)
        while rest:
            wave, rest = next_wave(rest, lambda stored: stored.key)
            if not await self._copy_wave(wave):
                return False
        return True

    async def _copy_wave(self, wave: Sequence[StoredDeadLetter]) -> bool:
        messages: list[Message] = []
        sent: list[StoredDeadLetter] = []
        done: list[StoredDeadLetter] = []
        for stored in wave:
            message = self._message(stored)
            if isinstance(message, Rejected):
                self._give_up(stored, message.reason)
                done.append(stored)
            else:
                messages.append(message)
                sent.append(stored)
        outcomes = await self._send(messages) if messages else []
        answered = any(not isinstance(outcome, Retry) for outcome in outcomes)
        ends = [self._ends(stored, outcome, answered) for stored, outcome in zip(sent, outcomes, strict=True)]
        done += [stored for stored, is_over in zip(sent, ends, strict=True) if is_over]
        if done:
            ids = [(stored.letter.route, stored.letter.event.id) for stored in done]
            await self._store.forwarded_letters(self._subscription, ids)
        return all(ends)

    async def _send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """One call, within the sink's own limit."""
        limit = self._sink.limit
        if limit is None:
            return await self._sink.send(messages)
        async with limit.entered(len(messages)):
            return await self._sink.send(messages)

    def _message(self, stored: StoredDeadLetter) -> Message | Rejected:
        encoder, headers = self._encoder(stored)
        try:
            message = self._sink.sink.encode(stored.letter.event, encoder)
        except EncodingError as error:
            return Rejected(str(error))
        if isinstance(message, Message):
            message.headers = (*message.headers, *headers)
        return message

    def _ends(self, stored: StoredDeadLetter, outcome: Outcome, answered: bool) -> bool:
        """Whether a copy needs no further try."""
        match outcome:
            case Delivered():
                metrics.dead_letter_forwarded(self._subscription, self._route, "delivered")
            case Rejected(reason):
                self._give_up(stored, reason)
            case Retry(fault=Fault.FAILED, reason=reason) if answered or self._tries[stored.id]:
                self._tries[stored.id] += 1
                if self._tries[stored.id] < _MOST_TRIES:
                    return False
                self._give_up(stored, reason)
            case Retry():
                return False
            case _:
                assert_never(outcome)
        self._tries.pop(stored.id, None)
        return True

    def _give_up(self, stored: StoredDeadLetter, reason: str) -> None:
        metrics.dead_letter_forwarded(self._subscription, self._route, "refused")
        self._log.warning("dead_letter_not_forwarded", dead_letter=stored.id, reason=reason)
