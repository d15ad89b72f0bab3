"""Servers that the tests of the sinks kill and pause, one of each for all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from eventbus.devservices import KafkaService


@pytest.fixture(scope="session")
def own_kafka() -> Iterator[KafkaService]:
    """A broker that creates no topics by itself; it is there again after each test."""
    properties = {
        "auto.create.topics.enable": "false",
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",  # how often it looks for them
    }
    with KafkaService.start(extra_properties=properties) as service:
        yield service
