"""The scene of an end-to-end test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from eventbus.devservices import KafkaService, MongoService, RedisService
from tests.e2e.receivers import WebhookReceiver
from tests.e2e.scene import Scene


@pytest.fixture
def scene(
    mongo: MongoService, redis_service: RedisService, kafka_service: KafkaService, tmp_path: Path
) -> Iterator[Scene]:
    """One collection and all four sinks, under names of their own."""
    with WebhookReceiver() as webhook:
        made = Scene(mongo, redis_service, kafka_service, webhook, tmp_path)
        try:
            yield made
        finally:
            made.close()
