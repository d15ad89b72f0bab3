"""What is traced: each attempt of a route, where a tracer is at work. Without one it costs next to nothing.

Only `eventbus.telemetry.otlp` knows the library that makes spans of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Protocol

from eventbus.model import Message, Outcome

__all__ = ["Attempted", "Span", "Tracer", "at_work", "attempt", "current_traceparent", "entered"]


@dataclass(frozen=True, slots=True)
class Attempted:
    """Whose attempt it is.

    Args:
        subscription: Name of the subscription.
        route: Name of the route.
        sink: Name of the sink.
    """

    subscription: str
    route: str
    sink: str


class Span(Protocol):
    """One attempt, while it is made."""

    def ended(self, outcomes: Sequence[Outcome]) -> None:
        """What the sink said: of each message, or once of all."""


class Tracer(Protocol):
    """Makes spans."""

    def attempt(self, whose: Attempted, messages: Sequence[Message]) -> AbstractContextManager[Span]:
        """A span around one attempt; `current_traceparent` is its own in the body."""


class _NoSpan:
    def ended(self, outcomes: Sequence[Outcome]) -> None:
        """Nobody wants to know."""


_OFF: Final = nullcontext[Span](_NoSpan())
_TRACER: ContextVar[Tracer | None] = ContextVar("tracer", default=None)
_CURRENT: ContextVar[str | None] = ContextVar("traceparent", default=None)


@contextmanager
def at_work(tracer: Tracer) -> Iterator[None]:
    """All attempts are traced that are made in the body, or by tasks that are started in it."""
    before = _TRACER.set(tracer)
    try:
        yield
    finally:
        _TRACER.reset(before)


def attempt(whose: Attempted, messages: Sequence[Message]) -> AbstractContextManager[Span]:
    """A span around one attempt, if anybody traces.

    Args:
        whose: Whose attempt it is.
        messages: What it sends.
    """
    tracer = _TRACER.get()
    return tracer.attempt(whose, messages) if tracer is not None else _OFF


@contextmanager
def entered(traceparent: str | None) -> Iterator[None]:
    """The body is part of this trace, or of none."""
    before = _CURRENT.set(traceparent)
    try:
        yield
    finally:
        _CURRENT.reset(before)


def current_traceparent() -> str | None:
    """What to send along, so that whoever receives it can go on with the trace; None if nobody traces."""
    return _CURRENT.get()
