"""The contract kit on the Kafka and Redis sinks, each with servers of its own that it kills."""

from __future__ import annotations

import json
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
from eventbus.testing import (
    Changes,
    Received,
    SinkContract,
    SinkOutageContract,
    SinkRejectionContract,
    TransactionContract,
    TransactionOutageContract,
    TransactionRejectionContract,
)
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


class TestRedis(
    SinkContract,
    SinkRejectionContract,
    SinkOutageContract,
    TransactionContract,
    TransactionRejectionContract,
    TransactionOutageContract,
):
    @pytest.fixture
    def harness(self, own_redis: RedisService) -> RedisHarness:
        return RedisHarness(own_redis)

    def poison(self, changes: Changes) -> Event:
        return changes.change("poison", text="x" * _MEGABYTE)


class RedisModeHarness(RedisHarness):
    """Redis in another mode than a stream: everything under one prefix, which only this test has."""

    def __init__(self, service: RedisService, mode: str, **options: str) -> None:
        super().__init__(service)
        self._options = {"mode": mode} | {name: text % self._stream for name, text in options.items()}

    def make_sink(self) -> Sink:
        return RedisSink("feed", RedisOptions.model_validate({"url": self._service.url} | self._options))

    async def received(self) -> Sequence[Received]:
        async with Redis.from_url(self._service.url) as client:
            bodies = await self._bodies(client)
        return [Received(json.loads(body)["id"], body) for body in bodies]

    async def _bodies(self, client: Redis) -> Sequence[bytes]:
        raise NotImplementedError


class ListHarness(RedisModeHarness):
    async def _bodies(self, client: Redis) -> Sequence[bytes]:
        elements: Any = await client.lrange(self._stream, 0, -1)
        return list(elements)


class SetHarness(RedisModeHarness):
    async def _bodies(self, client: Redis) -> Sequence[bytes]:
        values: Any = [await client.get(key) for key in await self._entries(client)]
        return list(values)

    async def _entries(self, client: Redis) -> Sequence[bytes]:
        keys: Any = await client.keys(f"{self._stream}:*")
        return [key for key in keys if not key.endswith(b":eventbus")]


class HashHarness(SetHarness):
    async def _bodies(self, client: Redis) -> Sequence[bytes]:
        entries: Any = [await client.hgetall(key) for key in await self._entries(client)]
        return [self._body(entry) for entry in entries]

    def _body(self, fields: dict[bytes, bytes]) -> bytes:
        """The body whose fields these are; only `document` is no text."""
        values = {name.decode(): value.decode() for name, value in fields.items()}
        values["document"] = json.loads(values["document"])
        return json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode()


class ChannelHarness(RedisModeHarness):
    """Somebody listens all the time, and has written down what came until a message of its own comes."""

    def __init__(self, service: RedisService) -> None:
        super().__init__(service, "pubsub", channel="%s")
        self._heard: list[bytes] = []

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        async with Redis.from_url(self._service.url) as client, client.pubsub() as self._subscription:
            await self._subscription.subscribe(self._stream)
            yield

    async def _bodies(self, client: Redis) -> Sequence[bytes]:
        await client.publish(self._stream, "end")
        async for message in self._subscription.listen():
            if message["data"] == b"end":
                break
            if message["type"] == "message":
                self._heard.append(message["data"])
        return self._heard


class TestRedisList(
    SinkContract, SinkRejectionContract, SinkOutageContract, TransactionContract, TransactionOutageContract
):
    @pytest.fixture
    def harness(self, own_redis: RedisService) -> ListHarness:
        return ListHarness(own_redis, "list", list="%s")

    def poison(self, changes: Changes) -> Event:
        return changes.change("poison", text="x" * _MEGABYTE)


class TestRedisSet(SinkContract, SinkRejectionContract, SinkOutageContract):
    keeps_history = False

    @pytest.fixture
    def harness(self, own_redis: RedisService) -> SetHarness:
        return SetHarness(own_redis, "set", key="%s:{document_key._id}")

    def poison(self, changes: Changes) -> Event:
        return changes.change("poison", text="x" * _MEGABYTE)


class TestRedisHash(SinkContract, SinkRejectionContract, SinkOutageContract):
    keeps_history = False

    @pytest.fixture
    def harness(self, own_redis: RedisService) -> HashHarness:
        return HashHarness(own_redis, "hash", key="%s:{document_key._id}")

    def poison(self, changes: Changes) -> Event:
        return changes.change("poison", text="x" * _MEGABYTE)


class TestRedisChannel(SinkContract):
    """Without outages: who listens is cut off as well, and a channel keeps nothing for anybody."""

    @pytest.fixture
    async def harness(self, own_redis: RedisService) -> AsyncIterator[ChannelHarness]:
        harness = ChannelHarness(own_redis)
        async with harness.listening():
            yield harness


class KafkaHarness:
    """One topic."""

    def __init__(self, service: KafkaService, topic: str, **positions: str) -> None:
        self._service = service
        self._topic = topic
        self._positions = positions

    def make_sink(self) -> Sink:
        servers = self._service.bootstrap_servers
        options = {
            "bootstrap_servers": servers,
            "topic": self._topic,
            "request_timeout": "2s",
            "positions": self._positions,
        }
        return KafkaSink("orders_topic", KafkaOptions.model_validate(options))

    async def received(self) -> Sequence[Received]:
        found = await records(self._service.bootstrap_servers, self._topic)
        return [Received(record.headers["event-id"].decode(), record.value) for record in found]

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        async with _killed(self._service):
            yield


class TestKafka(
    SinkContract,
    SinkRejectionContract,
    SinkOutageContract,
    TransactionContract,
    TransactionRejectionContract,
    TransactionOutageContract,
):
    @pytest.fixture
    async def harness(self, own_kafka: KafkaService) -> KafkaHarness:
        return KafkaHarness(own_kafka, await create_topic(own_kafka.bootstrap_servers))

    def poison(self, changes: Changes) -> Event:
        return changes.change("poison", text="x" * _MEGABYTE)


class TestKafkaWhoseBrokerRefuses(SinkRejectionContract, TransactionRejectionContract):
    """The topic's limit is below the sink's, so that the broker's answer decides."""

    @pytest.fixture
    async def harness(self, own_kafka: KafkaService) -> KafkaHarness:
        topic = await create_topic(own_kafka.bootstrap_servers, partitions=1, max_message_bytes="20000")
        return KafkaHarness(
            own_kafka, topic, transaction_timeout="10s"
        )  # its readers wait for the rest of it

    def poison(self, changes: Changes) -> Event:
        return changes.change("poison", text="x" * 30_000)
