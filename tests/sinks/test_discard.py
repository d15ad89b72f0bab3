"""The discard sink, end to end on the contract's seam: it encodes, and says that it has what it forgets."""

from __future__ import annotations

import anyio
import pytest

from eventbus.encoding.cloudevents import CloudEventsEncoder
from eventbus.errors import EncodingError
from eventbus.model import DELIVERED, Event, Message
from eventbus.sinks.discard import DiscardOptions, DiscardSink

ENCODER = CloudEventsEncoder("orders")


def _event(document: object) -> Event:
    return Event(
        token="01",
        operation="insert",
        database="shop",
        collection="orders",
        document_key={"_id": 1},
        document={"_id": 1, "value": document},
    )


def test_it_encodes_what_it_forgets() -> None:
    sink = DiscardSink("nowhere", DiscardOptions())
    message = sink.encode(_event("x"), ENCODER)
    assert isinstance(message, Message)
    assert b'"value":"x"' in message.body
    assert anyio.run(sink.send, [message] * 3) == [DELIVERED] * 3


def test_what_cannot_be_encoded_is_refused_here_too() -> None:
    with pytest.raises(EncodingError):
        DiscardSink("nowhere", DiscardOptions()).encode(_event(object()), ENCODER)
