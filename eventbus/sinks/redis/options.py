"""What users write about a Redis, and which of it belongs together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, SecretStr, StringConstraints, model_validator

from eventbus.encoding.keys import KeyText
from eventbus.encoding.template import TemplateText
from eventbus.sdk import Duration, Options

__all__ = ["Certificates", "RedisOptions", "Sentinel"]

_HostPort = Annotated[str, StringConstraints(pattern=r"^(\[[0-9a-fA-F:.]+\]|[^\s:/@]+):\d+$")]


class Certificates(Options):
    """What TLS needs beyond the authorities that this machine trusts. Names are verified in any case."""

    ca_file: Path | None = None
    """Certificates of the authorities that may have signed the server's, in PEM."""
    certificate_file: Path | None = None
    """Our own certificate, in PEM, for servers that ask for one."""
    key_file: Path | None = None
    """The private key of our certificate, in PEM; without it both are in `certificate_file`."""


class Sentinel(Options):
    """The Sentinels that know which server is the master at the moment."""

    servers: list[_HostPort] = Field(min_length=1)
    """Some of them, each as ``host:port``."""
    username: str | None = None
    """The user that the Sentinels know us by, where they want one."""
    password: SecretStr | None = None
    """The password for the Sentinels; that for the master is in `url`."""


class RedisOptions(Options):
    """A Redis and what to do there."""

    url: SecretStr
    """``redis://user:password@host:6379/0``; ``rediss://`` for TLS, ``unix:///path`` for a socket."""
    mode: Literal["stream", "pubsub", "list", "set", "hash", "invalidate"] = "stream"
    """What becomes of an event."""
    stream: TemplateText | None = None
    """``stream``: name of the stream; may hold {database}, {collection} and {operation}."""
    maxlen: int | None = Field(default=None, gt=0)
    """Entries that a stream or a list keeps; older ones are dropped, read or not. No limit by default."""
    max_age: Duration | None = Field(default=None, gt=0)
    """How old the entries of a stream get, by the server's clock; older ones are dropped, read or not."""
    approximate: bool = True
    """Let Redis trim streams in whole nodes, which is much cheaper and keeps a few entries more."""
    groups: Sequence[Annotated[str, StringConstraints(min_length=1)]] = ()
    """Consumer groups that every stream has: made where they are missing, to read from its beginning."""
    channel: TemplateText | None = None
    """``pubsub``: name of the channel."""
    list: TemplateText | None = None
    """``list``: name of the list; events are appended to its right end."""
    key: KeyText | None = None
    """``set`` and ``hash``: the key of a document's entry, such as ``product:{document_key._id}``."""
    ttl: Duration | None = Field(default=None, gt=0)
    """``set`` and ``hash``: how long an entry lives after its last write. For ever by default."""
    marker_ttl: Duration = Field(default=3600.0, gt=0)
    """``set`` and ``hash``: how long is remembered, after an entry was deleted or has expired, up to which
    change it was known: until then no earlier change can bring it back."""
    keys: Sequence[KeyText] = ()
    """``invalidate``: keys that are deleted; one of which a value is null or missing is left out."""
    patterns: Sequence[KeyText] = ()
    """``invalidate``: patterns whose keys are deleted; values are put in as they are, not as patterns."""
    scan_count: int = Field(default=1000, ge=1, le=100_000)
    """``invalidate``: how many keys the server looks at in one step of a search by pattern."""
    positions: Annotated[str, StringConstraints(min_length=1)] = "eventbus:position:"
    """``stream`` and ``list``, delivered exactly once: what the keys begin with that hold the positions of
    routes. On a cluster it has the hash tag of the stream or the list, such as ``{orders}:position:``."""
    cluster: bool = False
    """The server is a node of a Redis Cluster; the others are found through it."""
    sentinel: Sentinel | None = None
    """The host in `url` is the name of a master that Sentinels watch."""
    tls: Certificates | None = None
    """Certificates, for a ``rediss://`` URL."""
    timeout: Duration = Field(default=5.0, gt=0)
    """Time to connect, and time for a batch to be answered."""

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        own = _OF_MODE[self.mode]
        if not any(getattr(self, name) for name in own[0]):
            raise ValueError(f"mode {self.mode} needs {' or '.join(own[0])}")
        strange = sorted(self.model_fields_set & _OF_ANY_MODE - {*own[0], *own[1]})
        if strange:
            raise ValueError(f"mode {self.mode} has no {', '.join(strange)}")
        if self.maxlen is not None and self.max_age is not None:
            raise ValueError("give maxlen or max_age, not both: Redis trims by one of them")
        if self.cluster and self.sentinel is not None:
            raise ValueError("give cluster or sentinel, not both")
        return self


_OF_MODE: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "stream": (("stream",), ("maxlen", "max_age", "approximate", "groups", "positions")),
    "pubsub": (("channel",), ()),
    "list": (("list",), ("maxlen", "positions")),
    "set": (("key",), ("ttl", "marker_ttl")),
    "hash": (("key",), ("ttl", "marker_ttl")),
    "invalidate": (("keys", "patterns"), ("scan_count",)),
}
"""By mode: of which it needs one, and what it may have besides."""

_OF_ANY_MODE: Final = frozenset(name for own in _OF_MODE.values() for part in own for name in part)
