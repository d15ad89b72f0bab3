"""Whom a TLS connection trusts, and what it shows of us; certificates and names are always checked."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from pydantic import SecretStr

__all__ = ["showing", "trusting"]


def trusting(ca: str | Path | None) -> ssl.SSLContext:
    """A context that trusts the authorities of a file, or those that the system trusts. Reads files.

    Raises:
        ValueError: The file cannot be used; the text says which, and why.
    """
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise ValueError(f"{ca}: {_why(error)}") from None


def showing(
    context: ssl.SSLContext, certificate: str | Path, key: str | Path | None, password: SecretStr | None
) -> None:
    """Have a context show a certificate of ours, whose key is in a file of its own or in the same.

    Raises:
        ValueError: They cannot be used; the text says which, and why.
    """
    secret = password.get_secret_value() if password is not None else ""
    try:
        context.load_cert_chain(certificate, key, lambda: secret)
    except OSError as error:
        raise ValueError(f"{certificate} with key {key or certificate}: {_why(error)}") from None


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "not in PEM"
    return os.strerror(error.errno) if error.errno else "not readable"
