"""The two ends of an event on its route, delivered and parked; only what is durable counts as settled.

While the store of dead letters is away, what needs it waits here and holds up nobody else: no lane ever waits
for the store.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace

import anyio
import structlog

from eventbus.core.backoff import Backoff
from eventbus.core.holds import Hold, Holds
from eventbus.core.signal import Signal
from eventbus.core.window import Entry, Window
from eventbus.errors import Unreachable
from eventbus.model import DeadLetter, Event, FailedAttempt, Failure, Rejected, Retry
from eventbus.runtime.letters import Letters
from eventbus.runtime.policy import RoutePolicy
from eventbus.telemetry.metrics import RouteMetrics
from eventbus.telemetry.notices import RouteNotices

__all__ = ["Settling"]

_MOST_PARKS_AT_ONCE = 16
"""So many keys may be writing dead letters at the same time; the others queue up."""


class Settling:
    """Settles the events of one route.

    Args:
        subscription: Name of the subscription.
        route: Name of the route.
        policy: What its dead letters carry.
        window: Where events are settled.
        letters: The way to the store of dead letters.
        held: What each held key waits behind; of no use where keys are not held.
        backoff: Makes the waits between tries to reach the store.
        changed: Notified when room came back.
        metrics: The route's metrics.
        notices: The route's notices.
        log: Bound to the route.
    """

    def __init__(
        self,
        *,
        subscription: str,
        route: str,
        policy: RoutePolicy,
        window: Window,
        letters: Letters,
        held: Mapping[bytes, Hold],
        backoff: Callable[[], Backoff],
        changed: Signal,
        metrics: RouteMetrics,
        notices: RouteNotices,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._subscription = subscription
        self._route = route
        self._policy = policy
        self._window = window
        self._letters = letters
        self._backoff = backoff
        self._changed = changed
        self._metrics = metrics
        self._notices = notices
        self._log = log
        self.holds = Holds(held if policy.holds_keys else {})
        self._parks = anyio.Semaphore(_MOST_PARKS_AT_ONCE)
        self._awaited: list[Entry] = []
        self._delivered = Signal()

    def delivered(self, entries: Sequence[Entry]) -> None:
        """The sink has these events; those that the store must hear of are settled by `run`."""
        self._metrics.delivered(len(entries))
        self._are_over(entries)

    def filtered(self, entry: Entry) -> None:
        """The sink is not meant to have this event."""
        self._metrics.filtered(1)
        self._are_over([entry])

    def _are_over(self, entries: Sequence[Entry]) -> None:
        if self._letters.awaits_any:
            entries = self._without_awaited(entries)
        self._settle(entries)

    def _without_awaited(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Those that are over now; the store must hear of the others first."""
        others: list[Entry] = []
        for entry in entries:
            if self._letters.awaits(entry.event):
                self._awaited.append(entry)
                self._delivered.notify()
            else:
                others.append(entry)
        return others

    async def run(self) -> None:
        """Tell the store of the deliveries that it waits for, until cancelled."""
        while True:
            while not self._awaited:
                await self._delivered.wait()
            entries, self._awaited = self._awaited, []
            await self._confirm(entries)

    async def _confirm(self, entries: Sequence[Entry]) -> None:
        events = [entry.event for entry in entries]
        await self._until_durable(lambda: self._letters.delivered(events), events[0].id)
        self._settle(entries)

    async def park(
        self,
        entry: Entry,
        failure: Retry | Rejected,
        *,
        attempts: int = 0,
        body: bytes | None = None,
        errors: tuple[FailedAttempt, ...] = (),
    ) -> None:
        """Make a dead letter durable, however long it takes; only then is the event settled."""
        letter = self._letter(entry.event, failure.reason, failure.kind)
        await self._park([entry], [replace(letter, attempts=attempts, body=body, errors=errors)])
        self._log.warning(
            "event_parked",
            event_id=letter.event.id,
            reason=letter.reason,
            kind=letter.kind.value,
            attempts=attempts,
        )

    @property
    def unsettled(self) -> int:
        """How many admitted events of the route have found no end yet."""
        return self._window.unsettled

    @property
    def enough_events(self) -> int:
        """So many that got through say that the sink is there: a good part of a window."""
        return self._window.grain

    def held_behind(self, event: Event) -> str | None:
        """Id of the event that another of its key waits behind; None if it waits for nothing."""
        return self.holds.behind(event.key, event.token)

    async def park_held(self, entries: Sequence[Entry], behind: str) -> None:
        """Park events of a held key, in order; they need no attempt, and no line in the log."""
        reason = f"waits behind dead letter {behind} of its key"
        letters = [self._letter(entry.event, reason, Failure.HELD) for entry in entries]
        await self._park(entries, [replace(letter, held_behind=behind) for letter in letters])

    def release(self, keys: Collection[bytes], asked: int) -> None:
        """See `Holds.release`."""
        if released := self.holds.release(keys, asked):
            self._log.info("keys_released", keys=released)

    def _letter(self, event: Event, reason: str, kind: Failure) -> DeadLetter:
        return DeadLetter(
            self._subscription,
            self._route,
            event,
            reason,
            kind=kind,
            config=self._policy.config,
            expire_after_secs=self._policy.letter_retention_secs,
        )

    async def _park(self, entries: Sequence[Entry], letters: Sequence[DeadLetter]) -> None:
        """Make dead letters of one key durable; from the beginning on the key is held, where keys are."""
        first = letters[0].event
        if self._policy.holds_keys and self.holds.begin(first.key, Hold(first.id, first.token)):
            self._log.warning("key_held", event_id=first.id)
        async with self._parks:
            await self._until_durable(lambda: self._letters.park(letters), first.id)
        if self._policy.holds_keys:
            self.holds.end(first.key)
        for letter in letters:
            self._metrics.parked(letter.kind)
        self._settle(entries)
        self._notices.parked()

    async def _until_durable(self, write: Callable[[], Awaitable[None]], event_id: str) -> None:
        backoff = self._backoff()
        waiting = False
        while True:
            try:
                return await write()
            except Unreachable as error:
                self._metrics.park_failed()
                if not waiting:
                    self._log.warning("dead_letter_delayed", event_id=event_id, reason=str(error))
                waiting = True
            await anyio.sleep(backoff.next())

    def _settle(self, entries: Sequence[Entry]) -> None:
        if self._window.settle(entries):
            self._changed.notify()
