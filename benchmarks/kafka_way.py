"""What an event costs on its whole way to Kafka, but for the servers: read, encoded, batched, settled.

    python -m benchmarks.kafka_way [--events N] [--rounds N]

The changes come from a real change stream; a connection of the bench's own builds each batch as the client
does before it sends it, and says yes. Each number is the best of some rounds, in microseconds of processor
time an event.
"""

from __future__ import annotations

import argparse
import gc
from collections.abc import Sequence
from random import Random
from typing import Any

import anyio
import structlog
from aiokafka.producer.message_accumulator import BatchBuilder
from bson import Timestamp
from pymongo import MongoClient

from benchmarks.decode_change import microseconds, replies_of, with_decoder
from benchmarks.route_engine import nowhere
from benchmarks.throughput.workload import COLLECTION, DATABASE, make_backlog
from eventbus.config.encoding import EncodingPolicy
from eventbus.core.signal import Signal
from eventbus.devservices import MongoService
from eventbus.encoding.choice import Origin, encoder_of
from eventbus.model import Batch, Position
from eventbus.runtime.letters import OnlyParked
from eventbus.runtime.policy import RoutePolicy
from eventbus.runtime.route import Route
from eventbus.runtime.shared_sink import SharedSink
from eventbus.sinks.kafka.options import KafkaOptions
from eventbus.sinks.kafka.sink import KafkaSink
from eventbus.sources.mongodb.changes import ChangeDecoder
from eventbus.sources.mongodb.reply import Reply


class BuildingConnection:
    """Builds batches and lets them go; a broker would be measured with them otherwise."""

    usable = True

    def partitions(self, _topic: str) -> int:
        return 1

    def batch(self) -> BatchBuilder:
        return BatchBuilder(1 << 19, 0)

    async def send(self, _topic: str, _partition: int, batch: Any) -> None:
        batch._build()  # noqa: SLF001 - what the client does first
        await anyio.lowlevel.checkpoint()

    async def end(self) -> None:
        pass


class OpenSink(KafkaSink):
    """A sink of the real kind that is connected to nothing."""

    async def open(self) -> None:
        self._connection = BuildingConnection()  # type: ignore[assignment]


def collected(uri: str, events: int) -> list[bytes]:
    """Raw replies that hold the throughput's own changes."""
    start: Timestamp = make_backlog(uri, events)
    with MongoClient[dict[str, Any]](uri) as client:
        database = client[DATABASE]
        stream = {"$changeStream": {"startAtOperationTime": start}}
        asked = {"aggregate": COLLECTION, "pipeline": [stream], "cursor": {"batchSize": 0}}
        cursor = database.command(asked)["cursor"]
        return replies_of(database, COLLECTION, cursor["id"], events)


async def way(replies: Sequence[bytes]) -> int:
    """Carry all of it to the end of its way."""
    changed = Signal()
    sink = OpenSink("kafka", KafkaOptions(bootstrap_servers=["127.0.0.1:9"], topic="orders"))
    route = Route(
        subscription="bench",
        name="kafka",
        sink=SharedSink(sink),
        encoder=encoder_of(EncodingPolicy(), Origin("orders", "orders"), sink.carries),
        policy=RoutePolicy(),
        start=Position("0"),
        parked=(),
        letters=OnlyParked(nowhere),
        changed=lambda _: changed.notify(),
        rng=Random(1),
    )
    decoder, count = ChangeDecoder(), 0
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(route.run)
        await anyio.lowlevel.checkpoint()
        for raw in replies:
            events = decoder.events(Reply.of(raw))
            if not events:
                continue
            batch = Batch(events, events[-1].position, anyio.current_time())
            count += len(events)
            while not route.take(batch):
                await changed.wait()
        await route.drained()
        tasks.cancel_scope.cancel()
    return count


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--events", type=int, default=20_000)
    arguments.add_argument("--rounds", type=int, default=10)
    options = arguments.parse_args()
    with MongoService.start() as mongo:
        replies = collected(mongo.uri, options.events)
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)  # as the daemon has it
    print(f"read only          {microseconds(with_decoder, replies, options.rounds):6.2f} µs an event")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    spent = microseconds(lambda given: anyio.run(way, given), replies, options.rounds)
    print(f"the whole way      {spent:6.2f} µs an event")


if __name__ == "__main__":
    main()
