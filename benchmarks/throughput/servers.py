"""Real servers of the benchmark's own, and a receiver; a server that cannot be had is said why."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Final

import anyio
import redis
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from eventbus.devservices import KafkaService, MongoService, RedisService, Unavailable

__all__ = ["KAFKA", "REDIS", "WEBHOOK", "Servers", "cleared", "create_topic", "servers_for"]

KAFKA: Final = "kafka"
REDIS: Final = "redis"
WEBHOOK: Final = "webhook"


@dataclass(frozen=True, slots=True)
class Servers:
    """Where everything is.

    Args:
        mongodb: Its address.
        kafka: A broker; empty where no case needs one.
        redis: Its address; empty where no case needs it.
        webhook: Where a receiver answers every request at once.
        versions: Of the servers, by name.
        missing: Why a server is not there, by name.
    """

    mongodb: str
    kafka: str
    redis: str
    webhook: str
    versions: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def servers_for(needs: Collection[str], *, oplog_mb: int) -> Iterator[Servers]:
    """A mongod, and what is needed besides, while the body runs."""
    with ExitStack() as stack:
        mongo = stack.enter_context(MongoService.start(own=True, oplog_mb=oplog_mb))
        versions, missing = {"mongod": mongo.version}, {}
        kafka = redis_url = ""
        if KAFKA in needs:
            try:
                kafka = stack.enter_context(_kafka()).bootstrap_servers
            except Unavailable as error:
                missing[KAFKA] = str(error)
        if REDIS in needs:
            try:
                redis_url = stack.enter_context(RedisService.start(own=True)).url
                with redis.Redis.from_url(redis_url) as client:
                    versions["redis-server"] = client.info("server")["redis_version"]
            except Unavailable as error:
                missing[REDIS] = str(error)
        yield Servers(mongo.uri, kafka, redis_url, stack.enter_context(_receiver()), versions, missing)


def _kafka() -> KafkaService:
    """A broker that gives back soon what the topics of past runs took."""
    quick = {"file.delete.delay.ms": "1000", "log.initial.task.delay.ms": "1000"}
    return KafkaService.start(own=True, extra_properties=quick)


@contextmanager
def _receiver() -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.throughput.receiver"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/events"
        finally:
            process.kill()


def create_topic(bootstrap_servers: str, name: str, *, partitions: int = 1, **settings: str) -> None:
    """Have a topic; an underscore in the name of a setting stands for a dot."""

    async def create() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
        await admin.start()
        try:
            configs = {key.replace("_", "."): value for key, value in settings.items()}
            await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=configs)])
        finally:
            await admin.close()

    anyio.run(create)


def cleared(servers: Servers) -> None:
    """Forget what runs have left in the sinks, so that the next one finds them as the first one did."""
    if servers.redis:
        with redis.Redis.from_url(servers.redis) as client:
            client.flushall()
    if servers.kafka:
        anyio.run(_delete_topics, servers.kafka)


async def _delete_topics(bootstrap_servers: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        topics = [name for name in await admin.list_topics() if not name.startswith("__")]
        if topics:
            await admin.delete_topics(topics)
    finally:
        await admin.close()
