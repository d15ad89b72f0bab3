"""What a stage gives that is no slot is a bug, and the event a dead letter."""

from __future__ import annotations

from typing import Any

import structlog

from eventbus.model import Failure, Rejected
from eventbus.runtime.messages import MessageMaker
from eventbus.sinks.kafka.options import KafkaOptions
from eventbus.sinks.kafka.sink import KafkaSink
from eventbus.testing import Changes, PlainEncoder


def test_a_transform_that_gives_nothing_is_a_bug() -> None:
    """Nothing is passed on as if it were a message."""
    sink = KafkaSink("kafka", KafkaOptions(bootstrap_servers=["127.0.0.1:9"], topic="orders"))
    transform: Any = {}.get  # gives None of any event
    maker = MessageMaker(sink, PlainEncoder(), transform, structlog.get_logger())
    made = maker.message_of(Changes().change("a"))
    assert isinstance(made, Rejected)
    assert made.kind is Failure.BUG
