"""A real Kafka broker: started, killed, brought back."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from eventbus.devservices import KafkaService, NotOurs

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def service() -> Iterator[KafkaService]:
    """A broker of a cluster whose id begins like an option, as one of 64 does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("uuid.uuid4", lambda: uuid.UUID(bytes=b"\xf8" * 16))
        service = KafkaService.start(own=True, extra_properties={"num.partitions": "3"})
    with service:
        yield service


def test_records_survive_a_restart_and_a_kill(service: KafkaService) -> None:
    """Acknowledged by all, there afterwards, on the same port; transactions work on one broker."""

    async def run() -> list[bytes]:
        await produce(service, b"1")
        await asyncio.to_thread(service.restart)
        await produce(service, b"2")
        await asyncio.to_thread(service.kill)
        await asyncio.to_thread(service.restart)
        await produce(service, b"3")
        return await consume(service, 3)

    assert asyncio.run(run()) == [b"1", b"2", b"3"]


def test_properties_are_the_callers_to_add(service: KafkaService) -> None:
    """They come after ours and win."""

    async def partitions() -> int:
        async with AIOKafkaProducer(bootstrap_servers=service.bootstrap_servers) as producer:
            return len(await producer.partitions_for("made-by-asking"))

    assert asyncio.run(partitions()) == 3


def test_a_broker_that_somebody_else_runs_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """KAFKA_BOOTSTRAP_SERVERS wins, and nothing here may end or halt what it names."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092,127.0.0.1:9093")
    with KafkaService.start() as theirs:
        assert (theirs.bootstrap_servers, theirs.port) == ("127.0.0.1:9092,127.0.0.1:9093", 9092)
        for forbidden in (theirs.kill, theirs.terminate, theirs.pause, theirs.resume, theirs.restart):
            with pytest.raises(NotOurs, match="KAFKA_BOOTSTRAP_SERVERS names"):
                forbidden()


async def produce(service: KafkaService, value: bytes) -> None:
    async with (
        AIOKafkaProducer(
            bootstrap_servers=service.bootstrap_servers, transactional_id="test", acks="all"
        ) as producer,
        producer.transaction(),
    ):
        await producer.send_and_wait("kept", value, key=b"one")


async def consume(service: KafkaService, count: int) -> list[bytes]:
    async with AIOKafkaConsumer(
        "kept",
        bootstrap_servers=service.bootstrap_servers,
        group_id="test",
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    ) as consumer:
        return [(await asyncio.wait_for(consumer.getone(), 20)).value for _ in range(count)]
