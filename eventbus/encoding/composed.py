"""An encoder put together from its parts: how the body is written, and what stands in headers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from eventbus.model import Event

__all__ = ["ComposedEncoder", "Headers", "HeadersOf", "no_headers"]

Headers: TypeAlias = Sequence[tuple[str, bytes]]
HeadersOf: TypeAlias = Callable[[Event], Headers]


def no_headers(_: Event) -> Headers:
    """For sinks that have none, and envelopes that need none."""
    return ()


class ComposedEncoder:
    """Routes that share it share its work.

    Args:
        content_type: The media type of what `write` gives.
        write: The content of an event's message. It derives from the event alone.
        headers: What stands in the message's headers.
    """

    def __init__(
        self, content_type: str, write: Callable[[Event], bytes], headers: HeadersOf = no_headers
    ) -> None:
        self.content_type = content_type
        self.headers = headers
        self._write = write

    def encode(self, event: Event) -> bytes:
        """See `eventbus.sdk.Encoder`."""
        body = event.encoded(self)
        if body is None:
            body = self._write(event)
            event.keep_encoded(self, body)
        return body
