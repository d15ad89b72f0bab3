"""What users write for a webhook, checked as far as it can be without talking to anybody.

Nothing here may put a secret into an error: a webhook's address and each of its headers may hold one.
"""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field, SecretStr, model_validator
from yarl import URL

from eventbus.http.checks import HeaderName, NetworkName, PlainUrl, Token
from eventbus.http.tls import Tls
from eventbus.sdk import Duration, Options, Size
from eventbus.sinks.webhook.answers import Reaction
from eventbus.sinks.webhook.checks import AnswerName, Header, Host, Secret, UrlTemplate

__all__ = ["Basic", "Method", "OAuth2", "Signing", "Timeouts", "WebhookOptions"]

Method = Literal["POST", "PUT", "PATCH", "DELETE"]


class Signing(Options):
    """How a receiver can tell that a message comes from us."""

    model_config = ConfigDict(hide_input_in_errors=True)

    scheme: Literal["standard"] = "standard"
    """``standard`` is https://www.standardwebhooks.com: a signature over id, time and body."""
    secrets: tuple[Secret, ...] = Field(min_length=1)
    """Shared secrets in base64, with or without ``whsec_`` before it, for HMAC-SHA256; private keys, with
    ``whsk_`` before it, for Ed25519. Each message is signed with every one of them, so that a secret can be
    replaced without losing a message: add the new one, change the receiver, drop the old."""


class Basic(Options):
    """Name and password."""

    model_config = ConfigDict(hide_input_in_errors=True)

    username: str = Field(min_length=1)
    """The user's name."""
    password: SecretStr
    """The password."""


class OAuth2(Options):
    """Tokens by OAuth 2.0 client credentials, RFC 6749 section 4.4."""

    model_config = ConfigDict(hide_input_in_errors=True)

    token_url: PlainUrl
    """Where tokens are asked for; http or https."""
    client_id: str = Field(min_length=1)
    """Who we are there."""
    client_secret: SecretStr
    """How we show it."""
    credentials: Literal["header", "body"] = "header"
    """Where id and secret stand: as basic authentication in the ``header``, or in the form, the ``body``."""
    scope: str | None = None
    """What the token is to be good for, if the server wants to know."""
    audience: str | None = None
    """Whom the token is for, if the server wants to know."""


class Timeouts(Options):
    """Limits for phases of an attempt, each of which may also take all of ``timeout`` unless it is given."""

    connect: Duration | None = Field(default=None, gt=0)
    """To resolve the name and connect."""
    tls: Duration | None = Field(default=None, gt=0)
    """To agree on a TLS session."""
    send: Duration | None = Field(default=None, gt=0)
    """To send the request; of a large one, 256 KiB of it."""
    first_byte: Duration | None = Field(default=None, gt=0)
    """From the end of the request to the head of the answer."""


class WebhookOptions(Options):
    """An HTTP endpoint that takes events, one or several at a time."""

    model_config = ConfigDict(hide_input_in_errors=True)

    url: UrlTemplate
    """Where to send; http or https, a template behind the host. Name and password in it are sent as basic
    authentication."""
    method: Method = "POST"
    """The method of requests."""
    methods: dict[str, Method] = Field(default={})
    """Other methods for some operations, for instance ``{delete: DELETE}``."""
    headers: dict[HeaderName, Header] = Field(default={})
    """Further headers of every request; their values are templates."""
    signing: Signing | None = None
    """Without it messages are not signed; the header ``webhook-id`` is sent in any case."""
    basic: Basic | None = None
    """Name and password to send."""
    bearer: Token | None = None
    """A token to send as ``Authorization: Bearer``."""
    oauth2: OAuth2 | None = None
    """Where to get tokens to send as ``Authorization: Bearer``."""
    tls: Tls | None = None
    """Certificates, where the system's do not do or the endpoint wants to see ours."""
    body: Literal["single", "array", "ndjson"] = "single"
    """One event in a request, or several as a JSON array or as a line each."""
    max_batch: int = Field(default=100, ge=1, le=10_000)
    """The most events in a request, with ``array`` and ``ndjson``."""
    max_batch_size: Size = Field(default=1 << 20, gt=0)
    """The most bytes of events in a request, with ``array`` and ``ndjson``; a larger event goes alone."""
    compression: Literal["none", "gzip"] = "none"
    """How bodies from 1 KiB on are compressed. Signatures are over the body before."""
    timeout: Duration = Field(default=10.0, gt=0)
    """The most that one attempt may take, from resolving the name to the end of the answer."""
    timeouts: Timeouts = Timeouts()
    """Limits for its phases."""
    keep_alive: Duration = Field(default=15.0, ge=0)
    """How long a connection that is not needed is kept; ``0s`` for a new one for each request."""
    concurrency: int = Field(default=16, ge=1, le=10_000)
    """How many requests may be under way at once, over all routes; as many connections are kept."""
    adaptive: bool = False
    """Find out how many are good for the endpoint, up to ``concurrency``: more while it answers as fast as
    before, fewer when it fails or asks for less."""
    answers: dict[AnswerName, Reaction] = Field(default={})
    """What becomes of an event by the status of the answer (``404``) or by its hundred (``4xx``), where that
    is not to be as usual."""
    networks: tuple[NetworkName, ...] = Field(default=("public", "private"), min_length=1)
    """The networks that may be connected to: ``public``, ``private``, and such as ``10.1.0.0/16``."""
    handshake_origin: Host | None = None
    """Our name in the DNS: ask the endpoint with it whether it wants events, as CloudEvents' protection
    against abuse has it."""

    @model_validator(mode="after")
    def _one_of_each(self) -> WebhookOptions:
        names = [name.lower() for name in self.headers]
        if len(set(names)) < len(names):
            raise ValueError("two headers differ only in upper and lower case")
        shown = {
            "a user name in the URL": URL(self.url.get_secret_value()).user is not None,
            "a header Authorization": "authorization" in names,
            "basic": self.basic is not None,
            "bearer": self.bearer is not None,
            "oauth2": self.oauth2 is not None,
        }
        given = [name for name, is_given in shown.items() if is_given]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)}: only one can be sent")
        return self

    @model_validator(mode="after")
    def _of_use(self) -> WebhookOptions:
        url = self.url.get_secret_value()
        if self.handshake_origin is not None and "{" in url:
            raise ValueError(
                "handshake_origin: an endpoint is asked by its address, so url can be no template"
            )
        if self.tls is not None and not url.lower().startswith("https:"):
            raise ValueError("tls: the url does not begin with https://")
        return self
