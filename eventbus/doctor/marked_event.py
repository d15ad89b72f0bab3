"""An event that is marked as a test: receivers tell it by its type ``eventbus.test``."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any

from eventbus.config import Config, ResolvedSubscription
from eventbus.config.encoding import EncodingPolicy
from eventbus.encoding.choice import Origin, encoder_of
from eventbus.errors import EncodingError
from eventbus.model import Event, Message, Operation, Rejected
from eventbus.sdk import Encoder, Outcome, Sink, carried_by

__all__ = ["encoded", "encoder_for", "marked_event", "sent"]

_BEFORE_ALL = "00"
"""A token before every other, so that no cache and no copy takes the event for news."""


def marked_event(
    config: Config,
    sink: str,
    *,
    sender: str,
    database: str | None = None,
    collection: str | None = None,
    document: Mapping[str, Any] | None = None,
) -> Event:
    """The event.

    Args:
        config: Declares the sink.
        sink: Name of the sink.
        sender: Who sends it.
        database: Where it is said to come from; None for where the sink's first subscription reads.
        collection: The same.
        document: Sent as an insert of it, for sinks that take changes of documents alone.
    """
    subscription = _first_user(config, sink)
    source = subscription.source.options if subscription is not None else None
    collections = getattr(source, "collections", None) or ("",)
    marked = {"test": True, "from": sender, "sink": sink}
    return Event(
        token=_BEFORE_ALL,
        id=secrets.token_hex(16),
        operation="eventbus.test" if document is None else Operation.INSERT,
        database=database or getattr(source, "database", None) or "",
        collection=collection or collections[0],
        time_ms=round(time.time() * 1000),
        document_key=None if document is None else {"_id": document.get("_id", "eventbus-test")},
        document=marked if document is None else {"_id": "eventbus-test", **document},
    )


def encoder_for(config: Config, name: str, sink: Sink) -> Encoder:
    """As the first route to the sink encodes."""
    subscription = _first_user(config, name)
    if subscription is None:
        return encoder_of(EncodingPolicy(), Origin("eventbus-test", "eventbus"), carried_by(sink))
    encoding = next(route.encoding for route in subscription.routes if route.sink == name)
    return encoder_of(encoding, Origin(subscription.name, subscription.service), carried_by(sink))


def encoded(sink: Sink, event: Event, encoder: Encoder) -> Message | Rejected:
    """The message, or why there is none."""
    try:
        return sink.encode(event, encoder)
    except EncodingError as error:
        return Rejected(str(error))


async def sent(sink: Sink, event: Event, encoder: Encoder) -> Outcome | None:
    """Send it once; None if this sink has nothing to send of such an event."""
    message = encoded(sink, event, encoder)
    if isinstance(message, Rejected):
        return message
    if not message.body:
        return None
    [outcome] = await sink.send([message])
    return outcome


def _first_user(config: Config, name: str) -> ResolvedSubscription | None:
    """The first subscription that has a route to the sink."""
    users = (one for one in config.subscriptions.values() if any(route.sink == name for route in one.routes))
    return next(users, None)
