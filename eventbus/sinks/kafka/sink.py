"""The Kafka sink: a call of `send` becomes one batch for each partition, several lanes at once.

All messages of a key go to one partition. Within one call the batches of a partition follow one another, each
sent only when the one before has its answer; so nothing of a key can overtake a batch that failed. Lanes do
not wait for each other: while one's batch is under way, the next one's is ready behind it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, ClassVar, Final

import anyio
from aiokafka.errors import ClusterAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from pydantic import BaseModel

from eventbus.encoding.keys import KeyTemplate
from eventbus.sdk import (
    DELIVERED,
    Carries,
    ConfigurationError,
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
from eventbus.sinks.kafka.connection import Connection, Stalled, Unauthorised, open_connection
from eventbus.sinks.kafka.options import DOCUMENT_KEY, LONGEST_TOPIC, NO_KEY, KafkaOptions, topic_template
from eventbus.sinks.kafka.outcomes import outcome_of
from eventbus.sinks.kafka.partitioner import partition_of
from eventbus.sinks.kafka.plan import Plan
from eventbus.sinks.kafka.producer import filled
from eventbus.sinks.kafka.security import client_arguments
from eventbus.sinks.kafka.topics import create_topic
from eventbus.sinks.kafka.transactions import KafkaTransactions
from eventbus.sinks.reaching import probed

__all__ = ["KafkaSink"]

_NOT_TRIED: Final = Retry(Fault.UNAVAILABLE, "Kafka: not tried")
_ID_HEADER: Final = "event-id"
"""Not ``ce_id``: readers of CloudEvents take any header with that prefix for the binary mode."""


class KafkaSink:
    """Writes to the topics of one cluster."""

    Options: ClassVar[type[BaseModel]] = KafkaOptions
    carries: ClassVar[Carries] = Carries(attributes="ce_", tombstones=True)
    traits = SinkTraits(
        lanes=2,
        max_batch=1000,
        max_batch_bytes=1 << 19,  # what one batch holds by default
        keeps_order=True,
        max_slice=5000,
        max_slice_bytes=8 << 20,
    )

    def __init__(self, name: str, options: KafkaOptions) -> None:
        self.name = name
        self._options = options
        self._topic = topic_template(options.topic)
        only = self._topic.literals if self._topic.is_constant else ""
        self._only_topic = only if _is_allowed(only) else ""
        self._key = KeyTemplate(options.key) if options.key not in {DOCUMENT_KEY, NO_KEY} else None
        self._headers = {name: KeyTemplate(value) for name, value in options.headers.items()}
        self._arguments: Mapping[str, Any] = {}
        self._connection: Connection | None = None
        self._opening = anyio.Lock()
        self._failure: Unreachable | None = None

    async def open(self) -> None:
        """See `eventbus.sdk.Sink`; a topic that is the same for all events must be there.

        Raises:
            Unreachable: No broker answers, or there is no such topic yet.
            ConfigurationError: A certificate cannot be used.
        """
        await self._connected()
        if self._only_topic and self._options.topics.missing == "wait":
            count = await self._partitions(self._only_topic)
            if isinstance(count, Retry):
                raise Unreachable(count.reason)

    def probe(self) -> AsyncGenerator[ProbeStep, None]:
        """See `eventbus.sdk.ProbedSink`."""
        tls = self._client()["ssl_context"]
        places = (server.rpartition(":") for server in self._options.bootstrap_servers)
        addresses = [(host.strip("[]"), int(port)) for host, _, port in places]
        patience = self._options.request_timeout
        return probed(self, addresses, tls=tls, timeout_secs=patience, last="authenticate")

    async def close(self) -> None:
        """See `eventbus.sdk.Sink`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.end()

    def encode(self, event: Event, encoder: Encoder) -> Encoded:
        """See `eventbus.sdk.Sink`."""
        topic = self._only_topic or self._topic.render(event)
        if not self._only_topic and not _is_allowed(topic):
            return Rejected(f"Kafka allows no topic with the name {topic[:LONGEST_TOPIC]!r}")
        headers = [_content_type(encoder.content_type), (_ID_HEADER, event.id.encode())]
        if further := encoder.headers(event):
            headers += further
        if self._headers:
            headers += self._own_headers(event)
        body, key = encoder.encode(event), self._key_of(event)
        size = DefaultRecordBatchBuilder.estimate_size_in_bytes(key, body, headers)
        if size > self._options.max_request_size:
            reason = f"{size} bytes, more than max_request_size {self._options.max_request_size}"
            return Rejected(reason, Failure.TOO_LARGE)
        return Message(event, body, key=key, target=topic, headers=headers)

    def _key_of(self, event: Event) -> bytes | None:
        if self._key is None:
            return event.key if self._options.key == DOCUMENT_KEY else None
        text = self._key.render(event)
        return text.encode() if text is not None else None

    def _own_headers(self, event: Event) -> list[tuple[str, bytes]]:
        values = [(name, template.render(event)) for name, template in self._headers.items()]
        return [(name, value.encode()) for name, value in values if value is not None]

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `eventbus.sdk.Sink`."""
        outcomes: list[Outcome] = [_NOT_TRIED] * len(messages)
        if self._only_topic:
            await self._send_to_topic(self._only_topic, range(len(messages)), messages, outcomes)
            return outcomes
        topics: defaultdict[str, list[int]] = defaultdict(list)
        for place, message in enumerate(messages):
            topics[message.target].append(place)
        await _all(
            [
                partial(self._send_to_topic, topic, places, messages, outcomes)
                for topic, places in topics.items()
            ]
        )
        return outcomes

    def transactions(self, route: str) -> KafkaTransactions:
        """See `eventbus.sdk.TransactionalSink`."""
        return KafkaTransactions(route, self._options, self._client, self._partitions)

    async def _send_to_topic(
        self, topic: str, places: Sequence[int], messages: Sequence[Message], outcomes: list[Outcome]
    ) -> None:
        """Send those at some places of a call's messages, and put down there what became of them."""
        count = await self._partitions(topic)
        if not isinstance(count, int):
            for place in places:
                outcomes[place] = count
            return
        if count == 1:
            await self._send_to_partition(topic, 0, places, messages, outcomes)
            return
        partitions: defaultdict[int, list[int]] = defaultdict(list)
        for place in places:
            message = messages[place]
            key = message.event.key if message.key is None else message.key
            partitions[partition_of(key, count)].append(place)
        await _all(
            [
                partial(self._send_to_partition, topic, partition, share, messages, outcomes)
                for partition, share in partitions.items()
            ]
        )

    async def _send_to_partition(
        self,
        topic: str,
        partition: int,
        places: Sequence[int],
        messages: Sequence[Message],
        outcomes: list[Outcome],
    ) -> None:
        plan = Plan([messages[place] for place in places])
        while run := plan.next():
            plan.answered(*await self._attempt(topic, partition, run))
        for place, outcome in zip(places, plan.outcomes, strict=True):
            outcomes[place] = outcome

    async def _attempt(
        self, topic: str, partition: int, messages: Sequence[Message]
    ) -> tuple[int, Outcome | KafkaError]:
        """Send one batch; gives how many messages were in it, and what came of them."""
        try:
            connection = await self._connected()
        except Unreachable as error:
            return len(messages), _not_reached(error)
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
            count = connection.partitions(topic) or await self._found(connection, topic)
        except Unreachable as error:
            return _not_reached(error)
        except KafkaError as error:
            return outcome_of(error)
        return count or self._without_topic(topic)

    async def _found(self, connection: Connection, topic: str) -> int:
        """How many partitions a topic has that was not heard of yet, or was just made; 0 if there is none.

        It is made before anybody asks for it, or brokers might make it as they like.
        """
        refused: KafkaError | None = None
        if self._options.topics.create:
            try:
                await create_topic(self._client(), topic, self._options.topics)
            except (ClusterAuthorizationFailedError, TopicAuthorizationFailedError) as error:
                refused = error  # it may be there all the same
        count = await connection.find(topic)
        if not count and refused is not None:
            raise refused
        return count

    def _without_topic(self, topic: str) -> Outcome:
        reason = f"Kafka: there is no topic {topic!r}, and none is created"
        if self._options.topics.missing == "park":
            return Rejected(reason)
        return Retry(Fault.UNAVAILABLE, reason)

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
                self._connection = await open_connection(self._options, self._client())
            except Unreachable as error:
                self._failure = error
                raise
            return self._connection

    def _client(self) -> Mapping[str, Any]:
        """What every client is told; files are read once."""
        if not self._arguments:
            try:
                self._arguments = client_arguments(self._options)
            except ConfigurationError as error:
                raise ConfigurationError(f"sinks.{self.name}.tls: {error}") from None
        return self._arguments


@lru_cache(maxsize=64)
def _content_type(name: str) -> tuple[str, bytes]:
    """The header; one for all messages of a kind."""
    return ("content-type", name.encode())


def _is_allowed(topic: str) -> bool:
    return len(topic) <= LONGEST_TOPIC and topic not in {"", ".", ".."}


def _not_reached(error: Unreachable) -> Retry:
    if isinstance(error, Unauthorised):
        return Retry(Fault.UNAUTHORISED, str(error), kind=Failure.UNAUTHORISED)
    return Retry(Fault.UNAVAILABLE, str(error), kind=Failure.NETWORK)


async def _all(calls: Sequence[Callable[[], Coroutine[None, None, None]]]) -> None:
    """Run them at once; a single one without the cost of a task."""
    if len(calls) == 1:
        await calls[0]()
        return
    async with anyio.create_task_group() as tasks:
        for call in calls:
            tasks.start_soon(call)
