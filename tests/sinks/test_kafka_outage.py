"""The Kafka sink when the broker is away, stands still or does not know the topic."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence

import anyio
import anyio.abc
import pytest
from anyio.abc import SocketStream

from eventbus.devservices import KafkaService
from eventbus.sdk import DELIVERED, Event, Fault, Message, Outcome, Rejected, Retry, Unreachable
from eventbus.sinks.kafka import KafkaOptions, KafkaSink
from eventbus.sinks.kafka.producer import Producer
from eventbus.testing import Changes, PlainEncoder
from tests.sinks.kafka_topics import create_topic, new_topic_name, records

pytestmark = [pytest.mark.anyio, pytest.mark.services]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def changes() -> Changes:
    return Changes()


def _sink(servers: str, topic: str, *, request_timeout: str = "1s", **others: object) -> KafkaSink:
    options = {"bootstrap_servers": servers, "topic": topic, "request_timeout": request_timeout, **others}
    return KafkaSink("orders_topic", KafkaOptions.model_validate(options))


async def _send(sink: KafkaSink, events: Sequence[Event]) -> Sequence[Outcome]:
    made = [sink.encode(event, PlainEncoder()) for event in events]
    return await sink.send([message for message in made if isinstance(message, Message)])


async def _until_delivered(sink: KafkaSink, events: Sequence[Event]) -> None:
    with anyio.fail_after(60):
        while set(await _send(sink, events)) != {DELIVERED}:  # noqa: ASYNC110 - it tries, as a lane does
            await anyio.sleep(0.1)


def _tasks() -> set[asyncio.Task[object]]:
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


async def test_a_broker_that_stands_still_is_given_up_for_certain(
    own_kafka: KafkaService, changes: Changes
) -> None:
    """Every lane hears of it, no task of the producer is left, and later on it writes nothing more."""
    topic = await create_topic(own_kafka.bootstrap_servers, partitions=2)
    before = _tasks()
    sink = _sink(own_kafka.bootstrap_servers, topic)
    await sink.open()
    first = changes.distinct(6)
    assert set(await _send(sink, first)) == {DELIVERED}
    pending = [[changes.change(f"lane-{lane}", text="x" * 50_000) for _ in range(30)] for lane in range(4)]
    heard: list[Outcome] = []

    async def lane(events: Sequence[Event]) -> None:
        heard.extend(await _send(sink, events))

    own_kafka.pause()
    try:
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                for events in pending:
                    tasks.start_soon(lane, events)
            await sink.close()
        assert _tasks() == before
    finally:
        own_kafka.resume()
    assert len(heard) == 120
    assert {(type(o), getattr(o, "fault", None)) for o in heard} == {(Retry, Fault.UNAVAILABLE)}
    sink = _sink(own_kafka.bootstrap_servers, topic)
    await _until_delivered(sink, [changes.change("last")])
    await sink.close()
    found = [
        record.headers["event-id"].decode() for record in await records(own_kafka.bootstrap_servers, topic)
    ]
    for events in pending:  # what the broker's socket held already may be there: a beginning, once
        ids = [event.id for event in events]
        there = [event_id for event_id in found if event_id in ids]
        assert there == ids[: len(there)]


async def _started(servers: str) -> Producer:
    producer = Producer(
        bootstrap_servers=servers, client_id="test", max_batch_size=1 << 20, request_timeout_ms=60_000
    )
    await producer.start()
    return producer


async def test_a_killed_producer_does_not_finish_what_a_broker_has_read_in_part(
    own_kafka: KafkaService,
) -> None:
    """A request that is larger than the buffers between us and the broker."""
    topic = await create_topic(own_kafka.bootstrap_servers, partitions=40)
    producer = await _started(own_kafka.bootstrap_servers)
    await producer.partitions_for(topic)
    own_kafka.pause()
    try:
        for partition in range(40):
            batch = producer.create_batch()
            batch.append(timestamp=None, key=b"k", value=b"x" * 900_000, headers=[])
            await producer.send_batch(batch, topic, partition=partition)
        await anyio.sleep(0.5)  # until the buffers are full: there is nothing to see it by
        producer.kill()
    finally:
        own_kafka.resume()
    await producer.end()
    assert await records(own_kafka.bootstrap_servers, topic) == []


async def test_a_killed_producer_does_not_finish_connecting(own_kafka: KafkaService) -> None:
    """A batch that waits for a connection to a broker that stands still."""
    topic = await create_topic(own_kafka.bootstrap_servers, partitions=1)
    before = _tasks()
    producer = await _started(own_kafka.bootstrap_servers)
    await producer.partitions_for(topic)
    own_kafka.pause()
    try:
        for connection in producer.client._conns.values():
            connection.close()
        batch = producer.create_batch()
        batch.append(timestamp=None, key=b"k", value=b"v", headers=[])
        answer = await producer.send_batch(batch, topic, partition=0)
        await anyio.sleep(0.5)  # until the kernel has connected: there is nothing to see it by
        assert not answer.done()
        producer.kill()
    finally:
        own_kafka.resume()
    await producer.end()
    assert _tasks() == before
    assert await records(own_kafka.bootstrap_servers, topic) == []


async def test_closing_while_the_broker_is_away_is_bounded_and_leaves_nothing(
    own_kafka: KafkaService, changes: Changes, caplog: pytest.LogCaptureFixture
) -> None:
    """Even with a send that was cancelled under way."""
    topic = await create_topic(own_kafka.bootstrap_servers)
    before = _tasks()
    sink = _sink(own_kafka.bootstrap_servers, topic, request_timeout="60s")
    await sink.open()
    await _until_delivered(sink, changes.distinct(3))
    own_kafka.kill()
    try:
        with anyio.move_on_after(0.5) as scope:
            await _send(sink, changes.distinct(3))
        assert scope.cancelled_caught
        with anyio.fail_after(20):
            await sink.close()
        assert _tasks() == before
    finally:
        await anyio.to_thread.run_sync(own_kafka.restart)
    del sink
    gc.collect()
    assert "never retrieved" not in caplog.text
    assert "was destroyed" not in caplog.text


async def test_a_short_absence_neither_loses_nor_repeats(own_kafka: KafkaService, changes: Changes) -> None:
    """Within the timeout the producer itself goes on; idempotence keeps each record single."""
    topic = await create_topic(own_kafka.bootstrap_servers)
    sink = _sink(own_kafka.bootstrap_servers, topic, request_timeout="60s")
    await sink.open()
    events = [changes.change(f"key-{number % 5}") for number in range(400)]

    async def restart() -> None:
        await anyio.to_thread.run_sync(own_kafka.restart)

    async with anyio.create_task_group() as tasks:
        for start in range(0, len(events), 20):
            if start == 100:
                tasks.start_soon(restart)
            assert set(await _send(sink, events[start : start + 20])) == {DELIVERED}
    await sink.close()
    found = [
        record.headers["event-id"].decode() for record in await records(own_kafka.bootstrap_servers, topic)
    ]
    assert sorted(found) == sorted(event.id for event in events)


async def test_a_topic_that_is_missing_waits_until_it_is_there(
    own_kafka: KafkaService, changes: Changes
) -> None:
    """This broker creates none by itself; the other topics of the call are written meanwhile."""
    there = await create_topic(own_kafka.bootstrap_servers)
    missing = new_topic_name()
    sink = _sink(own_kafka.bootstrap_servers, "{collection}", request_timeout="60s")
    events = changes.distinct(2)
    events[0].collection, events[1].collection = there, missing
    await sink.open()
    with anyio.fail_after(20):
        outcomes = await _send(sink, events)
    assert outcomes[0] is DELIVERED
    assert outcomes[1] == Retry(
        Fault.UNAVAILABLE, f"Kafka: there is no topic {missing!r}, and none is created"
    )
    await create_topic(own_kafka.bootstrap_servers, name=missing)
    await _until_delivered(sink, [events[1]])
    await sink.close()
    assert len(await records(own_kafka.bootstrap_servers, missing)) == 1


async def test_a_constant_topic_is_looked_for_at_the_start(own_kafka: KafkaService, changes: Changes) -> None:
    """The sink waits for it, and says so; or it opens, and what has nowhere to go is a dead letter."""
    missing = new_topic_name()
    sink = _sink(own_kafka.bootstrap_servers, missing)
    with pytest.raises(Unreachable, match=missing):
        await sink.open()
    await sink.close()
    parking = _sink(own_kafka.bootstrap_servers, missing, topics={"missing": "park"})
    await parking.open()
    [outcome] = await _send(parking, [changes.change("a")])
    await parking.close()
    assert outcome == Rejected(f"Kafka: there is no topic {missing!r}, and none is created")


async def test_brokers_that_moved_are_found_by_the_bootstrap_servers(
    own_kafka: KafkaService, kafka_service: KafkaService, changes: Changes
) -> None:
    """Two clusters stand for the old and the new addresses; the topic was not asked for at the old ones."""
    topic = await create_topic(kafka_service.bootstrap_servers)
    events = changes.distinct(3)
    for event in events:
        event.collection = topic
    while True:  # the client begins with any of them
        sink = _sink(f"{own_kafka.bootstrap_servers},{kafka_service.bootstrap_servers}", "{collection}")
        await sink.open()
        assert sink._connection is not None
        [broker] = sink._connection._producer.client.cluster.brokers()
        if broker.port == own_kafka.port:
            break
        await sink.close()
    own_kafka.kill()
    try:
        await _until_delivered(sink, events)
    finally:
        await anyio.to_thread.run_sync(own_kafka.restart)
    await sink.close()
    assert len(await records(kafka_service.bootstrap_servers, topic)) == 3


async def test_the_broker_knows_the_client_by_its_name() -> None:
    """It stands in every request, the first one included."""
    heard = b""

    async def hear(connection: SocketStream) -> None:
        nonlocal heard
        async with connection:
            heard += await connection.receive()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    sink = _sink(f"127.0.0.1:{port}", "t", client_id="the-shop")
    async with listener, anyio.create_task_group() as serving:
        serving.start_soon(listener.serve, hear)
        with pytest.raises(Unreachable):
            await sink.open()
        serving.cancel_scope.cancel()
    await sink.close()
    assert b"\x00\x08the-shop" in heard


async def test_lanes_share_one_attempt_to_connect(changes: Changes) -> None:
    """Many lanes in an outage do not multiply it."""
    connections = 0

    async def hang_up(connection: SocketStream) -> None:
        nonlocal connections
        connections += 1
        async with connection:
            await connection.receive()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    sink = _sink(f"127.0.0.1:{port}", "t")
    outcomes: list[Outcome] = []

    async def lane() -> None:
        outcomes.extend(await _send(sink, [changes.change("a")]))

    async with listener, anyio.create_task_group() as serving:
        serving.start_soon(listener.serve, hang_up)
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(lane)
        with pytest.raises(Unreachable, match=f"no Kafka broker answers at 127.0.0.1:{port}"):
            await sink.open()
        serving.cancel_scope.cancel()
    assert {(type(o), getattr(o, "fault", None)) for o in outcomes} == {(Retry, Fault.UNAVAILABLE)}
    assert connections == 2
    await sink.close()
