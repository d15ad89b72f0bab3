"""What users write about the form of messages."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, SecretStr, model_validator
from yarl import URL

from eventbus.config.section import Section
from eventbus.encoding.body import checked_body
from eventbus.encoding.projection import within_document
from eventbus.units import Duration, Size

__all__ = ["ClaimCheckPolicy", "EncodingPolicy", "RegistryPolicy"]

_BUCKET: Final = r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}$"


def _checked_bucket(name: str) -> str:
    if not re.fullmatch(_BUCKET, name) or name.endswith((".", "\n")):
        raise ValueError(
            "a bucket begins with a letter or _ and has only letters, digits, _, . and -, at most 64"
        )
    return name


def _checked_path(path: str) -> str:
    if not all(path.split(".")) or path.startswith("$") or "\0" in path:
        raise ValueError("expected the path of a field, such as status or payment.status")
    return within_document(path)


def _checked_url(url: str) -> str:
    parsed = URL(url)
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ValueError("expected a URL that begins with http:// or https://")
    if parsed.user is not None:
        raise ValueError("name the user by username and password, not in the URL")
    return url


def _installed_format(name: str) -> str:
    if name == "avro" and find_spec("fastavro") is None:
        raise ValueError("avro needs the Python package fastavro, which is not installed: eventbus[avro]")
    return name


Bucket: TypeAlias = Annotated[
    str, AfterValidator(_checked_bucket), Field(json_schema_extra={"pattern": _BUCKET})
]
FieldPaths: TypeAlias = Annotated[
    tuple[Annotated[str, AfterValidator(_checked_path)], ...], Field(strict=False)
]


class ClaimCheckPolicy(Section):
    """Where the content of large messages is stored; the message then only tells where."""

    above: Annotated[Size, Field(gt=0)] = 1 << 20
    """Content that is larger is stored."""
    bucket: Bucket = "eventbus_claims"
    """The GridFS bucket, in the database of the state."""
    keep: Annotated[Duration, Field(gt=0)] = 7 * 86400.0
    """How long it is kept at least after a message last told of it."""


class RegistryPolicy(Section):
    """The schema registry in which the schemas of Avro messages are registered."""

    url: Annotated[str, AfterValidator(_checked_url)]
    """Its address, http or https."""
    username: Annotated[str, Field(min_length=1)] | None = None
    """Name of the user, if it asks for one."""
    password: SecretStr | None = None
    """Password of the user."""
    subject: Annotated[str, Field(min_length=1)] | None = None
    """Under which the schema is registered; by default the record's full name."""
    register_schemas: bool = Field(default=True, alias="register")
    """Whether the schema is registered if it is not known yet; otherwise it is waited for."""
    timeout: Annotated[Duration, Field(gt=0)] = 5.0
    """How long an answer may take."""

    @model_validator(mode="after")
    def _has_whole_login(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("a username needs a password, and a password a username")
        return self


class EncodingPolicy(Section):
    """The form of messages; a route has its own keys over the defaults."""

    envelope: Literal["cloudevents", "debezium", "change", "document"] = "cloudevents"
    """What a message tells of a change, and under which names."""
    mode: Literal["structured", "binary"] = "structured"
    """Whether the attributes of CloudEvents stand in the body or in headers."""
    json_mode: Literal["relaxed", "canonical", "plain"] = Field("relaxed", alias="json")
    """How the values of documents are written in JSON."""
    with_schema: bool = Field(default=False, alias="schema")
    """Whether the debezium envelope stands beside its schema."""
    format: Annotated[Literal["json", "bson", "avro"], AfterValidator(_installed_format)] = "json"
    """What the body is written in."""
    registry: RegistryPolicy | None = None
    """Where the schema of format avro is registered."""
    body: Annotated[Any, AfterValidator(checked_body)] = None
    """A layout of one's own in place of the envelope: any tree whose texts may hold {document.total}."""
    fields: FieldPaths = ()
    """The paths that documents keep, beside _id; by default all."""
    without: FieldPaths = ()
    """The paths that documents lose."""
    claim_check: ClaimCheckPolicy | None = None
    """Where the content of large messages is stored; by default messages carry it, however large."""
