"""What users write for a lookup by HTTP. Nothing here may put a secret into an error."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, SecretStr, field_validator, model_validator
from yarl import URL

from eventbus.encoding.body import checked_body
from eventbus.encoding.keys import KeyTemplate
from eventbus.http.checks import HeaderName, NetworkName, Token, checked_url
from eventbus.http.tls import Tls
from eventbus.sdk import Duration, Options, Size
from eventbus.stages.lookup import LookupCache
from eventbus.stages.targets import FieldPath, Target

__all__ = ["Breaker", "HttpLookupCache", "HttpLookupOptions", "parted"]

_ORIGIN: Final = re.compile(r"[^/]*//[^/?#]*")
_BRACES: Final = re.compile(r"\{[^{}]*\}")


def parted(url: str) -> tuple[str, str]:
    """The origin of an address, and the rest, which begins with a slash."""
    origin = _ORIGIN.match(url)
    end = origin.end() if origin is not None else 0
    rest = url[end:]
    return url[:end], rest if rest.startswith("/") else f"/{rest}"


def _checked_template(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    try:
        KeyTemplate(text)
    except ValueError as error:
        raise ValueError(str(error) if "known are" in str(error) else "unmatched braces") from None
    origin, rest = parted(text)
    if "{" in origin:
        raise ValueError("names in braces may stand in the path and in the query only")
    checked_url(SecretStr(_BRACES.sub("x", text)))
    if not rest.isascii() or "#" in rest:
        raise ValueError("behind the host, percent-encode # and all that is not ASCII")
    if URL(origin).user is not None:
        raise ValueError("user name and password belong in a header Authorization")
    return value


UrlTemplate = Annotated[SecretStr, AfterValidator(_checked_template)]


class HttpLookupCache(LookupCache):
    """How long what was answered is taken for true."""

    missing_ttl: Duration = Field(default=0.0, ge=0)
    """How long it is taken for true that there is nothing; 0 asks for every batch anew."""


class Breaker(Options):
    """When a service that is away is left alone, and for how long."""

    failures: int = Field(default=5, ge=1)
    """After how many failures in a row."""
    open: Duration = Field(default=30.0, gt=0)
    """For how long. Then one request is tried."""


class HttpLookupOptions(Options):
    """What is asked for, and where the answer goes."""

    model_config = ConfigDict(hide_input_in_errors=True)

    url: UrlTemplate
    """Where to ask; http or https, with values of the event in braces behind the host, percent-encoded:
    `https://crm.example.com/customers/{document.customer_id}`. Only its path is ever shown."""
    method: Literal["GET", "POST"] = "GET"
    """The method of requests."""
    body: Any = None
    """For ``POST``: what the JSON that is sent looks like, with values of the event in braces."""
    headers: dict[HeaderName, Token] = Field(default={})
    """Further headers of every request."""
    into: Target
    """Where the answer goes: a field such as `document.customer`, or a name."""
    fields: tuple[FieldPath, ...] = ()
    """Which fields of it to bring; by default all of it."""
    missing: Literal["skip", "park"] | None = None
    """What becomes of an event for which nothing is found: null for null there, or ``skip``, or ``park``."""
    unavailable: Literal["wait", "park"] | None = "wait"
    """What becomes of events while the service is away: ``wait`` holds the subscription until it is back;
    null puts null there, ``park`` makes them dead letters, both once the breaker is open."""
    breaker: Breaker = Breaker()
    """When the service is left alone, unless it is waited for."""
    timeout: Duration = Field(default=5.0, gt=0)
    """How long an answer may take, from resolving the name to its end."""
    max_size: Size = Field(default=1 << 20, gt=0, le=16 << 20)
    """How large an answer may be."""
    concurrency: int = Field(default=8, ge=1, le=1000)
    """How many requests of a batch may be under way at once."""
    cache: HttpLookupCache = HttpLookupCache()
    """How long what was answered is taken for true."""
    networks: tuple[NetworkName, ...] = Field(default=("public", "private"), min_length=1)
    """The networks that may be connected to: ``public``, ``private``, and such as ``10.1.0.0/16``."""
    tls: Tls | None = None
    """Certificates, where the system's do not do or the service wants to see ours."""

    @field_validator("body")
    @classmethod
    def _has_known_names(cls, body: Any) -> Any:
        return checked_body(body)

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if (self.body is None) != (self.method == "GET"):
            raise ValueError("body goes with method: POST, which needs one")
        if "breaker" in self.model_fields_set and self.unavailable == "wait":
            raise ValueError("breaker: without unavailable: null or park the service is waited for")
        if self.tls is not None and not self.url.get_secret_value().lower().startswith("https:"):
            raise ValueError("tls: the url does not begin with https://")
        names = [name.lower() for name in self.headers]
        if len(set(names)) < len(names):
            raise ValueError("two headers differ only in upper and lower case")
        return self
