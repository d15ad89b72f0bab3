"""The Kafka sink: a call of `send` becomes one batch for each partition, several lanes at once.

All messages of a key go to one partition. Within one call the batches of a partition follow one another, each
sent only when the one before has its answer; so nothing of a key can overtake a batch that failed. Lanes do
not wait for each other: while one's batch is under way, the next one's is ready behind it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from functools import partial
from typing import ClassVar, Final

import anyio
from aiokafka.errors import KafkaError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from pydantic import BaseModel

from eventbus.sdk import (
    DELIVERED,
    Carries,
    Encoded,
    Encoder,
    Event,
    Failure,
    Fault,
    Message,
    Outcome,
    ProbeStep,
    Rejected,
    Retry,
    SinkTraits,
    Unreachable,
)
from eventbus.sinks.kafka.connection import Connection, Stalled, filled, open_connection
from eventbus.sinks.kafka.options import LONGEST_TOPIC, KafkaOptions, topic_template
from eventbus.sinks.kafka.outcomes import outcome_of
from eventbus.sinks.kafka.partitioner import partition_of
from eventbus.sinks.kafka.plan import Plan
from eventbus.sinks.reaching import probed

__all__ = ["KafkaSink"]

_ID_HEADER: Final = "event-id"
"""Not ``ce_id``: readers of CloudEvents take any header with that prefix for the binary mode."""


class KafkaSink:
    """Writes to the topics of one cluster."""

    Options: ClassVar[type[BaseModel]] = KafkaOptions
    carries: ClassVar[Carries] = Carries(attributes="ce_", tombstones=True)
    traits = SinkTraits(lanes=4, max_batch=1000, max_batch_bytes=1 << 20, keeps_order=True)

    def __init__(self, name: str, options: KafkaOptions) -> None:
        self.name = name
        self._options = options
        self._topic = topic_template(options.topic)
        self._connection: Connection | None = None
        self._opening = anyio.Lock()
        self._failure: Unreachable | None = None

    async def open(self) -> None:
        """See `eventbus.sdk.Sink`."""
        await self._connected()

    def probe(self) -> AsyncGenerator[ProbeStep, None]:
        """See `eventbus.sdk.ProbedSink`."""
        places = (server.rpartition(":") for server in self._options.bootstrap_servers)
        addresses = [(host.strip("[]"), int(port)) for host, _, port in places]
        patience = self._options.request_timeout
        return probed(self, addresses, tls=None, timeout_secs=patience, last="authenticate")

    async def close(self) -> None:
        """See `eventbus.sdk.Sink`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.end()

    def encode(self, event: Event, encoder: Encoder) -> Encoded:
        """See `eventbus.sdk.Sink`."""
        topic = self._topic.render(event)
        if len(topic) > LONGEST_TOPIC or topic in {"", ".", ".."}:
            return Rejected(f"Kafka allows no topic with the name {topic[:LONGEST_TOPIC]!r}")
        headers = [
            ("content-type", encoder.content_type.encode()),
            (_ID_HEADER, event.id.encode()),
            *encoder.headers(event),
        ]
        body = encoder.encode(event)
        size = DefaultRecordBatchBuilder.estimate_size_in_bytes(event.key, body, headers)
        if size > self._options.max_request_size:
            reason = f"{size} bytes, more than max_request_size {self._options.max_request_size}"
            return Rejected(reason, Failure.TOO_LARGE)
        return Message(event, body, key=event.key, target=topic, headers=headers)

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `eventbus.sdk.Sink`."""
        topics: defaultdict[str, list[int]] = defaultdict(list)
        for index, message in enumerate(messages):
            topics[message.target].append(index)
        outcomes: dict[int, Outcome] = {}
        await _all(
            [
                partial(self._send_to_topic, topic, {index: messages[index] for index in indexes}, outcomes)
                for topic, indexes in topics.items()
            ]
        )
        return [outcomes[index] for index in range(len(messages))]

    async def _send_to_topic(
        self, topic: str, messages: dict[int, Message], outcomes: dict[int, Outcome]
    ) -> None:
        count = await self._partitions(topic)
        if not isinstance(count, int):
            outcomes.update(dict.fromkeys(messages, count))
            return
        partitions: defaultdict[int, list[int]] = defaultdict(list)
        for index, message in messages.items():
            partitions[partition_of(message.event.key, count)].append(index)
        await _all(
            [
                partial(
                    self._send_to_partition, topic, partition, {i: messages[i] for i in indexes}, outcomes
                )
                for partition, indexes in partitions.items()
            ]
        )

    async def _send_to_partition(
        self, topic: str, partition: int, messages: dict[int, Message], outcomes: dict[int, Outcome]
    ) -> None:
        plan = Plan(list(messages.values()))
        while run := plan.next():
            plan.answered(*await self._attempt(topic, partition, run))
        outcomes.update(zip(messages, plan.outcomes, strict=True))

    async def _attempt(
        self, topic: str, partition: int, messages: Sequence[Message]
    ) -> tuple[int, Outcome | KafkaError]:
        """Send one batch; gives how many messages were in it, and what came of them."""
        try:
            connection = await self._connected()
        except Unreachable as error:
            return len(messages), Retry(Fault.UNAVAILABLE, str(error), kind=Failure.NETWORK)
        batch = connection.batch()
        count = filled(batch, messages)
        try:
            await connection.send(topic, partition, batch)
        except Stalled:
            secs = self._options.request_timeout
            reason = f"Kafka: nothing acknowledged for {secs:g} s"
            return count, Retry(Fault.UNAVAILABLE, reason, kind=Failure.TIMEOUT)
        except KafkaError as error:
            return count, error
        return count, DELIVERED

    async def _partitions(self, topic: str) -> int | Outcome:
        """How many partitions a topic has, or what not knowing it means for its messages."""
        try:
            connection = await self._connected()
            count = connection.partitions(topic) or await connection.find(topic)
        except Unreachable as error:
            return Retry(Fault.UNAVAILABLE, str(error), kind=Failure.NETWORK)
        except KafkaError as error:
            return outcome_of(error)
        return count or Retry(Fault.UNAVAILABLE, f"Kafka: there is no topic {topic!r}, and none is created")

    async def _connected(self) -> Connection:
        """The connection, a new one if there is none or it is spent; all who wait share one attempt.

        Raises:
            Unreachable: No broker answers.
        """
        if self._connection is not None and self._connection.usable:
            return self._connection
        known_failure = self._failure
        async with self._opening:
            if self._connection is not None:
                if self._connection.usable:
                    return self._connection
                await self._connection.retire()
            if self._failure is not None and self._failure is not known_failure:
                raise Unreachable(str(self._failure))
            try:
                self._connection = await open_connection(self._options)
            except Unreachable as error:
                self._failure = error
                raise
            return self._connection


async def _all(calls: Sequence[Callable[[], Coroutine[None, None, None]]]) -> None:
    """Run them at once; a single one without the cost of a task."""
    if len(calls) == 1:
        await calls[0]()
        return
    async with anyio.create_task_group() as tasks:
        for call in calls:
            tasks.start_soon(call)
