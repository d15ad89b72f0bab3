"""Topics that do not exist yet, made as the configuration says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from eventbus.sinks.kafka.options import Topics

__all__ = ["create_topic"]


async def create_topic(client: Mapping[str, Any], name: str, options: Topics) -> None:
    """Make a topic, unless it is there.

    Args:
        client: Those of `eventbus.sinks.kafka.security.client_arguments`.
        name: Its name.
        options: What it is to be like; `create` holds.

    Raises:
        KafkaError: The brokers do not make it.
    """
    settings = {key: _text(value) for key, value in options.config.items()}
    topic = NewTopic(name, options.partitions, options.replication, topic_configs=settings)
    admin = AIOKafkaAdminClient(**client)
    try:
        await admin.start()
        reply = await admin.create_topics([topic])
    finally:
        await admin.close()
    for _, code, *message in reply.topic_errors:
        error: type[KafkaError] = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise error(message[0] if message and message[0] else name)


def _text(value: str | int | bool) -> str:
    """A setting as brokers read it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
