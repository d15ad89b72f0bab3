"""The discard sink: takes everything and keeps nothing, for trying out a source and for measuring it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import BaseModel

from eventbus.sdk import DELIVERED, Encoded, Encoder, Event, Message, Options, Outcome, SinkTraits

__all__ = ["DiscardOptions", "DiscardSink"]


class DiscardOptions(Options):
    """Discarding has no options."""


class DiscardSink:
    """Encodes as any other sink, and then forgets. Delivered means: it was encoded.

    Args:
        name: Name of the sink in the configuration.
        options: What users wrote.
    """

    Options: ClassVar[type[BaseModel]] = DiscardOptions

    def __init__(self, name: str, options: DiscardOptions) -> None:  # noqa: ARG002 - every sink is made so
        self.name = name
        self.traits = SinkTraits(lanes=1, max_batch=1000, max_batch_bytes=16 << 20, keeps_order=True)

    async def open(self) -> None:
        """See `eventbus.sdk.Sink`; there is nothing to connect to."""

    async def close(self) -> None:
        """See `eventbus.sdk.Sink`."""

    def encode(self, event: Event, encoder: Encoder) -> Encoded:
        """The message, as any sink has it."""
        return Message(event, encoder.encode(event))

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """Take them."""
        return [DELIVERED] * len(messages)
