"""The section about the admin server: where it listens, who may ask, and for what."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, SecretStr, model_validator

from eventbus.config.section import Section
from eventbus.units import Rate

__all__ = ["ServerSection", "ServerTLSSection", "TokenSection"]

_LEAST_CHARACTERS: Final = 16
_Text: TypeAlias = Annotated[str, Field(min_length=1)]


def _checked_token(token: SecretStr) -> SecretStr:
    text = token.get_secret_value()
    if len(text) < _LEAST_CHARACTERS:
        raise ValueError(
            f"a token has at least {_LEAST_CHARACTERS} characters: 'openssl rand -hex 32' makes one"
        )
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError("a token has printable ASCII characters alone, and no space")
    return token


class TokenSection(Section):
    """What a caller of the admin API shows, and what it may do with it."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
    """Who has it, for the log and for whoever looks at what was asked for."""
    token: Annotated[SecretStr, AfterValidator(_checked_token)]
    """The token itself; at least 16 characters."""
    scope: Literal["read", "write"] = "read"
    """Whether it may only look, or also act."""


class ServerTLSSection(Section):
    """Certificates of the admin server."""

    certificate_file: _Text
    """Its own certificate and those between it and its root, in PEM."""
    key_file: _Text
    """The private key of that, in PEM."""
    key_password: SecretStr | None = None
    """What the private key is encrypted with, if it is."""
    client_ca_file: _Text | None = None
    """Certificates, in PEM, of which one must vouch for every caller; by default callers need none."""


class ServerSection(Section):
    """Where health and metrics are served, and the admin API."""

    host: _Text = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8686
    """Port to listen on; 0 takes a free one."""
    tokens: Annotated[tuple[TokenSection, ...], Field(strict=False)] = ()
    """Who may use the admin API; without any, nobody may."""
    allow_unauthenticated: bool = False
    """Whether health and metrics may be served beyond this machine though there is no token."""
    metrics_needs_token: bool = False
    """Whether metrics are for those with a token alone."""
    host_names: Annotated[tuple[_Text, ...], Field(strict=False)] = ()
    """By which names it may be called."""
    tls: ServerTLSSection | None = None
    """Certificates; without them it speaks plain HTTP."""
    rate: Annotated[Rate, Field(gt=0)] | None = None
    """How many requests to the admin API each caller may make."""

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @model_validator(mode="after")
    def _is_guarded(self) -> Self:
        if not self.is_local and not self.tokens and not self.allow_unauthenticated:
            raise ValueError(
                "host lets other machines in: give tokens, or allow_unauthenticated: true if all who reach "
                "it may read health and metrics"
            )
        if self.metrics_needs_token and not self.tokens:
            raise ValueError("metrics_needs_token needs tokens")
        names = [token.name for token in self.tokens]
        if len(set(names)) < len(names):
            raise ValueError("two tokens have the same name")
        if len({token.token.get_secret_value() for token in self.tokens}) < len(names):
            raise ValueError("two names have the same token")
        return self
