"""What a copy of a dead letter looks like: the event as ever, and beside it why it is dead.

The envelope's id and data are those of the event. What is added stands in extension attributes, for sinks
without headers, and in headers with the names that Kafka Connect uses for its dead letters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from eventbus.errors import EncodingError
from eventbus.model import Event
from eventbus.sdk import Encoder

__all__ = ["DeadLetterEncoder", "connect_headers"]


class DeadLetterEncoder:
    """Encodes one dead letter.

    Args:
        inner: Encodes its event.
        attributes: Extension attributes of CloudEvents, by name.
    """

    content_type = "application/cloudevents+json"

    def __init__(self, inner: Encoder, attributes: Mapping[str, Any]) -> None:
        self._inner = inner
        self._attributes = attributes

    def encode(self, event: Event) -> bytes:
        """The event with what is added; its identity alone, where it has no form."""
        try:
            envelope = orjson.loads(self._inner.encode(event))
        except EncodingError:
            envelope = {
                "specversion": "1.0",
                "id": event.id,
                "source": f"/mongodb/{event.database}/{event.collection}",
                "type": "eventbus.dead_letter",
                "data": None,
            }
        return orjson.dumps({**envelope, **self._attributes})


def connect_headers(event: Event, *, connector: str, kind: str, reason: str) -> Sequence[tuple[str, bytes]]:
    """Headers under the names of Kafka Connect."""
    values = {
        "topic": f"{event.database}.{event.collection}",
        "connector.name": connector,
        "task.id": "0",
        "stage": "TASK_PUT",
        "exception.class.name": kind,
        "exception.message": " ".join(reason.split()),
    }
    return [(f"__connect.errors.{name}", value.encode("utf-8", "replace")) for name, value in values.items()]
