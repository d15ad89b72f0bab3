"""Signatures by the Standard Webhooks specification, https://www.standardwebhooks.com.

It knows bytes and keys, nothing of HTTP. Secrets appear in no error and no repr.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable

__all__ = ["Signer", "key_of"]

_PREFIX = "whsec_"


def key_of(secret: str) -> bytes:
    """The key that a secret stands for.

    Receivers' libraries skip characters outside of base64 and so would make another key of a mistyped
    secret; here it is an error.

    Raises:
        ValueError: The secret is empty or not base64. The text does not repeat it.
    """
    encoded = secret.removeprefix(_PREFIX).rstrip("=")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("a signing secret is base64, with or without whsec_ before it") from None
    if not key:
        raise ValueError("a signing secret may not be empty")
    return key


class Signer:
    """Signs messages with every one of its secrets.

    Args:
        secrets: As users write them.
    """

    __slots__ = ("_keyed",)

    def __init__(self, secrets: Iterable[str]) -> None:
        self._keyed = [hmac.new(key_of(secret), digestmod=hashlib.sha256) for secret in secrets]

    def signature(self, message_id: str, timestamp: int, body: bytes) -> str:
        """The value of the header ``webhook-signature``."""
        head = f"{message_id}.{timestamp}.".encode()
        return " ".join(f"v1,{_digest(keyed, head, body)}" for keyed in self._keyed)


def _digest(keyed: hmac.HMAC, head: bytes, body: bytes) -> str:
    fresh = keyed.copy()
    fresh.update(head)
    fresh.update(body)
    return base64.b64encode(fresh.digest()).decode()
