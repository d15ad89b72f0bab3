"""Signatures by the Standard Webhooks specification, https://www.standardwebhooks.com.

It knows bytes and keys, nothing of HTTP. Secrets appear in no error and no repr.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Iterable
from typing import Final

__all__ = ["Signer", "check_secret", "key_of"]

_PREFIX: Final = "whsec_"
_PREFIX_OF_PRIVATE_KEYS: Final = "whsk_"
_SEED_BYTES: Final = 32

_Sign = Callable[[bytes, bytes], str]
"""Signs a head and a body, as one text."""


def check_secret(secret: str) -> None:
    """See whether one can sign with a secret, of either kind.

    Raises:
        ValueError: One cannot. The text does not repeat it.
    """
    _signing(secret)


def key_of(secret: str) -> bytes:
    """The key that a shared secret stands for.

    Receivers' libraries skip characters outside of base64 and so would make another key of a mistyped
    secret; here it is an error.

    Raises:
        ValueError: The secret is empty or not base64. The text does not repeat it.
    """
    key = _decoded(secret.removeprefix(_PREFIX))
    if key is None:
        raise ValueError("a signing secret is base64, with whsec_, whsk_ or nothing before it")
    if not key:
        raise ValueError("a signing secret may not be empty")
    return key


class Signer:
    """Signs messages with every one of its secrets.

    Args:
        secrets: As users write them: with a shared secret it is HMAC-SHA256 (``v1``), with a private key
            (``whsk_``) Ed25519 (``v1a``).
    """

    __slots__ = ("_signing",)

    def __init__(self, secrets: Iterable[str]) -> None:
        self._signing = [_signing(secret) for secret in secrets]

    def signature(self, message_id: str, timestamp: int, body: bytes) -> str:
        """The value of the header ``webhook-signature``."""
        head = f"{message_id}.{timestamp}.".encode()
        return " ".join([sign(head, body) for sign in self._signing])


def _signing(secret: str) -> _Sign:
    if secret.startswith(_PREFIX_OF_PRIVATE_KEYS):
        return _with_private_key(secret.removeprefix(_PREFIX_OF_PRIVATE_KEYS))
    keyed = hmac.new(key_of(secret), digestmod=hashlib.sha256)

    def sign(head: bytes, body: bytes) -> str:
        fresh = keyed.copy()
        fresh.update(head)
        fresh.update(body)
        return "v1," + base64.b64encode(fresh.digest()).decode()

    return sign


def _with_private_key(encoded: str) -> _Sign:
    """Sign by Ed25519. The key is a seed, with or without the public key behind it, as libraries make it."""
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - an optional package
            Ed25519PrivateKey,
        )
    except ImportError:
        raise ValueError("a signing secret with whsk_ needs the extra: install eventbus[ed25519]") from None
    key = _decoded(encoded)
    if key is None or len(key) not in {_SEED_BYTES, 2 * _SEED_BYTES}:
        raise ValueError("a signing secret with whsk_ is base64 of a private key of 32 or 64 bytes")
    private = Ed25519PrivateKey.from_private_bytes(key[:_SEED_BYTES])
    if key[_SEED_BYTES:] not in {b"", private.public_key().public_bytes_raw()}:
        raise ValueError("a signing secret with whsk_ has a public key that is not of its private key")

    def sign(head: bytes, body: bytes) -> str:
        return "v1a," + base64.b64encode(private.sign(head + body)).decode()

    return sign


def _decoded(encoded: str) -> bytes | None:
    """The bytes behind base64, with or without its padding; None if it is not base64."""
    bare = encoded.rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
