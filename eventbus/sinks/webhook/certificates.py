"""The certificates of a webhook's connections, as its options have them."""

from __future__ import annotations

import ssl

from eventbus.http.certificates import showing, trusting
from eventbus.sinks.webhook.options import Tls

__all__ = ["context_of"]


def context_of(tls: Tls | None) -> ssl.SSLContext:
    """The context of connections; it always checks certificates and names. Reads files.

    Raises:
        ValueError: A file cannot be used; the text says which.
    """
    if tls is None:
        return trusting(None)
    try:
        context = trusting(tls.ca)
    except ValueError as error:
        raise ValueError(f"ca {error}") from None
    if tls.certificate is not None:
        try:
            showing(context, tls.certificate, tls.key, tls.key_password)
        except ValueError as error:
            raise ValueError(f"certificate {error}") from None
    return context
