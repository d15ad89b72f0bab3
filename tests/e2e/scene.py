"""One collection, one subscription and all four sinks: what the end-to-end tests have in common."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pymongo.collection import Collection

from eventbus.devservices import KafkaService, MongoService, RedisService
from tests.e2e.daemon import DEADLINE_SECS
from tests.e2e.oracle import Arrival, Expected, client_of, history, start_watching
from tests.e2e.receivers import SECRET, WebhookReceiver, from_files, from_kafka, from_redis

SINKS = ("webhook", "kafka", "feed", "archive")


@dataclass
class Scene:
    """Names that no other test uses, on the shared servers."""

    mongo: MongoService
    redis: RedisService
    kafka: KafkaService
    webhook: WebhookReceiver
    directory: Path
    sink_names: tuple[str, ...] = SINKS
    """The sinks that the subscription feeds; a test may leave some out before it asks for anything."""
    name: str = field(default_factory=lambda: f"e2e{uuid.uuid4().hex[:10]}")

    def __post_init__(self) -> None:
        self.client = client_of(self.mongo.uri)
        self.collection: Collection[dict[str, Any]] = self.client[self.name]["orders"]
        self.client[self.name].create_collection("orders")
        self.beginning = start_watching(self.collection)

    @property
    def state_database(self) -> str:
        """Where the daemon keeps its state."""
        return f"{self.name}_state"

    def config(self, *, window: int = 64, **sections: Any) -> dict[str, Any]:
        """A configuration of the scene's sinks; sections given replace its own."""
        return {
            "mongodb": {"uri": self.mongo.uri},
            "state": {"type": "mongodb", "database": self.state_database},
            "log": {"format": "json"},
            "daemon": {"instance": "e2e"},
            "defaults": {
                "window": {"events": window},
                "retry": {"attempts": 3, "initial_delay": "20ms", "max_delay": "100ms"},
                "circuit": {"initial_open": "100ms", "max_open": "500ms"},
            },
            "sinks": self.sinks(),
            "subscriptions": {
                "orders": {
                    "source": {"database": self.name, "collections": ["orders"]},
                    "routes": list(self.sink_names),
                }
            },
            **sections,
        }

    def sinks(self) -> dict[str, Any]:
        """One of each kind, as far as the scene has them."""
        every = {
            "webhook": {"type": "webhook", "url": self.webhook.url, "signing": {"secrets": [SECRET]}},
            "kafka": {
                "type": "kafka",
                "bootstrap_servers": self.kafka.bootstrap_servers,
                "topic": f"{self.name}.{{collection}}",
            },
            "feed": {"type": "redis", "url": self.redis.url, "mode": "stream", "stream": self.name},
            "archive": {"type": "file", "path": str(self.directory / "archive.jsonl"), "rotate_size": "1MB"},
        }
        return {name: every[name] for name in self.sink_names}

    def arrivals(self) -> Mapping[str, list[Arrival]]:
        """What each sink has now."""
        every: dict[str, Callable[[], list[Arrival]]] = {
            "webhook": lambda: list(self.webhook.arrivals),
            "kafka": lambda: from_kafka(self.kafka.bootstrap_servers, f"{self.name}.orders"),
            "feed": lambda: from_redis(self.redis.url, self.name),
            "archive": lambda: from_files(self.directory / "archive.jsonl"),
        }
        return {name: every[name]() for name in self.sink_names}

    def expected(self, count: int) -> list[Expected]:
        """What must arrive, from the server's own history."""
        return history(self.collection, self.beginning, count)

    def stored(self) -> dict[str, Any]:
        """The state document of the subscription."""
        document = self.client[self.state_database]["subscriptions"].find_one({"_id": "orders"})
        assert document is not None
        return document

    def wait_for_arrivals(self, ids: set[str], enough: Callable[[list[Arrival]], bool] | None = None) -> None:
        """Wait until every sink has all of these events."""
        deadline = time.monotonic() + DEADLINE_SECS
        while True:
            missing = {
                sink: len(ids - {arrival.id for arrival in arrivals})
                for sink, arrivals in self.arrivals().items()
            }
            if not any(missing.values()):
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"events that did not arrive: {missing}")
            time.sleep(0.2)

    def close(self) -> None:
        """Drop what this test made."""
        for name in (self.name, self.state_database):
            self.client.drop_database(name)
        self.client.close()
