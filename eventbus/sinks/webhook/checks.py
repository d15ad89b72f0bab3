"""Whether addresses, headers and secrets are what they must be. No text repeats what was written."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import Annotated, Final

from pydantic import AfterValidator, SecretStr
from yarl import URL

from eventbus.encoding.template import Template
from eventbus.sinks.webhook.networks import network_of
from eventbus.sinks.webhook.signing import check_secret

__all__ = [
    "AnswerName",
    "Header",
    "HeaderName",
    "Host",
    "NetworkName",
    "PlainUrl",
    "Secret",
    "Token",
    "UrlTemplate",
]

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
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_ANSWER: Final = re.compile(r"[345](xx|[0-9]{2})")


def _checked_url(value: SecretStr) -> SecretStr:
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


def _checked_url_template(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    try:
        literals = Template(text).literals
    except ValueError as error:
        raise ValueError(str(error) if "known are" in str(error) else "unmatched braces") from None
    origin = re.match(r"[^/]*//[^/?#]*", text)
    if origin is not None and "{" in origin[0]:
        raise ValueError("names in braces may stand in the path and in the query only")
    _checked_url(SecretStr(literals))
    return value


def _checked_secret(value: SecretStr) -> SecretStr:
    check_secret(value.get_secret_value())
    return value


def _checked_header_name(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError("not a name that an HTTP header can have")
    if name.lower() in _OWN_HEADERS:
        raise ValueError("this header is set by the sink itself")
    if name.lower() in _HOP_BY_HOP_HEADERS:
        raise ValueError("this header belongs to the connection, not to the message")
    return name


def _checked_token(value: SecretStr) -> SecretStr:
    if not _VALUE.fullmatch(value.get_secret_value()):
        raise ValueError("a header's value is printable ASCII without spaces around it")
    return value


def _checked_header_value(value: SecretStr) -> SecretStr:
    try:
        Template(value.get_secret_value())
    except ValueError as error:
        raise ValueError(str(error) if "known are" in str(error) else "unmatched braces") from None
    return _checked_token(value)


def _checked_answer(name: str) -> str:
    if not _ANSWER.fullmatch(name):
        raise ValueError("expected a status such as 404, or a hundred of them such as 4xx, from 300 on")
    return name


def _checked_network(text: str) -> str:
    network_of(text)
    return text


def _checked_host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError("expected a name in the DNS, such as eventbus.example.com")
    return text


PlainUrl = Annotated[SecretStr, AfterValidator(_checked_url)]
UrlTemplate = Annotated[SecretStr, AfterValidator(_checked_url_template)]
Secret = Annotated[SecretStr, AfterValidator(_checked_secret)]
Token = Annotated[SecretStr, AfterValidator(_checked_token)]
HeaderName = Annotated[str, AfterValidator(_checked_header_name)]
Header = Annotated[SecretStr, AfterValidator(_checked_header_value)]
AnswerName = Annotated[str, AfterValidator(_checked_answer)]
NetworkName = Annotated[str, AfterValidator(_checked_network)]
Host = Annotated[str, AfterValidator(_checked_host)]
