"""Notices that wait to be sent: bounded in number, in memory only, and filled without ever waiting."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import anyio

from eventbus.config.notices import NoticesSection
from eventbus.core.signal import Signal
from eventbus.encoding.notices import notice_event, told_moment
from eventbus.model import Event
from eventbus.notices.changes import Changes, Told
from eventbus.notices.kinds import KINDS, next_command
from eventbus.telemetry import metrics
from eventbus.telemetry.notices import Notice, NoticeKind
from eventbus.telemetry.redaction import redact

__all__ = ["Outbox", "Queued"]

_AT_EASE = 1.5
"""Headroom that was low is back when it is more by this factor."""
_LONGEST_REASON = 2000


@dataclass(frozen=True, slots=True)
class Queued:
    """A notice on its way.

    Args:
        kind: What it is.
        event: What is sent.
        at: When it was queued, in seconds of the loop's clock.
    """

    kind: NoticeKind
    event: Event
    at: float


class Outbox:
    """A `Listener` that decides what is told, and keeps it until it is taken.

    Args:
        instance: Name of the daemon.
    """

    def __init__(self, instance: str) -> None:
        self.section: NoticesSection | None = None
        """What users ask for; while it is None nobody listens."""
        self.parked_routes: set[tuple[str, str]] = set()
        """Subscription and route of those with dead letters that nobody has counted yet."""
        self._instance = instance
        self._changes = Changes(0.0, lambda kind: metrics.notice_ended(kind.value, "suppressed"))
        self._queue: deque[Queued] = deque()
        self._taken: Queued | None = None
        self._moved = Signal()
        self._process = secrets.token_hex(8)
        self._count = 0
        metrics.observe_notices(lambda: self.waiting)

    def configure(self, section: NoticesSection | None) -> None:
        """Take over what users ask for; what waits still goes out, if it is wanted and anybody is there."""
        self.section = section
        for queued in [queued for queued in self._queue if not self._is_wanted(queued.kind)]:
            self._queue.remove(queued)
            metrics.notice_ended(queued.kind.value, "dropped")
        if section is None:
            self._changes.clear()  # or what happens unheard would be taken as known later
            return
        self._changes.min_interval_secs = section.min_interval
        self._keep_bound()
        self._moved.notify()

    def noticed(self, notice: Notice) -> None:
        """See `eventbus.telemetry.notices.Listener`."""
        if self.section is None or self._is_of_own_sink(notice):
            return
        told = self._changes.noticed(notice, anyio.current_time(), time.time())
        if told is not None:
            self._put(told)
        self._moved.notify()  # somebody may have to wake earlier, for what is held

    def headroom_seen(self, least_secs: float, notice: Notice) -> None:
        """See `eventbus.telemetry.notices.Listener`."""
        if self.section is None:
            return
        if least_secs < self.section.headroom_below:
            self.noticed(notice)
        elif least_secs > _AT_EASE * self.section.headroom_below:
            self.noticed(replace(notice, kind=NoticeKind.HEADROOM_BACK))

    def parked(self, subscription: str, route: str) -> None:
        """See `eventbus.telemetry.notices.Listener`."""
        if self.section is not None:
            self.parked_routes.add((subscription, route))

    def forgotten(self, subscription: str, route: str) -> None:
        """See `eventbus.telemetry.notices.Listener`."""
        self._changes.forget(subscription, route)
        self.parked_routes = {
            one for one in self.parked_routes if one[0] != subscription or (route and one[1] != route)
        }

    def has_many_letters(self, subscription: str, route: str) -> bool:
        """Whether it was told that a route has too many dead letters."""
        return self._changes.last("dead_letters", subscription, route) is NoticeKind.DEAD_LETTERS_ABOVE

    async def take(self) -> Queued:
        """The next one to be sent, as soon as there is one: until it is `over`, or given `back`."""
        while True:
            for told in self._changes.due(anyio.current_time()):
                self._put(told)
            if self._queue:
                self._taken = self._queue.popleft()
                return self._taken
            with anyio.CancelScope(deadline=self._changes.next_due):
                await self._moved.wait()

    def over(self, queued: Queued, outcome: str) -> None:
        """It needs no further try."""
        metrics.notice_ended(queued.kind.value, outcome)
        self._taken = None
        self._moved.notify()

    def back(self, queued: Queued) -> None:
        """It could not be brought to its end: somebody else will try."""
        self._taken = None
        if self._is_wanted(queued.kind):
            self._queue.appendleft(queued)
        else:
            metrics.notice_ended(queued.kind.value, "dropped")

    async def emptied(self) -> None:
        """Wait until nothing waits any more."""
        while self.waiting:
            await self._moved.wait()

    @property
    def waiting(self) -> int:
        """How many have found no end yet."""
        return len(self._queue) + (self._taken is not None)

    def _put(self, told: Told) -> None:
        kind = told.notice.kind
        if not self._is_wanted(kind):
            return
        self._count += 1
        identity = f"{self._process}-{self._count}"
        event = notice_event(identity, self._count, self._data(told), time_secs=told.since)
        self._queue.append(Queued(kind, event, anyio.current_time()))
        self._keep_bound()

    def _keep_bound(self) -> None:
        assert self.section is not None
        while len(self._queue) > self.section.max_queued:
            metrics.notice_ended(self._queue.popleft().kind.value, "dropped")

    def _is_wanted(self, kind: NoticeKind) -> bool:
        return self.section is not None and (self.section.kinds is None or kind in self.section.kinds)

    def _is_of_own_sink(self, notice: Notice) -> bool:
        """Whether it could only be sent once it is no longer true, since its sink is the one that is away."""
        assert self.section is not None
        return KINDS[notice.kind].topic == "sink" and notice.sink == self.section.sink

    def _data(self, told: Told) -> Mapping[str, Any]:
        notice = told.notice
        ended = {} if told.began is None else {"began": told_moment(told.began)}
        return {
            "kind": notice.kind.value,
            "instance": self._instance,
            "subscription": notice.subscription or None,
            "route": notice.route or None,
            "sink": notice.sink or None,
            "reason": redact(notice.reason)[:_LONGEST_REASON],
            "since": told_moment(told.since),
            **ended,
            "changes": told.changes,
            "next": next_command(notice),
            "runbook": f"docs/runbook.md#{KINDS[notice.kind].runbook}",
            "details": dict(notice.details),
        }
