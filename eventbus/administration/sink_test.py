"""One marked event on its way to a sink, step by step; receivers tell it by its type ``eventbus.test``."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from eventbus.administration.names import check_sink
from eventbus.config import Config
from eventbus.doctor.marked_event import encoded, encoder_for, marked_event
from eventbus.model import Event, Rejected
from eventbus.sdk import Delivered, Encoder, Fault, Outcome, ProbedSink, ProbeStep, Retry, Sink
from eventbus.sinks.reaching import opening

__all__ = ["Place", "Step", "Verdict", "sink_tested"]


class Place(NamedTuple):
    """Where the event is said to come from; None for where the sink's first subscription reads."""

    database: str | None
    collection: str | None


class Verdict(StrEnum):
    """How the test ended."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    AWAY = "away"
    """A server does not answer."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the way.

    Args:
        name: What was done.
        ok: Whether it went well.
        detail: What came of it, for people.
        seconds: How long it took.
        verdict: How the whole ended; None before that, and where the sink could not be opened.
    """

    name: str
    ok: bool
    detail: str
    seconds: float
    verdict: Verdict | None = None

    def row(self) -> dict[str, Any]:
        """It as programs read it."""
        return {"step": self.name, "ok": self.ok, "seconds": round(self.seconds, 6), "detail": self.detail}


async def sink_tested(
    config: Config, name: str, place: Place, document: Mapping[str, Any] | None, *, by: str
) -> AsyncGenerator[Step, None]:
    """Send it, and tell each step when it was taken.

    Args:
        config: Declares the sink.
        name: Name of the sink.
        place: Names for templates.
        document: Sent as an insert of it, for sinks that take changes of documents alone.
        by: Who sends it.

    Yields:
        Each step. If the last one has no verdict, a server is away.

    Raises:
        ConfigurationError: There is no such sink, or its options turn out to be wrong.
    """
    check_sink(config, name)
    sink = config.sinks[name].make(name)
    clock = _Clock()
    try:
        is_open = False
        async with aclosing(_opening(sink)) as taken:
            async for step in taken:
                is_open = step.ok
                yield clock.told(step)
        if not is_open:
            return
        event = marked_event(config, name, sender=by, **place._asdict(), document=document)
        async with aclosing(_sending(sink, event, encoder_for(config, name, sink))) as sent:
            async for step, verdict in sent:
                yield clock.told(step, verdict)
    finally:
        await sink.close()


class _Clock:
    """Tells how long each step took."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    def told(self, step: ProbeStep, verdict: Verdict | None = None) -> Step:
        now = time.monotonic()
        took, self._since = now - self._since, now
        return Step(step.name, step.ok, step.detail, took, verdict)


async def _opening(sink: Sink) -> AsyncGenerator[ProbeStep, None]:
    if not isinstance(sink, ProbedSink):
        yield await opening(sink)
        return
    async with aclosing(sink.probe()) as steps:
        async for step in steps:
            yield step


async def _sending(
    sink: Sink, event: Event, encoder: Encoder
) -> AsyncGenerator[tuple[ProbeStep, Verdict | None], None]:
    message = encoded(sink, event, encoder)
    if isinstance(message, Rejected):
        yield ProbeStep("send", False, message.reason), Verdict.REFUSED
        return
    if not message.body:
        nothing = "nothing: this sink takes changes of documents; see --document"
        yield ProbeStep("send", True, nothing), Verdict.DELIVERED
        return
    to = f" to {message.target}" if message.target else ""
    yield ProbeStep("send", True, f"event {event.id}, {len(message.body)} bytes{to}"), None
    [outcome] = await sink.send([message])
    yield _answer(outcome)


def _answer(outcome: Outcome) -> tuple[ProbeStep, Verdict]:
    if isinstance(outcome, Delivered):
        return ProbeStep("answer", True, "delivered"), Verdict.DELIVERED
    is_away = isinstance(outcome, Retry) and outcome.fault is Fault.UNAVAILABLE
    step = ProbeStep("answer", False, f"{outcome.kind}: {outcome.reason}")
    return step, Verdict.AWAY if is_away else Verdict.REFUSED
