"""What users write for a Kafka sink. Acknowledgement by all replicas and idempotence are no options."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    model_validator,
)

from eventbus.encoding.keys import KeyText
from eventbus.encoding.template import Template, TemplateText
from eventbus.sdk import Duration, Options, Size
from eventbus.sinks.webhook.options import OAuth2

__all__ = [
    "DOCUMENT_KEY",
    "LONGEST_TOPIC",
    "NO_KEY",
    "Certificates",
    "KafkaOptions",
    "Positions",
    "Sasl",
    "Topics",
    "topic_template",
]

DOCUMENT_KEY: Final = "document_key"
NO_KEY: Final = "none"

LONGEST_TOPIC: Final = 249
_ILLEGAL: Final = re.compile(r"[^a-zA-Z0-9._-]")
_SERVER: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:,\[\]]+)(:\d{1,5})?")


def topic_template(text: str) -> Template:
    """A template whose values have ``_`` in place of each character that Kafka does not allow in a topic.

    Two collections whose names differ only in such characters therefore share a topic.
    """
    return Template(text, clean=lambda name: _ILLEGAL.sub("_", name))


def _legal(text: str) -> str:
    literals = topic_template(text).literals
    if found := _ILLEGAL.search(literals):
        raise ValueError(f"Kafka does not allow {found.group()!r} in the name of a topic")
    if len(literals) > LONGEST_TOPIC:
        raise ValueError(f"longer than the {LONGEST_TOPIC} characters that Kafka allows")
    return text


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _address(text: str) -> str:
    if not _SERVER.fullmatch(text):
        raise ValueError(f"expected host:port, got {text!r}")
    return text


def _there(codec: str) -> str:
    if codec in {"snappy", "lz4", "zstd"} and find_spec("cramjam") is None:
        raise ValueError(
            f"{codec} needs a package that is not installed: pip install 'eventbus[compression]'"
        )
    return codec


class Certificates(Options):
    """What TLS needs beyond the authorities that this machine trusts. Names are verified in any case."""

    ca_file: Path | None = None
    """Certificates of the authorities that may have signed the brokers', in PEM."""
    certificate_file: Path | None = None
    """Our own certificate, in PEM, for brokers that ask for one."""
    key_file: Path | None = None
    """The private key of our certificate, in PEM; without it both are in `certificate_file`."""
    key_password: SecretStr | None = None
    """What the private key is encrypted with, if it is."""

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if self.certificate_file is None and (self.key_file is not None or self.key_password is not None):
            raise ValueError("key_file and key_password belong to a certificate_file")
        return self


class Sasl(Options):
    """Who we are to the brokers."""

    model_config = ConfigDict(hide_input_in_errors=True)  # it may hold a password

    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
    """How we show it: a password, which ``PLAIN`` sends and SCRAM does not; or an access token."""
    username: str | None = Field(default=None, min_length=1)
    """The user's name, for a password."""
    password: SecretStr | None = None
    """The password."""
    oauth2: OAuth2 | None = None
    """Where tokens are asked for, as who, for ``OAUTHBEARER``."""

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        by_token = self.mechanism == "OAUTHBEARER"
        needed = {"oauth2"} if by_token else {"username", "password"}
        if missing := sorted(name for name in needed if getattr(self, name) is None):
            raise ValueError(f"mechanism {self.mechanism} needs {' and '.join(missing)}")
        if strange := sorted(self.model_fields_set - needed - {"mechanism"}):
            raise ValueError(f"mechanism {self.mechanism} has no {', '.join(strange)}")
        return self


