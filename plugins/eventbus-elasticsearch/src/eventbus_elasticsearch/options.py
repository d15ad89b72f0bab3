"""What users write about a search cluster, and which of it belongs together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator

from eventbus.sdk import Duration, KeyText, Options, Size
from eventbus_elasticsearch.naming import checked_index, has_date

__all__ = ["Certificates", "ElasticsearchOptions"]


def _host(url: str) -> str:
    """An address without anything that would have to be kept secret."""
    try:
        parts = urlsplit(url)
        is_right = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        is_right = False
    if not is_right or parts.query or parts.fragment:
        raise ValueError("must be an address such as https://host:9200")
    if parts.username is not None:
        raise ValueError("must hold no user: write username and password, api_key or bearer")
    return url.rstrip("/")


class Certificates(Options):
    """What TLS needs beyond the authorities that this machine trusts. Names are verified in any case."""

    ca_file: Path | None = None
    """Certificates of the authorities that may have signed the server's, in PEM."""
    certificate_file: Path | None = None
    """Our own certificate, in PEM, for servers that ask for one."""
    key_file: Path | None = None
    """The private key of our certificate, in PEM; without it both are in `certificate_file`."""
    key_password: SecretStr | None = None
    """What the private key is encrypted with, if it is."""

    @model_validator(mode="after")
    def _keys_have_certificates(self) -> Self:
        if self.certificate_file is None and (self.key_file is not None or self.key_password is not None):
            raise ValueError("key_file and key_password are of no use without certificate_file")
        return self


class ElasticsearchOptions(Options):
    """An Elasticsearch or OpenSearch, and where in it events go."""

    hosts: Annotated[Sequence[Annotated[str, AfterValidator(_host)]], Field(min_length=1)]
    """Addresses of some nodes, such as ``https://host:9200``; one that fails is followed by the next."""
    index: Annotated[KeyText, AfterValidator(checked_index)]
    """The index, alias or data stream, such as ``shop-{collection}``; it may hold what a key's template may,
    and with `operation` ``create`` the date of the change, such as ``%Y.%m.%d``."""
    id: KeyText | None = None
    """The document's id: ``{document_key._id}`` unless you say otherwise, ``{event_id}`` with ``create``."""
    routing: KeyText | None = None
    """What decides on the shard, where that is not the id. It must never change for a document."""
    pipeline: Annotated[str, StringConstraints(min_length=1)] | None = None
    """An ingest pipeline that documents go through."""
    operation: Literal["index", "create", "update"] = "index"
    """``index`` replaces the document; ``update`` puts its fields into the one that is there, or makes it;
    ``create`` adds a document for each event and leaves what is there as it is."""
    version: Literal["external_gte", "none"] = "external_gte"
    """With ``external_gte`` a document never goes back to an earlier state: its version is the cluster time
    of the change. For `operation` ``index`` alone."""
    deletes: Literal["mirror", "ignore"] = "mirror"
    """Whether a deleted document is deleted there, too, or stays. With ``create`` it is one more event."""
    username: str | None = None
    """The user that the server knows us by."""
    password: SecretStr | None = None
    """The password of `username`."""
    api_key: SecretStr | None = None
    """An API key of Elasticsearch, in its encoded form."""
    bearer: SecretStr | None = None
    """A token, for ``Authorization: Bearer``."""
    tls: Certificates | None = None
    """Certificates, where those of this machine do not do."""
    max_batch: int = Field(default=500, ge=1, le=10_000)
    """The most documents in a request."""
    max_batch_size: Size = Field(default=5 << 20, ge=1)
    """The most bytes of documents in a request; a larger document goes alone."""
    compression: Literal["none", "gzip"] = "none"
    """How requests from 1 KiB on are compressed."""
    concurrency: int = Field(default=4, ge=1, le=100)
    """How many requests may be under way at once, over all routes."""
    timeout: Duration = Field(default=10.0, gt=0)
    """The most that one attempt may take, however often its request has to be divided."""

    @model_validator(mode="after")
    def _one_identity(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together")
        given = [self.username, self.api_key, self.bearer]
        if sum(value is not None for value in given) > 1:
            raise ValueError("username, api_key and bearer: only one of them can be used")
        if self.tls is not None and not all(host.startswith("https://") for host in self.hosts):
            raise ValueError("tls: is for hosts that begin with https://")
        return self

    @model_validator(mode="after")
    def _fits_the_operation(self) -> Self:
        if self.operation != "create" and has_date(self.index):
            raise ValueError(
                "index: a date is that of the change, so a document that changes later would be in two "
                "indices: write operation: create, or have the stage `set` make {meta.month} of what never "
                "changes"
            )
        if self.operation != "index" and "version" in self.model_fields_set and self.version != "none":
            raise ValueError("version: the server takes one with operation: index alone")
        if self.operation == "update" and self.pipeline is not None:
            raise ValueError("pipeline: the server runs none over an update")
        return self
