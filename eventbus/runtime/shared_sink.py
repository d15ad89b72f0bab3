"""One declared sink as its routes see it: opened once, bounded in total, and never raising.

A sink's exception is a bug of the sink; here it becomes a failed attempt, so that no sink can stop a route.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio
import structlog

from eventbus.core.backoff import until_reachable
from eventbus.core.limit import Limit
from eventbus.errors import Unreachable
from eventbus.model import Failure, Fault, Message, Outcome, Retry
from eventbus.sdk import Sink, TransactionalSink, Transactions
from eventbus.telemetry import notices

__all__ = ["SharedSink"]

log = structlog.get_logger("eventbus.sink")


class SharedSink:
    """A sink that any number of routes use at the same time.

    Args:
        sink: The sink, not yet open.
        rate_per_sec: How many messages may go out each second over all routes; None for no bound.
        concurrency: How many calls may be under way at once over all routes; None for the sink's own bound.
    """

    def __init__(
        self, sink: Sink, *, rate_per_sec: float | None = None, concurrency: int | None = None
    ) -> None:
        self.sink = sink
        self.name = sink.name
        self.traits = sink.traits
        self.waiting_for: str | None = "not opened yet"
        """Why it is not open, for people; None once it is."""
        self._opening = anyio.Lock()
        self._told: list[Callable[[Unreachable], None]] = []
        self._tried = anyio.Event()
        self.limit = _limit(rate_per_sec, _smaller(sink.traits.concurrency, concurrency))
        """Who sends must enter it first; None for no bound."""

    async def open(self, on_failure: Callable[[Unreachable], None] | None = None) -> None:
        """Connect, waiting for the sink for as long as it takes; at once if it is open.

        Args:
            on_failure: Told of every try in vain meanwhile, whoever made it.

        Raises:
            ConfigurationError: Waiting is of no use.
        """
        if on_failure is None:
            return await self._open()
        self._told.append(on_failure)
        try:
            await self._open()
        finally:
            self._told.remove(on_failure)

    async def tried(self) -> None:
        """Wait until it is open, or was not there at the first try."""
        await self._tried.wait()

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """Make one attempt for each message; an exception of the sink becomes an outcome."""
        try:
            outcomes = await self.sink.send(messages)
            answers = len(outcomes)
        except Exception as error:
            log.exception("sink_raised", sink=self.name)
            return [_bug(f"the sink raised {type(error).__name__}")] * len(messages)
        if answers != len(messages):
            log.error("sink_miscounted", sink=self.name, messages=len(messages), outcomes=answers)
            return [_bug("the sink returned a wrong number of outcomes")] * len(messages)
        return outcomes

    def transactions(self, route: str) -> Transactions:
        """Those of a route whose position the target keeps; the configuration was checked for it."""
        assert isinstance(self.sink, TransactionalSink), self.name
        return self.sink.transactions(route)

    async def close(self) -> None:
        """Release what the sink holds."""
        await self.sink.close()

    async def _open(self) -> None:
        async with self._opening:
            if self.waiting_for is None:
                return
            await until_reachable(self.sink.open, on_failure=self._report_waiting)
            self.waiting_for = None
            self._tried.set()
            log.debug("sink_opened", sink=self.name)
            notices.sink_opened(self.name)

    def _report_waiting(self, error: Unreachable) -> None:
        if self.waiting_for != str(error):
            log.warning("sink_waited_for", sink=self.name, reason=str(error))
            notices.sink_waiting(self.name, str(error))
        self.waiting_for = str(error)
        self._tried.set()
        for on_failure in self._told:
            on_failure(error)


def _limit(rate_per_sec: float | None, concurrency: int | None) -> Limit | None:
    if rate_per_sec is None and concurrency is None:
        return None
    return Limit(rate_per_sec=rate_per_sec, concurrency=concurrency)


def _smaller(one: int | None, other: int | None) -> int | None:
    return min((bound for bound in (one, other) if bound is not None), default=None)


def _bug(reason: str) -> Retry:
    return Retry(Fault.FAILED, reason, kind=Failure.BUG)
