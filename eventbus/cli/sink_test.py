"""One marked event on its way to a sink, step by step; receivers tell it by its type ``eventbus.test``."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, NamedTuple

import typer

from eventbus.cli.asking import requester
from eventbus.cli.printing import print_json, printable
from eventbus.config import Config
from eventbus.doctor.marked_event import encoded, encoder_for, marked_event
from eventbus.errors import ConfigurationError
from eventbus.model import Event, Rejected
from eventbus.sdk import Delivered, Encoder, Fault, Outcome, ProbedSink, ProbeStep, Retry, Sink
from eventbus.sinks.reaching import opening
from eventbus.suggestions import did_you_mean, listed

__all__ = ["Place", "test_sink"]

_DONE, _NO, _AWAY = 0, 1, 3
"""Exit codes of the command line: see `eventbus.cli`."""


class Place(NamedTuple):
    """Where the event is said to come from; None for where the sink's first subscription reads."""

    database: str | None
    collection: str | None


async def test_sink(
    config: Config, name: str, place: Place, document: Mapping[str, Any] | None, as_json: bool
) -> int:
    """Send it, and print each step when it was taken.

    Args:
        config: Declares the sink.
        name: Name of the sink.
        place: Names for templates.
        document: Sent as an insert of it, for sinks that take changes of documents alone.
        as_json: One object a line.

    Returns:
        The exit code: 0 delivered, 1 refused, 3 a server is away.

    Raises:
        ConfigurationError: There is no such sink, or its options turn out to be wrong.
    """
    if name not in config.sinks:
        guess = did_you_mean(name, config.sinks)
        raise ConfigurationError(f"no sink {name!r}{guess} (declared sinks: {listed(config.sinks)})")
    declared = config.sinks[name]
    sink = declared.cls(name, declared.options)
    steps = _Steps(as_json)
    try:
        if not await _opened(sink, steps):
            return _AWAY
        event = marked_event(config, name, sender=requester(), **place._asdict(), document=document)
        return await _sent(sink, event, encoder_for(config, name, sink), steps)
    finally:
        await sink.close()


class _Steps:
    """Prints steps as they are taken, with the time since the one before."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._since = time.monotonic()

    def taken(self, step: ProbeStep) -> bool:
        """Print it. Returns whether it was a success."""
        now = time.monotonic()
        took, self._since = now - self._since, now
        if self._as_json:
            row = {"step": step.name, "ok": step.ok, "seconds": round(took, 6), "detail": step.detail}
            print_json(row)
        else:
            verdict = "ok" if step.ok else "FAILED"
            typer.echo(
                f"{step.name:<13}{verdict:<8}{took * 1000:>9.1f} ms  {printable(step.detail)}".rstrip()
            )
        return step.ok


async def _opened(sink: Sink, steps: _Steps) -> bool:
    is_open = False
    async with aclosing(_opening(sink)) as taken:
        async for step in taken:
            is_open = steps.taken(step)
    return is_open


async def _opening(sink: Sink) -> AsyncGenerator[ProbeStep, None]:
    if not isinstance(sink, ProbedSink):
        yield await opening(sink)
        return
    async with aclosing(sink.probe()) as steps:
        async for step in steps:
            yield step


async def _sent(sink: Sink, event: Event, encoder: Encoder, steps: _Steps) -> int:
    message = encoded(sink, event, encoder)
    if isinstance(message, Rejected):
        steps.taken(ProbeStep("send", False, message.reason))
        return _NO
    if not message.body:
        steps.taken(ProbeStep("send", True, "nothing: this sink takes changes of documents; see --document"))
        return _DONE
    to = f" to {message.target}" if message.target else ""
    steps.taken(ProbeStep("send", True, f"event {event.id}, {len(message.body)} bytes{to}"))
    [outcome] = await sink.send([message])
    return _answered(outcome, steps)


def _answered(outcome: Outcome, steps: _Steps) -> int:
    if isinstance(outcome, Delivered):
        steps.taken(ProbeStep("answer", True, "delivered"))
        return _DONE
    steps.taken(ProbeStep("answer", False, f"{outcome.kind}: {outcome.reason}"))
    return _AWAY if isinstance(outcome, Retry) and outcome.fault is Fault.UNAVAILABLE else _NO
