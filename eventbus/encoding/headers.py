"""Attributes of CloudEvents as headers: the binary mode of the bindings for Kafka and HTTP.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal
from urllib.parse import quote

import orjson

from eventbus.encoding.composed import Headers, HeadersOf
from eventbus.model import Event

__all__ = ["attributes_in_headers", "constant_headers"]


def attributes_in_headers(attributes: Callable[[Event], bytes], prefix: Literal["ce_", "ce-"]) -> HeadersOf:
    """Headers with the very attributes that stand in the envelope in structured mode.

    Args:
        attributes: Gives an envelope without data, in JSON.
        prefix: What the names begin with: ``ce_`` in Kafka; ``ce-`` in HTTP, with percent-encoded values.
    """
    written = _percent_encoded if prefix == "ce-" else str.encode

    def headers(event: Event) -> Headers:
        found = orjson.loads(attributes(event))
        del found["datacontenttype"]  # the header content-type says it in both bindings
        return [(prefix + name, written(str(value))) for name, value in found.items()]

    return headers


def constant_headers(headers: Headers) -> HeadersOf:
    """The same for every event."""
    return lambda _: headers


def _percent_encoded(text: str) -> bytes:
    return quote(text, safe=_SAFE).encode()


_SAFE: Final = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
"""Section 3.1.3.2: all that is printable in ASCII, but for space, double quote and percent sign."""
