"""One producer from its start to its end: batches go in, and each is acknowledged, refused or unknown.

A batch is never sent a second time by us while the first sending may still happen. Where a partition
acknowledges nothing for too long the producer is killed, and all that it had pending is unknown. A batch that
fails leaves a hole in the producer's sequence, after which brokers refuse what comes later on that partition;
so the connection is spent then: it takes nothing new, and ends when its last batch has its answer.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

import anyio
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from eventbus.sdk import Fault, Retry, Unreachable
from eventbus.sinks.kafka.options import KafkaOptions
from eventbus.sinks.kafka.outcomes import outcome_of
from eventbus.sinks.kafka.producer import Producer, retrieved

__all__ = ["Connection", "Stalled", "Unauthorised", "open_connection", "patience_left"]

_LONGEST_TOPIC_SEARCH_SECS: Final = 5.0
_LONGEST_CLOSE_SECS: Final = 1.0


class Stalled(Exception):
    """The producer was given up; whether the brokers took the batch is unknown."""


class Unauthorised(Unreachable):
    """The brokers do not let us in."""


async def open_connection(options: KafkaOptions, client: Mapping[str, Any]) -> Connection:
    """Connect and get a producer id.

    Args:
        options: What users wrote.
        client: Those of `eventbus.sinks.kafka.security.client_arguments`.

    Raises:
        Unauthorised: The brokers do not let us in.
        Unreachable: No broker answers as it should.
    """
    producer = Producer(
        compression_type=None if options.compression == "none" else options.compression,
        max_batch_size=options.batch_size,
        **client,
    )
    started = False
    try:
        with anyio.fail_after(2 * options.request_timeout):  # the client asks for a producer id without end
            await producer.start()
        started = True
    except (KafkaError, TimeoutError) as error:
        raise await _why(options, client, error) from error
    finally:
        if not started:
            await producer.end()
    return Connection(producer, options.request_timeout)


async def _why(
    options: KafkaOptions, client: Mapping[str, Any], error: KafkaError | TimeoutError
) -> Unreachable:
    """Why there is no connection. The client keeps that to itself, so one broker is asked once more."""
    away = Unreachable(f"no Kafka broker answers at {', '.join(options.bootstrap_servers)}")
    if options.sasl is None:
        return away
    place = options.bootstrap_servers[0]
    host, _, port = place.rpartition(":") if ":" in place else (place, ":", "9092")
    asked = {name: value for name, value in client.items() if name != "bootstrap_servers"}
    connection = AIOKafkaConnection(host.strip("[]"), int(port), **asked)
    try:
        await connection.connect()
    except KafkaError as found:
        error = found
    except (OSError, TimeoutError):
        pass
    with anyio.move_on_after(_LONGEST_CLOSE_SECS):
        await connection.close()
    outcome = outcome_of(error) if isinstance(error, KafkaError) else None
    if isinstance(outcome, Retry) and outcome.fault is Fault.UNAUTHORISED:
        return Unauthorised(f"Kafka does not let us in: {error}")
    return away


class Connection:
    """A started producer.

    Args:
        producer: It is ours from now on.
        patience_secs: How long a partition may acknowledge nothing.
    """

    def __init__(self, producer: Producer, patience_secs: float) -> None:
        self.usable = True
        self._producer = producer
        self._patience_secs = patience_secs
        self._turns: defaultdict[tuple[str, int], anyio.Lock] = defaultdict(anyio.Lock)
        self._acknowledged_at: dict[tuple[str, int], float] = {}
        self._sending: set[anyio.CancelScope] = set()

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has, as far as is known now; 0 if it is not known."""
        return len(self._producer.client.cluster.partitions_for_topic(topic) or ())

    async def find(self, topic: str) -> int:
        """Learn about a topic, for a bounded time; brokers that may create it do so now.

        Returns:
            How many partitions it has; 0 if it does not exist. Then the connection is spent as well, since
            the brokers that it knows may be gone for good, and a new one asks the bootstrap servers.

        Raises:
            KafkaError: The brokers do not let us see it.
        """
        with anyio.move_on_after(min(_LONGEST_TOPIC_SEARCH_SECS, self._patience_secs)):
            try:
                return len(await self._producer.partitions_for(topic))
            except UnknownTopicOrPartitionError:
                pass
        self.usable = False
        return 0

    def batch(self) -> Any:
        """An empty batch of the client."""
        return self._producer.create_batch()

    async def send(self, topic: str, partition: int, batch: Any) -> None:
        """Send one batch and wait for the acknowledgement of all replicas.

        Raises:
            KafkaError: It was not taken.
            Stalled: Nobody knows.
        """
        with anyio.CancelScope() as scope:
            self._sending.add(scope)
            try:
                return await self._send(topic, partition, batch)
            finally:
                self._sending.discard(scope)
                if not self.usable and not self._sending:
                    await self._producer.end()
        raise Stalled

    async def retire(self) -> None:
        """Take nothing new; it ends with its last answer, or now if nothing is under way."""
        self.usable = False
        if not self._sending:
            await self._producer.end()

    async def end(self) -> None:
        """Give up whatever is pending and release everything."""
        self._kill()
        await self._producer.end()

    async def _send(self, topic: str, partition: int, batch: Any) -> None:
        place = (topic, partition)
        async with self._turns[place]:  # the client would hand out turns at random
            if partition >= (self.partitions(topic) or await self.find(topic)):
                raise UnknownTopicOrPartitionError(topic)
            future = await self._producer.send_batch(batch, topic, partition=partition)
        future.add_done_callback(retrieved)
        await self._answered(place, future)
        try:
            future.result()
        except KafkaError:
            self.usable = False
            raise
        self._acknowledged_at[place] = time.monotonic()

    async def _answered(self, place: tuple[str, int], future: asyncio.Future[Any]) -> None:
        """Wait for the answer, as long as the partition acknowledges anything at all."""
        sent_at = time.monotonic()
        while not future.done():
            last = self._acknowledged_at.get(place, sent_at)
            patience_secs = patience_left(time.monotonic(), sent_at, last, self._patience_secs)
            if patience_secs <= 0:
                self._kill()
            await asyncio.wait([future], timeout=patience_secs)  # unlike await, it does not cancel the future

    def _kill(self) -> None:
        self.usable = False
        self._producer.kill()
        for scope in self._sending:
            scope.cancel()


def patience_left(now: float, sent_at: float, acknowledged_at: float, patience_secs: float) -> float:
    """Seconds until a partition is given up: silence counts, not the time that a batch waits for its turn."""
    return max(sent_at, acknowledged_at) + patience_secs - now
