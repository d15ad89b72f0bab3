"""What users write for a webhook, checked as far as it can be without talking to anybody.

Nothing here may put a secret into an error: a webhook's address and each of its headers may hold one.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field, SecretStr, model_validator
from yarl import URL

from eventbus.sdk import Duration, Options
from eventbus.sinks.webhook.signing import key_of

__all__ = ["Signing", "WebhookOptions"]

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
    return value


def _checked_secret(value: SecretStr) -> SecretStr:
    key_of(value.get_secret_value())
    return value


def _checked_header_name(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError("not a name that an HTTP header can have")
    if name.lower() in _OWN_HEADERS:
        raise ValueError("this header is set by the sink itself")
    if name.lower() in _HOP_BY_HOP_HEADERS:
        raise ValueError("this header belongs to the connection, not to the message")
    return name


def _checked_header_value(value: SecretStr) -> SecretStr:
    if not _VALUE.fullmatch(value.get_secret_value()):
        raise ValueError("a header's value is printable ASCII without spaces around it")
    return value


class Signing(Options):
    """How a receiver can tell that a message comes from us."""

    model_config = ConfigDict(hide_input_in_errors=True)

    scheme: Literal["standard"] = "standard"
    """``standard`` is https://www.standardwebhooks.com: HMAC-SHA256 over id, time and body."""
    secrets: tuple[Annotated[SecretStr, AfterValidator(_checked_secret)], ...] = Field(min_length=1)
    """Base64, with or without ``whsec_`` before it. Each message is signed with every one of them, so that a
    secret can be replaced without losing a message: add the new one, change the receiver, drop the old."""


class WebhookOptions(Options):
    """An HTTP endpoint that takes one event at a time."""

    model_config = ConfigDict(hide_input_in_errors=True)

    url: Annotated[SecretStr, AfterValidator(_checked_url)]
    """Where to POST; http or https. Name and password in it are sent as basic authentication."""
    signing: Signing | None = None
    """Without it messages are not signed; the header ``webhook-id`` is sent in any case."""
    timeout: Duration = Field(default=10.0, gt=0)
    """The most that one attempt may take, from resolving the name to the end of the answer."""
    concurrency: int = Field(default=16, ge=1, le=10_000)
    """How many requests may be under way at once, over all routes; as many connections are kept."""
    headers: dict[
        Annotated[str, AfterValidator(_checked_header_name)],
        Annotated[SecretStr, AfterValidator(_checked_header_value)],
    ] = Field(default={})
    """Further headers of every request, for instance ``Authorization``."""

    @model_validator(mode="after")
    def _one_of_each(self) -> WebhookOptions:
        names = [name.lower() for name in self.headers]
        if len(set(names)) < len(names):
            raise ValueError("two headers differ only in upper and lower case")
        if "authorization" in names and URL(self.url.get_secret_value()).user is not None:
            raise ValueError(
                "the URL has a user name and there is a header Authorization: only one can be sent"
            )
        return self
