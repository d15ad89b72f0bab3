"""The contract kit on the Kafka and Redis sinks, each with servers of its own that it kills."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
import pytest
from redis.asyncio import Redis

from eventbus.devservices import KafkaService, RedisService
from eventbus.sdk import Event, Sink
from eventbus.sinks.kafka import KafkaOptions, KafkaSink
from eventbus.sinks.redis import RedisOptions, RedisSink
from eventbus.testing import Changes, Received, SinkContract, SinkOutageContract, SinkRejectionContract
from tests.sinks.kafka_topics import create_topic, records

pytestmark = pytest.mark.services

_MEGABYTE = 1 << 20


@asynccontextmanager
async def _killed(service: KafkaService | RedisService) -> AsyncIterator[None]:
    service.kill()
    try:
        yield
    finally:
        await anyio.to_thread.run_sync(service.restart)


@pytest.fixture(scope="module")
def own_redis() -> Iterator[RedisService]:
    """A Redis that has written what it acknowledges, and takes no value above a megabyte."""
    with RedisService.start(
        extra_args=["--appendfsync", "always", "--proto-max-bulk-len", str(_MEGABYTE)]
    ) as service:
        yield service


class RedisHarness:
    """One stream."""

    def __init__(self, service: RedisService) -> None:
        self._service = service
        self._stream = f"test:{uuid.uuid4().hex}"

    def make_sink(self) -> Sink:
        options = {"url": self._service.url, "stream": self._stream, "maxlen": 1_000_000}
        return RedisSink("feed", RedisOptions.model_validate(options))

    async def received(self) -> Sequence[Received]:
        async with Redis.from_url(self._service.url) as client:
            entries: Any = await client.xrange(self._stream)  # typed for all the client's modes at once
        return [Received(fields[b"id"].decode(), fields[b"event"]) for _, fields in entries]

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        async with _killed(self._service):
            yield


class TestRedis(SinkContract, SinkRejectionContract, SinkOutageContract):
    @pytest.fixture
    def harness(self, own_redis: RedisService) -> RedisHarness:
        return RedisHarness(own_redis)

    def poison(self, changes: Changes) -> Event:
        return changes.change("poison", text="x" * _MEGABYTE)


class KafkaHarness:
    """One topic."""

    def __init__(self, service: KafkaService, topic: str) -> None:
        self._service = service
        self._topic = topic

    def make_sink(self) -> Sink:
        servers = self._service.bootstrap_servers
        options = {"bootstrap_servers": servers, "topic": self._topic, "request_timeout": "2s"}
        return KafkaSink("orders_topic", KafkaOptions.model_validate(options))

    async def received(self) -> Sequence[Received]:
        found = await records(self._service.bootstrap_servers, self._topic)
        return [Received(record.headers["event-id"].decode(), record.value) for record in found]

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        async with _killed(self._service):
            yield


class TestKafka(SinkContract, SinkRejectionContract, SinkOutageContract):
    @pytest.fixture
    async def harness(self, own_kafka: KafkaService) -> KafkaHarness:
        return KafkaHarness(own_kafka, await create_topic(own_kafka.bootstrap_servers))

    def poison(self, changes: Changes) -> Event:
        return changes.change("poison", text="x" * _MEGABYTE)


class TestKafkaWhoseBrokerRefuses(SinkRejectionContract):
    """The topic's limit is below the sink's, so that the broker's answer decides."""

    @pytest.fixture
    async def harness(self, own_kafka: KafkaService) -> KafkaHarness:
        servers = own_kafka.bootstrap_servers
        return KafkaHarness(own_kafka, await create_topic(servers, partitions=1, max_message_bytes="20000"))

    def poison(self, changes: Changes) -> Event:
        return changes.change("poison", text="x" * 30_000)
