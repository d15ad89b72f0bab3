"""The configuration that the daemon of the demo runs with, and the variables in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from eventbus.demo.servers import Servers

__all__ = ["config_files", "variables"]


def config_files(*, kafka: bool) -> Sequence[Path]:
    """The files for `eventbus run -c`, with or without what needs a Kafka.

    Raises:
        FileNotFoundError: This installation came without them.
    """
    names = ["demo.yaml", "demo-kafka.yaml"] if kafka else ["demo.yaml"]
    return [_found(name) for name in names]


def variables(servers: Servers, *, file: Path, port: int, webhook_url: str, secret: str) -> Mapping[str, str]:
    """What the references in these files stand for.

    Args:
        servers: Where they are, and under which names to work there.
        file: Where the file sink writes.
        port: Of the daemon's admin server.
        webhook_url: Where the webhook receiver listens.
        secret: The key that the receiver expects signatures of.
    """
    values = {
        "DEMO_NAME": servers.name,
        "DEMO_MONGODB_URI": servers.mongo.uri,
        "DEMO_REDIS_URL": servers.redis.url,
        "DEMO_FILE": str(file),
        "DEMO_PORT": str(port),
        "DEMO_WEBHOOK_URL": webhook_url,
        "DEMO_WEBHOOK_SECRET": secret,
    }
    return values | ({"DEMO_KAFKA": servers.kafka.bootstrap_servers} if servers.kafka else {})


def _found(name: str) -> Path:
    """A wheel carries the files beside this module; a checkout has them where users look for examples."""
    places = [Path(__file__).with_name(name), Path(__file__).parents[2] / "config" / name]
    for place in places:
        if place.is_file():
            return place
    raise FileNotFoundError(f"{name} is missing: looked for {places[0]} and {places[1]}")
