"""Where a MongoDB URI leads to, for whoever wants to go there step by step. No I/O."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

from pymongo.uri_parser import parse_uri

__all__ = ["addresses_of", "tls_of"]

_SRV = "mongodb+srv://"


def addresses_of(uri: str) -> list[tuple[str, int]]:
    """The servers that it names; none where DNS names them, or where they are sockets of this machine."""
    if uri.startswith(_SRV):
        return []
    return [(host, port) for host, port in parse_uri(uri)["nodelist"] if port is not None]


def tls_of(uri: str) -> ssl.SSLContext | None:
    """How a connection is encrypted; None if it is not, or in a way that only the driver knows.

    Raises:
        OSError: A certificate cannot be read.
    """
    options: Mapping[str, Any] = {} if uri.startswith(_SRV) else parse_uri(uri)["options"]
    if not options.get("tls") or options.get("tlsInsecure") or options.get("tlsAllowInvalidCertificates"):
        return None
    context = ssl.create_default_context(cafile=options.get("tlsCAFile"))
    context.check_hostname = not options.get("tlsAllowInvalidHostnames")
    if own := options.get("tlsCertificateKeyFile"):
        context.load_cert_chain(own, password=options.get("tlsCertificateKeyFilePassword"))
    return context
