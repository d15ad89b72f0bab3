"""The topic of positions: one record for each route, of which the last that was committed holds.

A commit returns before its marker is in the partition, and open transactions of other routes hold back what
readers of committed records see. So a reader takes the end that is there first, and reads until it is there.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import anyio
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)

from eventbus.sdk import ConfigurationError
from eventbus.sinks.kafka.options import Positions, Topics
from eventbus.sinks.kafka.topics import create_topic

__all__ = ["Held", "ensure_topic", "read_back"]

_CLEANUP: Final = "cleanup.policy"
_SETTINGS: Final[Mapping[str, str | int | bool]] = {
    _CLEANUP: "compact",
    "segment.bytes": 16 * 1024 * 1024,
    "min.cleanable.dirty.ratio": "0.1",
}
_REPLICAS: Final = 3
_FETCH_WAIT_MS: Final = 100
_LONGEST_CLOSE_SECS: Final = 2.0
_SETTLING_SECS: Final = 5.0
_SETTLING_PAUSE_SECS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Held:
    """What the topic holds of a route."""

    epoch: int = 0
    position: bytes | None = None

    def encoded(self) -> bytes:
        """As it is in a record."""
        text = None if self.position is None else b64encode(self.position).decode()
        return json.dumps({"epoch": self.epoch, "position": text}, separators=(",", ":")).encode()

    @classmethod
    def decoded(cls, value: bytes) -> Held:
        """From a record."""
        found = json.loads(value)
        text = found["position"]
        return cls(found["epoch"], None if text is None else b64decode(text))


async def ensure_topic(client: Mapping[str, Any], options: Positions) -> None:
    """Make the topic unless it is there, and see that it is compacted.

    It is made before anybody asks for it, or brokers might make it as they make others.

    Raises:
        KafkaError: The brokers do not make it, or do not let us see it.
        ConfigurationError: It would lose positions.
    """
    admin = AIOKafkaAdminClient(**client)
    try:
        await admin.start()
        refused = await _make(client, options, len((await admin.describe_cluster())["brokers"]))
        try:
            policy = await _cleanup_policy(admin, options.topic, _SETTLING_SECS if refused is None else 0.0)
        except UnknownTopicOrPartitionError as error:
            raise refused or error from None
    finally:
        await admin.close()
    if policy != "compact":
        raise ConfigurationError(
            f"Kafka: the topic {options.topic!r} of positions has {_CLEANUP} {policy!r} instead of 'compact'"
        )


async def _make(client: Mapping[str, Any], options: Positions, brokers: int) -> KafkaError | None:
    """Make the topic, or tell why we may not; it may be there all the same."""
    replication = options.replication or min(_REPLICAS, brokers)
    topics = Topics(create=True, partitions=options.partitions, replication=replication, config=_SETTINGS)
    try:
        await create_topic(client, options.topic, topics)
    except (ClusterAuthorizationFailedError, TopicAuthorizationFailedError) as error:
        return error
    return None


async def _cleanup_policy(admin: AIOKafkaAdminClient, topic: str, settling_secs: float) -> str:
    """What becomes of old records; brokers may need a moment to hear of a topic that was just made."""
    resource = ConfigResource(ConfigResourceType.TOPIC, topic, {_CLEANUP: None})
    until = anyio.current_time() + settling_secs
    while True:
        [reply] = await admin.describe_configs([resource])
        [(code, message, *_, settings)] = reply.resources
        if not code:
            return str(dict(setting[:2] for setting in settings)[_CLEANUP])
        refused: type[KafkaError] = for_code(code)
        if refused is not UnknownTopicOrPartitionError or anyio.current_time() >= until:
            raise refused(message or topic)
        await anyio.sleep(_SETTLING_PAUSE_SECS)


async def read_back(client: Mapping[str, Any], topic: str, partition: int, key: bytes) -> Held:
    """The last committed record of a key, among all that were there when this was called.

    It waits for open transactions to end; the caller bounds that.

    Raises:
        KafkaError: The brokers do not let us read.
    """
    place = TopicPartition(topic, partition)
    end = await _end(client, place)
    held = Held()
    consumer = _consumer(client, "read_committed")
    try:
        await consumer.start()
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        while await consumer.position(place) < end:
            found = await consumer.getmany(place, timeout_ms=_FETCH_WAIT_MS)
            for record in found.get(place, ()):
                if record.key == key and record.value is not None:
                    held = Held.decoded(record.value)
    finally:
        await _stop(consumer)
    return held


async def _end(client: Mapping[str, Any], place: TopicPartition) -> int:
    """The high watermark: what is under way counts."""
    consumer = _consumer(client, "read_uncommitted")
    try:
        await consumer.start()
        consumer.assign([place])
        ends: Mapping[TopicPartition, int] = await consumer.end_offsets([place])
    finally:
        await _stop(consumer)
    return ends[place]


def _consumer(client: Mapping[str, Any], isolation: str) -> Any:
    return AIOKafkaConsumer(
        group_id=None,
        enable_auto_commit=False,
        isolation_level=isolation,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=_FETCH_WAIT_MS,
        **client,
    )


async def _stop(consumer: Any) -> None:
    with anyio.move_on_after(_LONGEST_CLOSE_SECS, shield=True):
        await consumer.stop()
