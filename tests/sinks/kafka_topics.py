"""Topics made and read by the client's own admin and consumer, apart from the sink under test."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import anyio
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

__all__ = ["Record", "create_topic", "described", "new_topic_name", "records"]


@dataclass(frozen=True, slots=True)
class Record:
    """One message as a consumer sees it."""

    partition: int
    key: bytes
    value: bytes
    headers: Mapping[str, bytes]


def new_topic_name() -> str:
    return f"test.{uuid.uuid4().hex}"


async def create_topic(
    servers: str, *, name: str | None = None, partitions: int = 3, **configuration: str
) -> str:
    """A topic that only this test uses; an underscore in the name of a setting stands for a dot."""
    name = name or new_topic_name()
    settings = {key.replace("_", "."): value for key, value in configuration.items()}
    topic = NewTopic(name, partitions, 1, topic_configs=settings)
    while not await _created(servers, topic):  # noqa: ASYNC110 - the broker sends no word when it is ready
        await anyio.sleep(0.1)
    return name


async def _created(servers: str, topic: NewTopic) -> bool:
    """A broker that stood still has to join its cluster again first."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        if not (await admin.describe_cluster())["brokers"]:
            return False
        await admin.create_topics([topic])
    finally:
        await admin.close()
    return True


async def described(servers: str, topic: str) -> tuple[int, str]:
    """How many partitions it has, and what becomes of old records."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        [found] = await admin.describe_topics([topic])
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, {"cleanup.policy": None})
        [reply] = await admin.describe_configs([resource])
    finally:
        await admin.close()
    [(*_, settings)] = reply.resources
    return len(found["partitions"]), dict(setting[:2] for setting in settings)["cleanup.policy"]


async def records(servers: str, topic: str) -> Sequence[Record]:
    """All that is committed of what the topic holds now, partition by partition in order of offset."""
    ends = await _ends(servers, topic)
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=servers,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    await consumer.start()
    try:
        places = sorted(consumer.assignment())
        found: list[Record] = []
        while any([await consumer.position(place) < ends[place] for place in places]):
            for batch in (await consumer.getmany(timeout_ms=1000)).values():
                found += [_record(record) for record in batch]
    finally:
        await consumer.stop()
    return sorted(found, key=attrgetter("partition"))


async def _ends(servers: str, topic: str) -> Mapping[TopicPartition, int]:
    """Where the partitions end, with what is not committed yet."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=servers)
    await consumer.start()
    try:
        ends: Mapping[TopicPartition, int] = await consumer.end_offsets(consumer.assignment())
    finally:
        await consumer.stop()
    return ends


def _record(record: Any) -> Record:
    return Record(record.partition, record.key, record.value, dict(record.headers))
