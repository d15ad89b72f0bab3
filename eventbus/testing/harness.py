"""What the contract kit asks of an author, and the events and the encoding it works with.

It must depend on nothing but the plugin interface, so that a plugin is tested as it will be run.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from eventbus.sdk import ClusterTime, EncodingError, Event, Sink, Stage, StageContext

__all__ = ["Changes", "PlainEncoder", "Received", "SinkHarness", "StageHarness", "TargetOutage"]


@dataclass(frozen=True, slots=True)
class Received:
    """One message as the target has it.

    Args:
        id: The event's id, read from wherever the sink puts it; the kit's bodies carry it as ``id`` too.
        body: The content, byte for byte, without framing such as a newline.
    """

    id: str
    body: bytes


class SinkHarness(Protocol):
    """One sink and the target that only this test writes to."""

    def make_sink(self) -> Sink:
        """A new sink on the target, not opened. It may be called several times."""

    async def received(self) -> Sequence[Received]:
        """Everything that the target has, read by other means than the sink.

        Messages of one key are in the order in which the target took them; across keys any order will do.
        A target that holds one state of each key, as a cache does, gives the newest of each.
        """


class TargetOutage(SinkHarness, Protocol):
    """A harness that can take its target away."""

    def outage(self) -> AbstractAsyncContextManager[None]:
        """Inside the block the target is down, at once and without a farewell; it keeps what it has."""


class StageHarness(Protocol):
    """One stage with its options, and changes that show what it does."""

    def make_stage(self, context: StageContext) -> Stage:
        """A new stage. It is called several times; what the stage asks, it may put into the context."""

    def events(self, changes: Changes) -> Sequence[Event]:
        """Changes that it handles and changes that it cannot, at least one; documents need be no BSON yet."""


class PlainEncoder:
    """A small JSON object that is the same for the same event; an event marked so cannot be encoded."""

    content_type = "application/json"

    def encode(self, event: Event) -> bytes:
        """See `eventbus.sdk.Encoder`."""
        if event.operation == "unencodable":
            raise EncodingError("this event is not to be encoded")
        fields = {"id": event.id, "operation": event.operation, "document": event.document}
        return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()

    def headers(self, event: Event) -> Sequence[tuple[str, bytes]]:  # noqa: ARG002 - it has none
        """See `eventbus.sdk.Encoder`."""
        return ()


class Changes:
    """Makes events one after another, as a source would: tokens rise, and no two tests share an id."""

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(8)
        self._count = 0

    def change(self, key: str, *, operation: str = "update", text: str = "", **parts: Any) -> Event:
        """The next change of the document `key`, its content holding `text`; or with other parts, by name."""
        self._count += 1
        usual: dict[str, Any] = {
            "token": f"82{self._prefix}{self._count:08X}",
            "database": "shop",
            "collection": "orders",
            "cluster_time": ClusterTime(1_700_000_000, self._count),
            "time_ms": 1_700_000_000_000 + self._count,
            "document_key": {"_id": key},
            "document": {"_id": key, "number": self._count, "text": text},
            "size": len(text) + 64,
        }
        return Event(operation=operation, **(usual | parts))

    def distinct(self, count: int) -> list[Event]:
        """Changes of as many documents."""
        return [self.change(f"key-{number}") for number in range(count)]

    def alternating(self, count: int, *keys: str) -> list[Event]:
        """Changes of a few documents in turn."""
        return [self.change(keys[number % len(keys)]) for number in range(count)]
