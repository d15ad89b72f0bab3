"""Claim checks: what is too large for a message is stored, and the message tells where. No I/O here.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/extensions/dataref.md
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, TypeAlias

import bson
import orjson

from eventbus.encoding.composed import Headers
from eventbus.model import Claim, Event
from eventbus.sdk import Encoder

__all__ = ["ClaimCheck", "Reference", "bson_reference", "cloudevents_reference", "json_reference"]

Reference: TypeAlias = Callable[[Event, dict[str, Any]], bytes]
"""Writes a message that only tells where the content is."""


class ClaimCheck:
    """Writes a reference in place of content that is too large; `claim` gives the content to be stored.

    Args:
        encoder: Writes the content.
        reference: Writes the message in place of it.
        above_bytes: Content that is larger is too large.
        bucket: Where it is stored.
        keep_secs: How long.
    """

    def __init__(
        self, encoder: Encoder, reference: Reference, *, above_bytes: int, bucket: str, keep_secs: float
    ) -> None:
        self.content_type = encoder.content_type
        self._encoder = encoder
        self._reference = reference
        self._above_bytes = above_bytes
        self._bucket = bucket
        self._keep_secs = keep_secs

    def encode(self, event: Event) -> bytes:
        """See `eventbus.sdk.Encoder`."""
        body = event.encoded(self)
        if body is None:
            body = self._encode(event)
            event.keep_encoded(self, body)
        return body

    def headers(self, event: Event) -> Headers:
        """See `eventbus.sdk.Encoder`."""
        return self._encoder.headers(event)

    def claim(self, event: Event) -> Claim | None:
        """What must be stored before the event's message may go out."""
        content = self._encoder.encode(event)
        if len(content) <= self._above_bytes:
            return None
        digest = hashlib.sha256(content).hexdigest()
        # One change may be encoded in several ways, and a document that is looked up may be a later one.
        claim_id = f"{event.id}-{digest[:16]}"
        return Claim(self._bucket, claim_id, content, self.content_type, self._keep_secs)

    def _encode(self, event: Event) -> bytes:
        content = self._encoder.encode(event)
        if len(content) <= self._above_bytes:
            return content
        claim = self.claim(event)
        assert claim is not None
        digest = hashlib.sha256(content).hexdigest()
        told = {"bucket": claim.bucket, "id": claim.id, "size": len(content), "sha256": digest}
        return self._reference(event, told)


def json_reference(_: Event, told: dict[str, Any]) -> bytes:
    """An object with the one key ``claim_check``."""
    return orjson.dumps({"claim_check": told})


def bson_reference(_: Event, told: dict[str, Any]) -> bytes:
    """The same in BSON."""
    return bson.encode({"claim_check": told})


def cloudevents_reference(attributes: Callable[[Event], bytes]) -> Reference:
    """The envelope with its attributes, the attribute ``dataref``, and no data but the reference."""

    def reference(event: Event, told: dict[str, Any]) -> bytes:
        dataref = orjson.dumps(f"gridfs:{told['bucket']}/{told['id']}")
        head = attributes(event)[: -len(b"}")]
        return b'%b,"dataref":%b,"data":%b}' % (head, dataref, json_reference(event, told))

    return reference
