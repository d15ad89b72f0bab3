"""One JSON object a line: what the file and stdout sinks have in common. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

from eventbus.sdk import Encoded, Encoder, Event, Failure, Message, Rejected

__all__ = ["encode_line", "joined"]


def encode_line(event: Event, encoder: Encoder) -> Encoded:
    """The event as a line without its end.

    JSON escapes line breaks, so one in the body means an encoding that cannot be read back line by line.
    """
    body = encoder.encode(event)
    if b"\n" in body:
        return Rejected(
            "the encoded event contains a line break, and there is one event a line", Failure.ENCODING
        )
    return Message(event, body)


def joined(messages: Sequence[Message]) -> bytes:
    """The messages as lines, each with its end."""
    return b"".join([part for message in messages for part in (message.body, b"\n")])
