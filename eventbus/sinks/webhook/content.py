"""Messages as the content of one request. No I/O."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from eventbus.sdk import Encoded, Encoder, Event, Failure, Message, Rejected

__all__ = ["Content", "compressed", "content_of", "encode"]

Form = Literal["single", "array", "ndjson"]

_SHORTEST_COMPRESSED_BYTES: Final = 1024
_COMPRESSION_LEVEL: Final = 6


@dataclass(frozen=True, slots=True)
class Content:
    """What one request carries.

    Args:
        id: The same for the same messages, however often they are sent.
        headers: What describes it, as lines.
        body: The bytes.
    """

    id: str
    headers: bytes
    body: bytes


def encode(event: Event, encoder: Encoder, form: Form) -> Encoded:
    """The event as the encoder writes it, with its content type, if it can stand in this form."""
    content_type = encoder.content_type
    body = encoder.encode(event)
    if form != "single" and not content_type.partition(";")[0].endswith("json"):
        return Rejected(f"{content_type} cannot stand beside others as {form}", Failure.ENCODING)
    if form == "ndjson" and b"\n" in body:
        return Rejected(
            "the encoded event contains a line break, and there is one event a line", Failure.ENCODING
        )
    further = encoder.headers(event)
    if further and form != "single":
        return Rejected(
            f"messages have headers of their own, which {form} has no place for", Failure.ENCODING
        )
    return Message(event, body, headers=(("Content-Type", content_type.encode()), *further))


def content_of(messages: Sequence[Message], form: Form) -> Content:
    """What a request with these messages carries."""
    first = messages[0]
    if form == "single":
        return Content(first.event.id, _lines(first.headers), first.body)
    bodies = [message.body for message in messages]
    of_all = "".join([message.event.id for message in messages]).encode()
    identity = hashlib.blake2b(of_all, digest_size=16).hexdigest()
    headers = [(name, value) for name, value in first.headers if name.lower() != "content-type"]
    if form == "array":
        is_cloudevent = any(value.startswith(b"application/cloudevents+json") for _, value in first.headers)
        content_type = b"application/cloudevents-batch+json" if is_cloudevent else b"application/json"
        return Content(
            identity, _lines([("Content-Type", content_type), *headers]), b"[%b]" % b",".join(bodies)
        )
    lines = b"".join([part for body in bodies for part in (body, b"\n")])
    return Content(identity, _lines([("Content-Type", b"application/x-ndjson"), *headers]), lines)


def compressed(body: bytes) -> bytes | None:
    """The body in gzip; None if it is too short to gain by it. Equal bodies give equal bytes."""
    if len(body) < _SHORTEST_COMPRESSED_BYTES:
        return None
    return gzip.compress(body, _COMPRESSION_LEVEL, mtime=0)


def _lines(headers: Sequence[tuple[str, bytes]]) -> bytes:
    return b"".join([b"%b: %b\r\n" % (name.encode(), value.translate(_PRINTABLE)) for name, value in headers])


_PRINTABLE: Final = bytes(byte if byte == 9 or 32 <= byte != 127 else 32 for byte in range(256))
"""Control characters become spaces: a line break would begin another header."""
