"""Whom a TLS connection trusts, and what it shows of us."""

from __future__ import annotations

import os
import ssl

from eventbus.sinks.webhook.options import Tls

__all__ = ["context_of"]


def context_of(tls: Tls | None) -> ssl.SSLContext:
    """The context of connections; it always checks certificates and names. Reads files.

    Raises:
        ValueError: A file cannot be used; the text says which.
    """
    if tls is None:
        return ssl.create_default_context()
    context = _trusting(tls.ca)
    if tls.certificate is not None and tls.key is not None:
        password = tls.key_password.get_secret_value() if tls.key_password is not None else ""
        try:
            context.load_cert_chain(tls.certificate, tls.key, lambda: password)
        except OSError as error:
            what = f"certificate {tls.certificate} with key {tls.key}"
            raise ValueError(f"{what}: {_why(error)}") from None
    return context


def _trusting(ca: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise ValueError(f"ca {ca}: {_why(error)}") from None


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "not in PEM"
    return os.strerror(error.errno) if error.errno else "not readable"
