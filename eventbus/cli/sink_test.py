"""One marked event on its way to a sink, step by step; receivers tell it by its type ``eventbus.test``."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, NamedTuple

import typer

from eventbus.cli.asking import requester
from eventbus.cli.printing import print_json, printable
from eventbus.config import Config, ResolvedSubscription
from eventbus.config.encoding import EncodingPolicy
from eventbus.encoding.choice import Origin, encoder_of
from eventbus.errors import ConfigurationError, EncodingError
from eventbus.model import Event, Message, Operation, Rejected
from eventbus.sdk import Delivered, Encoder, Fault, Outcome, ProbedSink, ProbeStep, Retry, Sink, carried_by
from eventbus.sinks.reaching import opening
from eventbus.suggestions import did_you_mean, listed

__all__ = ["Place", "test_sink"]

_DONE, _NO, _AWAY = 0, 1, 3
"""Exit codes of the command line: see `eventbus.cli`."""
_BEFORE_ALL = "00"
"""A token before every other, so that no cache and no copy takes the event for news."""


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
        return await _sent(sink, _event(config, name, place, document), _encoder(config, name, sink), steps)
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
    message = _encoded(sink, event, encoder)
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


def _encoded(sink: Sink, event: Event, encoder: Encoder) -> Message | Rejected:
    try:
        return sink.encode(event, encoder)
    except EncodingError as error:
        return Rejected(str(error))


def _answered(outcome: Outcome, steps: _Steps) -> int:
    if isinstance(outcome, Delivered):
        steps.taken(ProbeStep("answer", True, "delivered"))
        return _DONE
    steps.taken(ProbeStep("answer", False, f"{outcome.kind}: {outcome.reason}"))
    return _AWAY if isinstance(outcome, Retry) and outcome.fault is Fault.UNAVAILABLE else _NO


def _event(config: Config, name: str, place: Place, document: Mapping[str, Any] | None) -> Event:
    subscription = _first_user(config, name)
    source = subscription.source.options if subscription is not None else None
    collections = getattr(source, "collections", None) or ("",)
    marked = {"test": True, "from": requester(), "sink": name}
    return Event(
        token=_BEFORE_ALL,
        id=secrets.token_hex(16),
        operation="eventbus.test" if document is None else Operation.INSERT,
        database=place.database or getattr(source, "database", None) or "",
        collection=place.collection or collections[0],
        time_ms=round(time.time() * 1000),
        document_key=None if document is None else {"_id": document.get("_id", "eventbus-test")},
        document=marked if document is None else {"_id": "eventbus-test", **document},
    )


def _encoder(config: Config, name: str, sink: Sink) -> Encoder:
    """As the first route to the sink encodes."""
    subscription = _first_user(config, name)
    if subscription is None:
        return encoder_of(EncodingPolicy(), Origin("eventbus-test", "eventbus"), carried_by(sink))
    encoding = next(route.encoding for route in subscription.routes if route.sink == name)
    return encoder_of(encoding, Origin(subscription.name, subscription.service), carried_by(sink))


def _first_user(config: Config, name: str) -> ResolvedSubscription | None:
    """The first subscription that has a route to the sink."""
    users = (one for one in config.subscriptions.values() if any(route.sink == name for route in one.routes))
    return next(users, None)
