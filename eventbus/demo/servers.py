"""The servers of the demo, started for it, and the names it uses on them.

A server that an environment variable names is somebody else's: there the demo works under names that nobody
else has, and takes away what it made.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from eventbus.demo.shop import COLLECTIONS
from eventbus.devservices import KafkaService, MongoService, RedisService, Unavailable, kafka_available

__all__ = ["Servers", "running_servers"]


@dataclass(frozen=True, slots=True)
class Servers:
    """Running servers.

    Args:
        mongo: A replica set.
        redis: A Redis.
        kafka: A Kafka, where one can be had.
        name: The database, and what the names of the stream and of the topics begin with.
    """

    mongo: MongoService
    redis: RedisService
    kafka: KafkaService | None
    name: str

    @property
    def state_database(self) -> str:
        """The database of the daemon's own."""
        return f"{self.name}_eventbus"

    @property
    def stream(self) -> str:
        """The Redis stream."""
        return f"{self.name}.changes"

    @property
    def topics(self) -> Sequence[str]:
        """The Kafka topics."""
        return [f"{self.name}.{collection}" for collection in COLLECTIONS]

    async def clear(self) -> None:
        """Remove what the demo made on servers that go on without it."""
        with contextlib.suppress(PyMongoError, RedisError, KafkaError, OSError):
            if self.mongo.external:
                async with AsyncMongoClient[dict[str, Any]](self.mongo.uri) as client:
                    await client.drop_database(self.name)
                    await client.drop_database(self.state_database)
            if self.redis.external:
                async with Redis.from_url(self.redis.url) as client:
                    await client.delete(self.stream)
            if self.kafka is not None and self.kafka.external:
                admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka.bootstrap_servers)
                await admin.start()
                try:
                    await admin.delete_topics(list(self.topics))
                finally:
                    await admin.close()


@contextmanager
def running_servers(say: Callable[[str], None]) -> Iterator[Servers]:
    """Start MongoDB, Redis and, where it can be had, Kafka; stop them in the end.

    Args:
        say: Takes a line for people.

    Raises:
        DevServiceError: One that the demo needs cannot be had.
    """
    with ExitStack() as stack:
        say("Starting MongoDB and Redis; the first time they may have to be fetched.")
        mongo = stack.enter_context(MongoService.start())
        redis = stack.enter_context(RedisService.start())
        kafka = _kafka(stack, say)
        ours = not (mongo.external or redis.external or (kafka is not None and kafka.external))
        yield Servers(mongo, redis, kafka, "shop" if ours else f"shop_demo_{secrets.token_hex(4)}")


def _kafka(stack: ExitStack, say: Callable[[str], None]) -> KafkaService | None:
    if not kafka_available():
        say("Kafka is off: it needs Java 17 and Maven, or KAFKA_BOOTSTRAP_SERVERS.")
        return None
    say("Starting Kafka.")
    try:
        return stack.enter_context(KafkaService.start())
    except Unavailable as error:
        say(f"Kafka is off: {error}")
        return None
