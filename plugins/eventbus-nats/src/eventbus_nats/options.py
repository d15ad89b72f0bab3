"""What users write about a NATS, and which of it belongs together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator

from eventbus.sdk import Duration, KeyText, Options

__all__ = ["Certificates", "NatsOptions", "StreamOptions"]


def _server(url: str) -> str:
    """An address without anything that would have to be kept secret."""
    try:
        parts = urlsplit(url)
        is_right = parts.scheme in {"nats", "tls"} and parts.hostname and parts.port != 0
    except ValueError:
        is_right = False
    if not is_right:
        raise ValueError("must be an address such as nats://host:4222, or tls://host:4222")
    if parts.username is not None:
        raise ValueError("must hold no user: write username and password, token or credentials_file")
    return url


def _words(subject: str) -> str:
    if any(not word for word in subject.split(".")):
        raise ValueError("must be words with single dots between them")
    return subject


_Name = Annotated[str, StringConstraints(pattern=r"^[^\s.*>/\\]+$")]
_Pattern = Annotated[str, StringConstraints(pattern=r"^[^\s]+$"), AfterValidator(_words)]


class Certificates(Options):
    """What TLS needs beyond the authorities that this machine trusts. Names are verified in any case."""

    ca_file: Path | None = None
    """Certificates of the authorities that may have signed the server's, in PEM."""
    certificate_file: Path | None = None
    """Our own certificate, in PEM, for servers that ask for one."""
    key_file: Path | None = None
    """The private key of our certificate, in PEM; without it both are in `certificate_file`."""


class StreamOptions(Options):
    """The stream that takes the messages. One that is there already is left as it is."""

    name: _Name
    """Its name. No other stream may take a message, whatever its subjects are."""
    subjects: Sequence[_Pattern] = ()
    """The subjects that it takes, such as ``shop.>``: it is made with them if it is not there."""
    replicas: int = Field(default=1, ge=1, le=5)
    """On how many servers a stream that is made is kept."""
    storage: Literal["file", "memory"] = "file"
    """Where a stream that is made is kept."""
    max_age: Duration | None = Field(default=None, gt=0)
    """How long a stream that is made keeps a message. For ever by default."""
    duplicate_window: Duration = Field(default=120.0, gt=0)
    """How long a stream that is made knows a message id again."""

    @model_validator(mode="after")
    def _windows_fit(self) -> Self:
        if self.max_age is not None and self.duplicate_window > self.max_age:
            raise ValueError("duplicate_window: must not be longer than max_age")
        return self


class NatsOptions(Options):
    """A NATS with JetStream, and where in it events go."""

    servers: Annotated[Sequence[Annotated[str, AfterValidator(_server)]], Field(min_length=1)]
    """Addresses of some servers of the cluster, such as ``nats://host:4222``; ``tls://`` for TLS."""
    subject: Annotated[KeyText, AfterValidator(_words)]
    """The subject, such as ``shop.{collection}.{operation}``; it may hold what a key's template may."""
    message_id: KeyText = "{event_id}"
    """The id by which the stream knows a message again. Give it something more where two routes bring the
    same events into one stream: of equal ids only the first is kept."""
    stream: StreamOptions | None = None
    """The stream that must take the messages; any that has the subject by default."""
    username: str | None = None
    """The user that the server knows us by."""
    password: SecretStr | None = None
    """The password of `username`."""
    token: SecretStr | None = None
    """A token, where the server wants one instead of a user."""
    credentials_file: Path | None = None
    """A file with a JWT and its key, for operator mode; needs ``eventbus-nats[nkeys]``."""
    tls: Certificates | None = None
    """Certificates, where those of this machine do not do."""
    timeout: Duration = Field(default=5.0, gt=0)
    """How long a connection may take, and how long an acknowledgement is waited for."""
    max_pending: int = Field(default=1000, ge=1, le=100_000)
    """How many messages may wait for their acknowledgements at once, over all routes."""

    @model_validator(mode="after")
    def _one_identity(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together")
        given = [self.username, self.token, self.credentials_file]
        if sum(value is not None for value in given) > 1:
            raise ValueError("username, token and credentials_file: only one of them can be used")
        if self.tls is not None and not all(server.startswith("tls://") for server in self.servers):
            raise ValueError("tls: is for servers that begin with tls://")
        return self
