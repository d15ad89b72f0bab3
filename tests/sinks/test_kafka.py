"""The Kafka sink on a real broker: what lies in the topic afterwards."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import bson
import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka
from cloudevents.core.formats.json import JSONFormat

from eventbus.devservices import KafkaService
from eventbus.encoding.cloudevents import CloudEventsEncoder
from eventbus.sdk import DELIVERED, Event, Message, Outcome, Rejected, Retry, Unreachable
from eventbus.sinks.kafka import KafkaOptions, KafkaSink
from eventbus.sinks.kafka.partitioner import partition_of
from eventbus.testing import Changes, PlainEncoder
from tests.sinks.kafka_topics import create_topic, described, new_topic_name, records

pytestmark = [pytest.mark.anyio, pytest.mark.services]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def changes() -> Changes:
    return Changes()


@asynccontextmanager
async def opened(service: KafkaService, topic: str, **options: Any) -> AsyncIterator[KafkaSink]:
    """An open sink on a topic."""
    values = {"bootstrap_servers": service.bootstrap_servers, "topic": topic} | options
    sink = KafkaSink("orders_topic", KafkaOptions.model_validate(values))
    try:
        await sink.open()
        yield sink
    finally:
        await sink.close()


async def _send(sink: KafkaSink, events: Sequence[Event]) -> Sequence[Outcome]:
    made = [sink.encode(event, PlainEncoder()) for event in events]
    return await sink.send([message for message in made if isinstance(message, Message)])


async def test_a_record_is_a_structured_cloudevent(kafka_service: KafkaService) -> None:
    """The CloudEvents project's own reader takes it from the record; the key is the event's."""
    topic = await create_topic(kafka_service.bootstrap_servers)
    key = bson.encode({"_id": bson.ObjectId()})
    event = Event(token="82", operation="insert", database="shop", collection="orders", document_key=key)
    async with opened(kafka_service, topic) as sink:
        made = sink.encode(event, CloudEventsEncoder("order-events"))
        assert isinstance(made, Message)
        assert await sink.send([made]) == [DELIVERED]
    [record] = await records(kafka_service.bootstrap_servers, topic)
    assert record.headers == {
        "content-type": b"application/cloudevents+json",
        "event-id": event.id.encode(),
    }
    assert record.key == event.key
    read = from_kafka(KafkaMessage(dict(record.headers), record.key, record.value), JSONFormat())
    assert (read.get_id(), read.get_type()) == (event.id, "mongodb.insert")


async def test_a_key_keeps_to_its_partition_in_order(kafka_service: KafkaService, changes: Changes) -> None:
    """The partition that Java's partitioner gives, whatever the sizes of batches."""
    topic = await create_topic(kafka_service.bootstrap_servers, partitions=5)
    events = [changes.change(f"key-{number % 17}", text="x" * 200) for number in range(600)]
    async with opened(kafka_service, topic, batch_size="4KiB") as sink:
        assert set(await _send(sink, events)) == {DELIVERED}
    found = await records(kafka_service.bootstrap_servers, topic)
    assert all(record.partition == partition_of(record.key, 5) for record in found)
    assert len({record.partition for record in found}) == 5
    assert _by_key((r.key, r.headers["event-id"].decode()) for r in found) == _by_key(
        (event.key, event.id) for event in events
    )


def _by_key(pairs: Any) -> dict[bytes, list[str]]:
    ids: defaultdict[bytes, list[str]] = defaultdict(list)
    for key, event_id in pairs:
        ids[key].append(event_id)
    return dict(ids)


async def test_the_topic_is_named_by_the_event(kafka_service: KafkaService, changes: Changes) -> None:
    """One call may write to several topics; the broker makes those that are missing, where it may."""
    prefix = new_topic_name()
    events = changes.distinct(9)
    for number, event in enumerate(events):
        event.collection = f"c{number % 3}"
    async with opened(kafka_service, prefix + ".{collection}") as sink:
        while set(await _send(sink, events)) != {DELIVERED}:  # a new topic has no leader for a moment
            pass
    for number in range(3):
        found = await records(kafka_service.bootstrap_servers, f"{prefix}.c{number}")
        assert {r.headers["event-id"].decode() for r in found} == {event.id for event in events[number::3]}


async def test_records_that_the_broker_finds_too_large_are_parked_alone(
    kafka_service: KafkaService, changes: Changes
) -> None:
    """All others are there once, in order; the sink works on, with a new producer."""
    topic = await create_topic(kafka_service.bootstrap_servers, partitions=1, max_message_bytes="20000")
    events = [
        changes.change(f"key-{number % 3}", text="x" * (30_000 if number in {7, 20} else 10))
        for number in range(40)
    ]
    async with opened(kafka_service, topic) as sink:
        outcomes = await _send(sink, events)
        later = changes.change("key-0")
        assert await _send(sink, [later]) == [DELIVERED]
    rejected = [index for index, outcome in enumerate(outcomes) if isinstance(outcome, Rejected)]
    assert rejected == [7, 20]
    assert [o for index, o in enumerate(outcomes) if index not in rejected] == [DELIVERED] * 38
    found = [r.headers["event-id"].decode() for r in await records(kafka_service.bootstrap_servers, topic)]
    assert found == [event.id for index, event in enumerate([*events, later]) if index not in rejected]


