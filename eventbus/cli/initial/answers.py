"""What a first configuration is made of, and what is kept out of the file: passwords."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from eventbus.errors import ConfigurationError
from eventbus.suggestions import did_you_mean, listed
from eventbus.telemetry.redaction import redact

__all__ = [
    "SINK_TYPES",
    "TRANSACTIONAL",
    "Address",
    "Answers",
    "SinkAnswer",
    "address_of",
    "sinks_of",
    "state_path",
]

SINK_TYPES: Final = {
    "kafka": "localhost:9092",
    "webhook": "https://example.com/hooks",
    "redis": "redis://localhost:6379/0",
    "mongodb": "mongodb://localhost:27018/",
    "file": "events.jsonl",
    "stdout": "",
}
"""The types of sinks that can be asked for, each with an address as an example; empty if it has none."""

TRANSACTIONAL: Final = frozenset({"kafka", "redis", "mongodb"})
"""The types whose targets keep positions: only they can be delivered exactly once."""

_REFERENCE: Final = re.compile(r"\$\{.*\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Address:
    """An address as it is, and as it is written.

    Args:
        value: What it is; empty if only the file's reference to it is known.
        written: What stands in the file: itself, or a reference to a variable.
        variable: The variable that must be set for it; None if there is none.
    """

    value: str = field(repr=False)
    written: str
    variable: str | None = None


@dataclass(frozen=True, slots=True)
class SinkAnswer:
    """A sink that is wanted.

    Args:
        name: Its name.
        type: Its type.
        address: Where it is, or what it writes to; None for a type that has no address.
    """

    name: str
    type: str
    address: Address | None = None


@dataclass(frozen=True, slots=True)
class Answers:
    """All that is asked.

    Args:
        uri: The deployment whose changes are read.
        database: The database that is read.
        collections: Its collections that are read; empty for all.
        sinks: Where the changes go.
        state_path: The file that keeps the state; None for MongoDB.
        exactly_once: Whether sinks that can are delivered exactly once.
        images: Whether every collection that is read keeps images of its documents.
        admin: Whether the admin API may be used, by whoever has a token.
    """

    uri: Address
    database: str
    collections: Sequence[str]
    sinks: Sequence[SinkAnswer]
    state_path: str | None = None
    exactly_once: bool = False
    images: bool = False
    admin: bool = False

    @property
    def subscription(self) -> str:
        """The subscription's name: that of the only collection, else that of the database."""
        name = self.collections[0] if len(self.collections) == 1 else self.database
        legal = re.sub(r"[^A-Za-z0-9_-]", "_", name).lstrip("0123456789_-")[:63]
        return legal or "changes"

    @property
    def addresses(self) -> Iterator[Address]:
        """Every address, the source's first."""
        yield self.uri
        for sink in self.sinks:
            if sink.address is not None:
                yield sink.address

    @property
    def only_at_least_once(self) -> Sequence[str]:
        """Sinks of types that cannot be delivered exactly once."""
        return [sink.name for sink in self.sinks if sink.type not in TRANSACTIONAL]


def address_of(text: str, variable: str) -> Address:
    """An address that somebody gave.

    Args:
        text: As it was given.
        variable: The variable to refer to if it holds a password, or if that is where it came from.
    """
    if _REFERENCE.fullmatch(text):
        name = text[2:-1].partition(":")[0]
        return Address(os.environ.get(name, ""), text)
    if redact(text) != text or text == os.environ.get(variable):
        return Address(text, f"${{{variable}}}", variable)
    return Address(text, text)


def sinks_of(written: Sequence[str], option: str = "--sink") -> list[SinkAnswer]:
    """The sinks that were named, as ``kafka=localhost:9092``, ``name:kafka=localhost:9092`` or ``stdout``.

    Raises:
        ConfigurationError: One of them is no such text; what it holds is not repeated.
    """
    sinks: list[SinkAnswer] = []
    for text in written:
        kind, _, address = text.partition("=")
        name, _, type_name = kind.rpartition(":")
        if type_name not in SINK_TYPES:
            guess = did_you_mean(type_name, SINK_TYPES)
            raise ConfigurationError(
                f"{option}: unknown type {type_name!r}{guess} (known: {listed(SINK_TYPES)}); write "
                "TYPE=ADDRESS, such as kafka=localhost:9092"
            )
        sink = _sink(name or _unused(type_name, sinks), type_name, address, option)
        if any(sink.name == other.name for other in sinks):
            raise ConfigurationError(f"{option}: two are named {sink.name!r}; write NAME:TYPE=ADDRESS")
        sinks.append(sink)
    return sinks


def state_path(written: str) -> str | None:
    """The file that keeps the state; None for MongoDB.

    Raises:
        ConfigurationError: It is neither ``mongodb`` nor ``sqlite=PATH``.
    """
    kind, _, path = written.partition("=")
    if kind == "mongodb" and not path:
        return None
    if kind == "sqlite":
        return path or "eventbus-state.db"
    raise ConfigurationError(f"--state: expected mongodb, or sqlite=PATH, got {written!r}")


def _sink(name: str, type_name: str, text: str, option: str) -> SinkAnswer:
    example = SINK_TYPES[type_name]
    if bool(example) != bool(text):
        what = f"needs an address: {type_name}={example}" if example else "has no address"
        raise ConfigurationError(f"{option}: {type_name} {what}")
    suffix = "TARGET_URI" if type_name == "mongodb" else "URL"
    variable = f"{name.upper().replace('-', '_')}_{suffix}"
    return SinkAnswer(name, type_name, address_of(text, variable) if text else None)


def _unused(type_name: str, others: Sequence[SinkAnswer]) -> str:
    """The type itself is the name of the first of its kind."""
    count = sum(sink.type == type_name for sink in others)
    return type_name if not count else f"{type_name}_{count + 1}"