class Topics(Options):
    """Topics that do not exist, and events for them."""

    create: bool = False
    """Make them, as follows; otherwise the brokers may, if they are told to."""
    partitions: int | None = Field(default=None, ge=1)
    """How many partitions a new one has."""
    replication: int | None = Field(default=None, ge=1)
    """How many replicas, each on a broker of its own."""
    config: Mapping[str, str | int | bool] = {}
    """Its further settings, such as ``cleanup.policy: compact``."""
    missing: Literal["wait", "park"] = "wait"
    """Events for one that does not exist, and is not made: they wait for it, or become dead letters."""

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        strange = sorted(self.model_fields_set & {"partitions", "replication", "config"})
        if strange and not self.create:
            raise ValueError(f"{', '.join(strange)} without create: true would have no effect")
        if self.create and (self.partitions is None or self.replication is None):
            raise ValueError("create: true needs partitions and replication")
        return self


class Positions(Options):
    """Where the positions of routes with ``delivery: exactly_once`` are kept, and their transactions."""

    topic: Annotated[str, AfterValidator(_legal)] = "eventbus.positions"
    """A compacted topic, made when the first route needs it. It must never get more partitions."""
    partitions: int = Field(default=8, ge=1)
    """How many partitions it is made with."""
    replication: int | None = Field(default=None, ge=1)
    """How many replicas it is made with, each on a broker of its own; by default 3, or one for each broker
    if there are fewer."""
    transaction_timeout: Duration = Field(default=60.0, gt=0)
    """How long the open transaction of a killed owner may hold readers back. Not more than the brokers'
    ``transaction.max.timeout.ms``."""


class KafkaOptions(Options):
    """A Kafka cluster and the topic to write to."""

    model_config = ConfigDict(hide_input_in_errors=True)  # it may hold a password

    bootstrap_servers: Annotated[
        list[Annotated[str, AfterValidator(_address)]],
        BeforeValidator(_split, json_schema_input_type=str | list[str]),
        Field(min_length=1),
    ]
    """Some brokers of the cluster, as a list or as ``host:port,host:port``; they name the others."""
    topic: Annotated[TemplateText, AfterValidator(_legal)]
    """Name of the topic; may hold {database}, {collection} and {operation}. With {operation}, the changes of
    one document lie in several topics, and Kafka keeps no order among them."""
    client_id: str = Field(default="eventbus", min_length=1)
    """The name under which brokers log this client and apply quotas."""
    key: Literal["document_key", "none"] | KeyText = DOCUMENT_KEY
    """The records' key: ``document_key``; ``none``; or a template, such as ``{document.customer_id}``.
    Records of an equal key lie in one partition; without one, those of an equal document do."""
    headers: Mapping[Annotated[str, StringConstraints(min_length=1)], KeyText] = {}
    """Further headers; their values are templates. One of which a value is null or missing is left out."""
    topics: Topics = Topics()
    """What becomes of topics that do not exist."""
    positions: Positions = Positions()
    """Where positions are kept for ``delivery: exactly_once``."""
    compression: Annotated[Literal["none", "gzip", "snappy", "lz4", "zstd"], AfterValidator(_there)] = "none"
    """How batches are compressed on their way and in the broker."""
    batch_size: Size = Field(default=512 * 1024, gt=0)
    """The most bytes of one batch to one partition; a single larger message goes alone."""
    max_request_size: Size = Field(default=1024 * 1024, gt=0)
    """The largest message that is offered to Kafka; larger ones are parked. Not more than the brokers'
    ``message.max.bytes`` and the topic's ``max.message.bytes``."""
    tls: Certificates | None = None
    """Encrypts connections; ``{}`` trusts the authorities that this machine trusts."""
    sasl: Sasl | None = None
    """Who we are to the brokers."""
    request_timeout: Duration = Field(default=10.0, gt=0)
    """How long a partition may acknowledge nothing before the connection is given up for a new one."""

    @model_validator(mode="after")
    def _no_password_in_the_clear(self) -> Self:
        if self.sasl is not None and self.sasl.mechanism == "PLAIN" and self.tls is None:
            raise ValueError("sasl with mechanism PLAIN sends the password as it is: give tls, or use SCRAM")
        return self