async def test_batches_are_not_larger_than_configured(kafka_service: KafkaService, changes: Changes) -> None:
    """So the broker, which judges batches, refuses none, and the first producer lives on."""
    topic = await create_topic(kafka_service.bootstrap_servers, partitions=1, max_message_bytes="20000")
    async with opened(kafka_service, topic, batch_size="15KiB") as sink:
        first = sink._connection
        assert set(await _send(sink, [changes.change("a", text="x" * 1000) for _ in range(60)])) == {
            DELIVERED
        }
        assert sink._connection is first


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
async def test_batches_are_compressed(
    kafka_service: KafkaService, changes: Changes, compression: str
) -> None:
    """The broker judges the compressed size, and a consumer reads what was sent."""
    topic = await create_topic(kafka_service.bootstrap_servers, partitions=1, max_message_bytes="20000")
    event = changes.change("a", text="x" * 100_000)
    async with opened(kafka_service, topic) as sink:
        [outcome] = await _send(sink, [event])
        assert isinstance(outcome, Rejected)
    async with opened(kafka_service, topic, compression=compression) as sink:
        assert await _send(sink, [event]) == [DELIVERED]
    [record] = await records(kafka_service.bootstrap_servers, topic)
    assert record.value == PlainEncoder().encode(event)


async def test_the_key_is_what_was_asked_for(kafka_service: KafkaService, changes: Changes) -> None:
    """A template's records lie where Java puts that key; without one, a document's stay together."""
    servers = kafka_service.bootstrap_servers
    events = [changes.change(f"key-{number % 9}") for number in range(90)]
    for number, event in enumerate(events):
        event.document = {"customer": f"c{number % 4}" if number % 5 else None}
    by_customer = await create_topic(servers, partitions=5)
    async with opened(kafka_service, by_customer, key="customer-{document.customer}") as sink:
        assert set(await _send(sink, events)) == {DELIVERED}
    keyed = [record for record in await records(servers, by_customer) if record.key]
    assert {record.key for record in keyed} == {
        b"customer-c0",
        b"customer-c1",
        b"customer-c2",
        b"customer-c3",
    }
    assert all(record.partition == partition_of(record.key, 5) for record in keyed)
    without = await create_topic(servers, partitions=5)
    async with opened(kafka_service, without, key="none") as sink:
        assert set(await _send(sink, events)) == {DELIVERED}
    places = {event.id: partition_of(event.key, 5) for event in events}
    for record in await records(servers, without):
        assert not record.key
        assert record.partition == places[record.headers["event-id"].decode()]


async def test_headers_hold_values_of_the_event(kafka_service: KafkaService, changes: Changes) -> None:
    """A trace goes on where the document has one; a header without a value is not there."""
    topic = await create_topic(kafka_service.bootstrap_servers, partitions=1)
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    events = changes.distinct(2)
    events[0].document = {"trace": {"parent": trace}}
    headers = {"traceparent": "{document.trace.parent}", "origin": "shop/{collection}"}
    async with opened(kafka_service, topic, headers=headers) as sink:
        assert set(await _send(sink, events)) == {DELIVERED}
    with_trace, without = await records(kafka_service.bootstrap_servers, topic)
    origin = f"shop/{events[0].collection}".encode()
    assert (with_trace.headers["traceparent"], with_trace.headers["origin"]) == (trace.encode(), origin)
    assert "traceparent" not in without.headers


async def test_a_topic_is_made_as_configured(kafka_service: KafkaService, changes: Changes) -> None:
    """Before brokers make one as they like; one that is there already is left as it is."""
    servers, name = kafka_service.bootstrap_servers, new_topic_name()
    there = await create_topic(servers, partitions=2)
    topics = {"create": True, "partitions": 7, "replication": 1, "config": {"cleanup.policy": "compact"}}
    async with opened(kafka_service, name, topics=topics) as sink:
        assert await _send(sink, [changes.change("a")]) == [DELIVERED]
    async with opened(kafka_service, there, topics=topics) as sink:
        assert await _send(sink, [changes.change("a")]) == [DELIVERED]
    assert await described(servers, name) == (7, "compact")
    assert await described(servers, there) == (2, "delete")


async def test_a_topic_that_cannot_be_made_says_why(kafka_service: KafkaService, changes: Changes) -> None:
    """This cluster has one broker; the operator reads what the broker said, and the event waits."""
    name = new_topic_name()
    topics = {"create": True, "partitions": 1, "replication": 3}
    async with opened(kafka_service, name + ".{collection}", topics=topics) as sink:
        [outcome] = await _send(sink, [changes.change("a")])
    assert isinstance(outcome, Retry)
    assert "replication factor" in outcome.reason.lower()
    with pytest.raises(Unreachable, match=r"(?i)replication factor"):
        async with opened(kafka_service, name, topics=topics):
            pass


async def test_many_lanes_write_at_once_and_keep_their_order(
    kafka_service: KafkaService, changes: Changes
) -> None:
    """Each message is there exactly once: nothing failed, so nothing was repeated."""
    topic = await create_topic(kafka_service.bootstrap_servers, partitions=2)
    lanes = [[changes.change(f"lane-{lane}-{n % 3}") for n in range(90)] for lane in range(8)]
    async with opened(kafka_service, topic) as sink:

        async def lane(events: Sequence[Event]) -> None:
            for start in range(0, len(events), 7):
                assert set(await _send(sink, events[start : start + 7])) == {DELIVERED}

        async with anyio.create_task_group() as tasks:
            for events in lanes:
                tasks.start_soon(lane, events)
    found = await records(kafka_service.bootstrap_servers, topic)
    assert _by_key((r.key, r.headers["event-id"].decode()) for r in found) == _by_key(
        (event.key, event.id) for events in lanes for event in events
    )
