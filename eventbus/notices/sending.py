"""Sends what waits in the outbox to the sink, one after the other, in the order in which it came about.

Nobody waits for it, and it notices nothing itself: a notice of its own failures could only fail, too.
"""

from __future__ import annotations

from random import Random
from typing import assert_never

import anyio
import structlog

from eventbus.config.notices import NoticesSection
from eventbus.core.backoff import Backoff
from eventbus.errors import EventbusError
from eventbus.model import Delivered, Fault, Message, Outcome, Rejected, Retry
from eventbus.notices.outbox import Outbox, Queued
from eventbus.runtime.shared_sink import SharedSink
from eventbus.sdk import Encoder

__all__ = ["Sending"]

log = structlog.get_logger("eventbus.notices")

_ATTEMPTS = 8
"""How often a notice may fail by itself, while the sink can be talked to."""
_REOPEN_SECS = 300.0
"""Until a sink is tried again that waiting does not open."""


class Sending:
    """The way of notices into one sink.

    Args:
        outbox: Where they wait.
        section: How long each is tried.
        sink: Where they go.
        encoder: What they look like.
        rng: Where jitter comes from.
    """

    def __init__(
        self,
        outbox: Outbox,
        section: NoticesSection,
        sink: SharedSink,
        encoder: Encoder,
        *,
        rng: Random | None = None,
    ) -> None:
        self._outbox = outbox
        self._max_age_secs = section.max_age
        self._sink = sink
        self._encoder = encoder
        self._backoff = Backoff(1.0, 60.0, rng or Random())
        self._is_away = False
        self._log = log.bind(sink=sink.name)

    async def run(self) -> None:
        """Send what there is, until cancelled."""
        await self._open()
        while True:
            queued = await self._outbox.take()
            outcome = ""
            try:
                outcome = await self._tried(queued)
            finally:
                if outcome:
                    self._outbox.over(queued, outcome)
                else:
                    self._outbox.back(queued)

    async def _open(self) -> None:
        while True:
            try:
                return await self._sink.open()
            except EventbusError as error:
                self._log.error("notices_not_sent", reason=str(error))
            await anyio.sleep(_REOPEN_SECS)

    async def _tried(self, queued: Queued) -> str:
        """Try until there is nothing more to be had of it; what came of it, in the word of the metric."""
        message = self._message(queued)
        if isinstance(message, Rejected):
            return self._refused(queued, message.reason)
        failures = 0
        while (left_secs := queued.at + self._max_age_secs - anyio.current_time()) > 0:
            outcome = await self._attempt(message)
            match outcome:
                case Delivered():
                    self._is_back()
                    return "sent"
                case Rejected():
                    self._is_back()
                    return self._refused(queued, outcome.reason)
                case Retry():
                    failures += outcome.fault is Fault.FAILED
                    if failures == _ATTEMPTS:
                        return self._refused(queued, outcome.reason)
                    self._goes_away(outcome)
                    await anyio.sleep(min(left_secs, max(self._backoff.next(), outcome.after_secs or 0.0)))
                case _:
                    assert_never(outcome)
        return "expired"

    async def _attempt(self, message: Message) -> Outcome:
        """One call, within the sink's own limit."""
        limit = self._sink.limit
        if limit is None:
            return (await self._sink.send([message]))[0]
        await limit.enter(1)
        try:
            return (await self._sink.send([message]))[0]
        finally:
            limit.leave()

    def _message(self, queued: Queued) -> Message | Rejected:
        try:
            return self._sink.sink.encode(queued.event, self._encoder)
        except Exception as error:  # noqa: BLE001 - the sink may be a plugin; its texts may be anything
            return Rejected(f"not encodable: {type(error).__name__}")

    def _goes_away(self, failure: Retry) -> None:
        if not self._is_away:
            self._log.warning("notice_sink_away", reason=failure.reason, kind=failure.kind.value)
        self._is_away = True

    def _is_back(self) -> None:
        if self._is_away:
            self._log.info("notice_sink_back")
        self._is_away = False
        self._backoff.reset()

    def _refused(self, queued: Queued, reason: str) -> str:
        self._log.warning("notice_refused", notice=queued.kind.value, reason=reason)
        return "refused"
