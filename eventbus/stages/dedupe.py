"""Drops what says nothing new: an event like one that the route has let through a short while ago.

What is remembered is the event that went on, and only a later one is dropped for it. It is delivered or
becomes a dead letter, so nothing is lost for being like it. A stage behind this one could drop it, and then
that would not hold; so this one comes last.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from typing import Annotated, ClassVar, Final, NamedTuple

import bson
from bson.errors import BSONError, InvalidDocument
from pydantic import Field

from eventbus.canonical import canonical_json, canonical_value
from eventbus.model import Section
from eventbus.sdk import (
    Duration,
    Event,
    Expression,
    ExpressionError,
    Filtered,
    Operation,
    Options,
    StageContext,
    View,
)
from eventbus.stages.each import EachEvent, StageError
from eventbus.telemetry import metrics

__all__ = ["Dedupe", "DedupeOptions"]

_SAME: Final = b""
"""The content where `by` says all."""
_HASH_BYTES: Final = 16


class DedupeOptions(Options):
    """What is alike."""

    by: tuple[Expression, ...] = ()
    """What events are alike in, such as `document.customer_id`. By default an event is dropped if its
    document is as the last event of that document left it."""
    window: Annotated[Duration, Field(ge=1)] = 600.0
    """How long an event that went on is remembered, by the times at which changes were committed."""
    entries: Annotated[int, Field(ge=1)] = 100_000
    """How many are remembered at most; the oldest are forgotten, and what is like them goes on."""


class _First(NamedTuple):
    """An event that went on.

    Args:
        content: What it says, hashed.
        token: Its token.
        id: Its id.
        at: When it was committed, in seconds.
    """

    content: bytes
    token: str
    id: str
    at: float


class Dedupe(EachEvent):
    """Lets the first of events that are alike go on.

    Args:
        options: What is alike.
        context: What every stage is given.
    """

    name = "dedupe"
    remembers: ClassVar[bool] = True
    comes_last: ClassVar[bool] = True
    Options = DedupeOptions

    def __init__(self, options: DedupeOptions, context: StageContext) -> None:
        super().__init__(context)
        self._options = options
        self._context = context
        self._firsts: OrderedDict[bytes, _First] = OrderedDict()
        """By what identifies them; the oldest first."""

    def change(self, view: View) -> Event | Filtered:
        """See `EachEvent`."""
        event = view.event
        if event.is_barrier:
            self._firsts.clear()  # the documents may all be gone
            return event
        identity = self._identity(view)
        if identity is None:
            return event
        content = _SAME if self._options.by else _content(event)
        first = self._firsts.get(identity)
        if first is not None and self._is_like(event, content, first):
            metrics.duplicate_dropped(self._context.subscription, self._context.label)
            return Filtered(event)
        self._remember(identity, _First(content, event.token, event.id, _time(event)))
        return event

    def _identity(self, view: View) -> bytes | None:
        """What the event is told by; None if some of it is missing."""
        if not self._options.by:
            event = view.event
            return canonical_value([event.database, event.collection]) + canonical_json(event.document_key)
        values = []
        for expression in self._options.by:
            try:
                values.append(expression.value(view))
            except ExpressionError as error:
                raise StageError(f"by: {error}") from error
        return None if None in values else _hashed(canonical_value(values))

    def _is_like(self, event: Event, content: bytes, first: _First) -> bool:
        """Whether an event says what an earlier one said. One that is read says what there is: it goes on."""
        is_later = first.token <= event.token and first.id != event.id
        is_new = first.content != content or _time(event) >= first.at + self._options.window
        return is_later and not is_new and event.operation != Operation.READ

    def _remember(self, identity: bytes, first: _First) -> None:
        self._firsts[identity] = first
        self._firsts.move_to_end(identity)
        while len(self._firsts) > self._options.entries or self._oldest_is_past(first.at):
            self._firsts.popitem(last=False)

    def _oldest_is_past(self, now: float) -> bool:
        return next(iter(self._firsts.values())).at + self._options.window <= now


def _content(event: Event) -> bytes:
    """What an event tells of its document: how it is now, or else what became of it.

    Raises:
        StageError: No document can hold what stages have made of it.
    """
    if event.document is not None:
        return _hashed(b"document", _raw(event.document))
    return _hashed(event.operation.encode(), _raw(event.changed), canonical_value(list(event.removed)))


def _raw(section: Section) -> bytes:
    """A section as the server would send it, be it decoded by now or not."""
    if section is None or isinstance(section, bytes):
        return section or b""
    try:
        return bson.encode(section)
    except (BSONError, InvalidDocument, OverflowError) as error:
        raise StageError(f"a document that no database can hold: {type(error).__name__}") from error


def _hashed(*parts: bytes) -> bytes:
    """The parts as a few bytes; what is divided otherwise gives others."""
    hashing = blake2b(digest_size=_HASH_BYTES)
    for part in parts:
        hashing.update(len(part).to_bytes(8, "little") + part)
    return hashing.digest()


def _time(event: Event) -> float:
    return event.cluster_time.seconds if event.cluster_time is not None else event.time_ms / 1000
