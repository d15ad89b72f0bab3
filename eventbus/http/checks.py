"""Whether addresses, headers and networks are what they must be. No text repeats what was written."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import Annotated, Final

from pydantic import AfterValidator, SecretStr
from yarl import URL

from eventbus.http.networks import network_of

__all__ = ["HeaderName", "NetworkName", "PlainUrl", "Token", "checked_token", "checked_url"]

_OWN_HEADERS: Final = frozenset(
    {
        "accept-encoding",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    }
)
_HOP_BY_HOP_HEADERS: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_TOKEN: Final = re.compile(
    r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
)  # https://www.rfc-editor.org/rfc/rfc9110#name-tokens
_VALUE: Final = re.compile(r"[!-~]([ \t!-~]*[!-~])?")


def checked_url(value: SecretStr) -> SecretStr:
    """The same address.

    Raises:
        ValueError: Nothing can be reached by it.
    """
    text = value.get_secret_value()
    try:
        url = URL(text)
        (url.raw_host or "").encode("idna")  # as the resolver does
    except ValueError:
        raise ValueError("not a URL") from None
    if not text.isprintable() or " " in text:
        raise ValueError("a URL holds no spaces and no control characters")
    if url.scheme not in {"http", "https"}:
        raise ValueError("expected a URL that begins with http:// or https://")
    if not url.host or url.port == 0:
        raise ValueError("the URL names no host and port that could be connected to")
    if _is_disguised(url.host):
        raise ValueError("write the address in full, as four decimal numbers")
    return value


def _is_disguised(host: str) -> bool:
    """Whether it is an IPv4 address in one of the spellings that only resolvers understand."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        try:
            socket.inet_aton(host)
        except (OSError, ValueError):
            return False
        return True
    return False


def _checked_header_name(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError("not a name that an HTTP header can have")
    if name.lower() in _OWN_HEADERS:
        raise ValueError("this header is set by eventbus itself")
    if name.lower() in _HOP_BY_HOP_HEADERS:
        raise ValueError("this header belongs to the connection, not to the message")
    return name


def checked_token(value: SecretStr) -> SecretStr:
    """The same value.

    Raises:
        ValueError: No header can have it.
    """
    if not _VALUE.fullmatch(value.get_secret_value()):
        raise ValueError("a header's value is printable ASCII without spaces around it")
    return value


def _checked_network(text: str) -> str:
    network_of(text)
    return text


PlainUrl = Annotated[SecretStr, AfterValidator(checked_url)]
Token = Annotated[SecretStr, AfterValidator(checked_token)]
HeaderName = Annotated[str, AfterValidator(_checked_header_name)]
NetworkName = Annotated[str, AfterValidator(_checked_network)]
