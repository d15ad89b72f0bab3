"""What users write for a Kafka sink. Acknowledgement by all replicas and idempotence are no options."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from eventbus.encoding.template import Template, TemplateText
from eventbus.sdk import Duration, Options, Size

__all__ = ["LONGEST_TOPIC", "KafkaOptions", "topic_template"]

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


class KafkaOptions(Options):
    """A Kafka cluster and the topic to write to."""

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
    compression: Literal["none", "gzip"] = "none"
    """How batches are compressed on their way and in the broker."""
    batch_size: Size = Field(default=512 * 1024, gt=0)
    """The most bytes of one batch to one partition; a single larger message goes alone."""
    max_request_size: Size = Field(default=1024 * 1024, gt=0)
    """The largest message that is offered to Kafka; larger ones are parked. Not more than the brokers'
    ``message.max.bytes`` and the topic's ``max.message.bytes``."""
    request_timeout: Duration = Field(default=10.0, gt=0)
    """How long a partition may acknowledge nothing before the connection is given up for a new one."""
