"""A registry of small types that want options of every shape, and the ways to load a text with it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretBytes, SecretStr, field_validator, model_validator

from eventbus.config import Config, load
from eventbus.errors import ConfigurationError
from eventbus.registry import Registry
from eventbus.sdk import Duration, Options, Size


class FeedOptions(Options):
    path: str
    """Where to write."""
    timeout: Duration = 5.0
    """How long one attempt may take."""
    buffer: Size = 1 << 20
    limit: int | None = Field(default=None, ge=1)
    ratio: float = 0.5
    servers: str | list[str] = "localhost"
    mode: Literal["append", "replace"] = "append"
    sync: bool = False
    password: SecretStr | None = None
    """Kept to ourselves."""
    pin: SecretBytes = SecretBytes(b"")
    ports: tuple[int, ...] = Field(default=(), max_length=3)
    keys: tuple[int, ...] = Field(default=(1,), min_length=1)


class Feed:
    Options = FeedOptions


class HookOptions(Options):
    url: str
    scheme: Literal["standard", "none"] = "standard"

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        if ".forbidden" in url:
            raise ValueError(f"must not go to {url.rpartition('//')[2].partition('.')[0]}")
        if not url.startswith("http"):
            raise ValueError(f"{url!r} is no address of the web")
        return url

    @model_validator(mode="after")
    def _signs_if_encrypted(self) -> HookOptions:
        if self.url.startswith("https:") and self.scheme == "none":
            raise ValueError(f"{self.url} wants signing")
        return self


class Hook:
    Options = HookOptions


class RudeOptions(Options):
    """Its validator raises what no validator should."""

    key: str = ""

    @field_validator("key")
    @classmethod
    def _raise(cls, key: str) -> str:
        raise KeyError(key)


class Rude:
    Options = RudeOptions


class ChangesOptions(Options):
    database: str | None = None
    """Name of the database."""
    collections: tuple[str, ...] = ()
    match: dict[str, Any] | None = None


class Changes:
    Options = ChangesOptions


class TopicOptions(Options):
    topic: str


class Topic:
    Options = TopicOptions


REGISTRY = Registry(
    sinks={"feed": Feed, "hook": Hook, "rude": Rude}, sources={"mongodb": Changes, "topic": Topic}
)

SMALLEST = """
mongodb:
  uri: mongodb://localhost:27017/?replicaSet=rs0
sinks:
  feed: {type: feed, path: /tmp/feed}
subscriptions:
  orders:
    source: {database: shop, collections: [orders]}
    routes: [feed]
"""


def load_text(text: str, folder: Path, environ: Mapping[str, str] | None = None) -> Config:
    """Load one file that holds `text`."""
    file = folder / "c.yaml"
    file.write_text(textwrap.dedent(text), encoding="utf-8")
    return load([file], REGISTRY, environ or {})


def problems_of(text: str, folder: Path, environ: Mapping[str, str] | None = None) -> list[str]:
    """What is wrong with `text`, each line without the name of the folder."""
    try:
        load_text(text, folder, environ)
    except ConfigurationError as error:
        return [problem.removeprefix(f"{folder}/") for problem in error.problems]
    return []


def with_sink(sink: str) -> str:
    """A configuration that is sound but for one sink, which begins at line 4, column 9."""
    return f"""
mongodb: {{uri: "mongodb://localhost"}}
sinks:
  feed: {sink}
subscriptions: {{orders: {{source: {{}}, routes: [feed]}}}}
"""
