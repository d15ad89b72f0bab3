"""Slices with their position on a real broker, beside what the contract kit shows of every sink."""

from __future__ import annotations

import json
import uuid
from base64 import b64decode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from eventbus.devservices import KafkaService
from eventbus.sdk import DELIVERED, ConfigurationError, Event, LeaseLost, Message, Transactions, Unreachable
from eventbus.sinks.kafka import KafkaOptions, KafkaSink
from eventbus.sinks.kafka.partitioner import partition_of
from eventbus.testing import Changes, PlainEncoder
from tests.sinks.kafka_topics import create_topic, new_topic_name, records

pytestmark = [pytest.mark.anyio, pytest.mark.services]

_PATIENCE_SECS = 60.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
def route() -> str:
    return f"orders/{uuid.uuid4().hex}"


@asynccontextmanager
async def _sink(service: KafkaService, target: str, **positions: Any) -> AsyncIterator[KafkaSink]:
    values = {"bootstrap_servers": service.bootstrap_servers, "topic": target, "positions": positions}
    sink = KafkaSink("feed", KafkaOptions.model_validate(values))
    try:
        await sink.open()
        yield sink
    finally:
        await sink.close()


@asynccontextmanager
async def _owned(sink: KafkaSink, route: str) -> AsyncIterator[Transactions]:
    transactions = sink.transactions(route)
    try:
        yield transactions
    finally:
        await transactions.close()


def _message(sink: KafkaSink, event: Event) -> Message:
    made = sink.encode(event, PlainEncoder())
    assert isinstance(made, Message)
    return made


async def _settings(servers: str, topic: str) -> Mapping[str, str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        [reply] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    finally:
        await admin.close()
    return {setting[0]: setting[1] for setting in reply.resources[0][4]}


async def _make(servers: str, topic: str, settings: Mapping[str, str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 1, topic_configs=dict(settings))])
    finally:
        await admin.close()


async def test_positions_lie_where_they_are_told_to(
    kafka_service: KafkaService, changes: Changes, route: str
) -> None:
    """In a compacted topic, under the route's name: the last record is what holds."""
    topic, positions = await create_topic(kafka_service.bootstrap_servers), new_topic_name()
    options = {"topic": positions, "partitions": 3, "replication": 1}
    async with _sink(kafka_service, topic, **options) as sink, _owned(sink, route) as transactions:
        assert await transactions.claim(7) is None
        for position in (b"first", b"second"):
            assert await transactions.commit([_message(sink, changes.change("a"))], position) == DELIVERED
    found = await records(kafka_service.bootstrap_servers, positions)
    assert {record.key for record in found} == {route.encode()}
    assert {record.partition for record in found} == {partition_of(route.encode(), 3)}
    last = json.loads(found[-1].value or b"")
    assert (last["epoch"], b64decode(last["position"])) == (7, b"second")
    settings = await _settings(kafka_service.bootstrap_servers, positions)
    assert (settings["cleanup.policy"], settings["segment.bytes"]) == ("compact", str(16 << 20))


@pytest.mark.parametrize("policy", ["delete", "compact,delete"])
async def test_a_topic_that_would_lose_positions_is_refused(
    kafka_service: KafkaService, route: str, policy: str
) -> None:
    """Before anything is written."""
    topic, positions = await create_topic(kafka_service.bootstrap_servers), new_topic_name()
    await _make(kafka_service.bootstrap_servers, positions, {"cleanup.policy": policy})
    async with _sink(kafka_service, topic, topic=positions) as sink, _owned(sink, route) as transactions:
        with pytest.raises(ConfigurationError, match=f"cleanup.policy '{policy}' instead of 'compact'"):
            await transactions.claim(1)
    assert await records(kafka_service.bootstrap_servers, positions) == []


async def test_a_timeout_that_brokers_do_not_allow_is_an_error_of_the_configuration(
    kafka_service: KafkaService, route: str
) -> None:
    """Asking again would be of no use."""
    topic = await create_topic(kafka_service.bootstrap_servers)
    async with (
        _sink(kafka_service, topic, topic=new_topic_name(), transaction_timeout="1d") as sink,
        _owned(sink, route) as transactions,
    ):
        with pytest.raises(ConfigurationError, match="transaction_timeout"):
            await transactions.claim(1)


async def test_a_transaction_that_was_left_open_ends_in_time(
    kafka_service: KafkaService, changes: Changes, route: str
) -> None:
    """Another route's, in the same partition of positions: a claim waits for it, and reads what is behind."""
    servers = kafka_service.bootstrap_servers
    topic, positions = await create_topic(servers), new_topic_name()
    options = {"topic": positions, "partitions": 1, "transaction_timeout": "2s"}
    async with _sink(kafka_service, topic, **options) as sink, _owned(sink, route) as transactions:
        await transactions.claim(1)
        # Nothing of ours can be stopped between its sends: a client as it is stands for a killed daemon.
        left = AIOKafkaProducer(
            bootstrap_servers=servers, transactional_id=f"killed/{route}", transaction_timeout_ms=2000
        )
        await left.start()
        try:
            await left.begin_transaction()
            await left.send_and_wait(positions, b"never committed", key=route.encode(), partition=0)
            message = _message(sink, changes.change("a"))
            assert await transactions.commit([message], b"behind it") == DELIVERED
            with anyio.fail_after(_PATIENCE_SECS):
                assert await transactions.claim(2) == b"behind it"
        finally:
            await left.stop()


async def test_a_zombie_disturbs_and_is_shut_out(
    kafka_service: KafkaService, changes: Changes, route: str
) -> None:
    """Its producer shuts the owner's out for a moment; it learns of the epoch, and the owner goes on."""
    topic = await create_topic(kafka_service.bootstrap_servers)
    async with (
        _sink(kafka_service, topic) as sink,
        _owned(sink, route) as zombie,
        _owned(sink, route) as owner,
    ):
        await zombie.claim(1)
        await owner.claim(2)
        with pytest.raises(LeaseLost):
            await zombie.claim(1)
        message = _message(sink, changes.change("a"))
        with anyio.fail_after(_PATIENCE_SECS):
            while await owner.commit([message], b"done") != DELIVERED:
                pass
        assert await owner.claim(2) == b"done"
    assert len(await records(kafka_service.bootstrap_servers, topic)) == 1


async def test_the_place_of_positions_can_be_away(own_kafka: KafkaService, route: str) -> None:
    """Then the claim says so, and close ends what there is."""
    topic = await create_topic(own_kafka.bootstrap_servers)
    async with _sink(own_kafka, topic) as sink, _owned(sink, route) as transactions:
        own_kafka.kill()
        try:
            with anyio.fail_after(_PATIENCE_SECS), pytest.raises(Unreachable):
                await transactions.claim(1)
        finally:
            await anyio.to_thread.run_sync(own_kafka.restart)
