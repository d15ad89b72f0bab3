"""Slices of a route that take effect together with its position, for ``delivery: exactly_once``.

A route has one transactional id, which begins with the topic of positions. Who starts a producer of it shuts
out the one before and ends what that has under way; then it reads the position, and leaves its epoch there.
After anything that is not an answer the producer is killed: the next call starts a new one and reads what
took effect.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, TypeAlias

import anyio
from aiokafka.errors import InvalidProducerEpoch, InvalidTransactionTimeout, KafkaError, ProducerFenced

from eventbus.sdk import (
    DELIVERED,
    Commit,
    ConfigurationError,
    Fault,
    LeaseLost,
    Message,
    Outcome,
    Refused,
    Rejected,
    Retry,
    Unreachable,
)
from eventbus.sinks.kafka.options import KafkaOptions
from eventbus.sinks.kafka.outcomes import concerns_single_messages, outcome_of
from eventbus.sinks.kafka.partitioner import partition_of
from eventbus.sinks.kafka.positions import Held, ensure_topic, read_back
from eventbus.sinks.kafka.producer import Producer, filled, retrieved

__all__ = ["KafkaTransactions"]

_Place: TypeAlias = tuple[str, int]
_FENCED: Final = (InvalidProducerEpoch, ProducerFenced)
_PAUSE_WHEN_FENCED_SECS: Final = 1.0
"""Who fenced us claims the route in that time, and is not disturbed by us."""
_MOST_TRIES: Final = 3
_PATIENCE_FACTOR: Final = 3
_LARGEST_POSITION: Final = 1 << 20
_LONGEST_CLAIM_AT_END_SECS: Final = 2.0


class _NotTaken(Exception):
    """A batch was refused for what is in it."""

    def __init__(self, indices: Sequence[int], error: KafkaError) -> None:
        self.indices = indices
        self.error = error


class KafkaTransactions:
    """Those of one route.

    Args:
        route: Names the route.
        options: What users wrote.
        client: What every client is told.
        partitions: How many partitions a topic has, having made it if that is wanted; or why not.
    """

    def __init__(
        self,
        route: str,
        options: KafkaOptions,
        client: Callable[[], Mapping[str, Any]],
        partitions: Callable[[str], Awaitable[int | Outcome]],
    ) -> None:
        self._route = route
        self._key = route.encode()
        self._options = options
        self._client = client
        self._partitions = partitions
        self._producer: Producer | None = None
        self._claiming: asyncio.Task[None] | None = None
        self._epoch = 0
        self._held = Held()
        self._home: _Place = (options.positions.topic, 0)

    async def claim(self, epoch: int) -> bytes | None:
        """See `eventbus.sdk.Transactions`."""
        await self._release()
        self._epoch = epoch
        try:
            await self._own()
        except TimeoutError:
            raise Unreachable("Kafka: the position could not be read in time") from None
        except KafkaError as error:
            raise _claim_failed(error) from error
        return self._held.position

    async def commit(self, messages: Sequence[Message], position: bytes) -> Commit:
        """See `eventbus.sdk.Transactions`."""
        try:
            return await self._commit(messages, position)
        except _FENCED as error:
            await anyio.sleep(_PAUSE_WHEN_FENCED_SECS)
            return Retry(Fault.UNAVAILABLE, f"Kafka: {error}")
        except TimeoutError:
            return Retry(Fault.UNAVAILABLE, "Kafka: no answer in time")
        except (Unreachable, ConfigurationError) as error:
            return Retry(Fault.UNAVAILABLE, str(error))
        except KafkaError as error:
            outcome = outcome_of(error)
            if isinstance(outcome, Retry) and outcome.fault is Fault.UNAUTHORISED:
                return outcome
            return Retry(Fault.UNAVAILABLE, f"Kafka: {error}")

    async def close(self) -> None:
        """See `eventbus.sdk.Transactions`."""
        await self._release()

    async def _commit(self, messages: Sequence[Message], position: bytes) -> Commit:
        last = self._held.position
        await self._own()
        if self._held.position == position:
            return DELIVERED
        if self._held.position != last:
            raise LeaseLost(f"{self._route} is not as it was left: another owner has moved it in Kafka")
        places: defaultdict[_Place, list[int]] = defaultdict(list)
        counts: dict[str, int | Outcome] = {}
        for index, message in enumerate(messages):
            topic = message.target
            if topic not in counts:
                with anyio.fail_after(self._patience_secs):
                    counts[topic] = await self._partitions(topic)
            count = counts[topic]
            if not isinstance(count, int):
                return self._no_topic(count, index)
            key = message.event.key if message.key is None else message.key
            places[topic, partition_of(key, count)].append(index)
        held = Held(self._epoch, position)
        try:
            await self._transact(messages, places, held)
        except _NotTaken as refused:
            if len(refused.indices) > 1:
                return await self._commit_singly(messages, places, held)
            return Refused({refused.indices[0]: _blamed(refused.error)})
        return DELIVERED

    async def _commit_singly(
        self, messages: Sequence[Message], places: Mapping[_Place, Sequence[int]], held: Held
    ) -> Commit:
        """Once more, message by message: the culprit stands alone, or the batch was too large."""
        await self._own()  # nothing of the first try took effect: it was ended before its commit
        try:
            await self._transact(messages, places, held, most=1)
        except _NotTaken as refused:
            return Refused({refused.indices[0]: _blamed(refused.error)})
        return DELIVERED

    def _no_topic(self, outcome: Outcome, index: int) -> Commit:
        if isinstance(outcome, Rejected):
            return Refused({index: outcome})
        assert isinstance(outcome, Retry)
        return outcome if outcome.fault is not Fault.FAILED else Refused({index: outcome})

    async def _transact(
        self,
        messages: Sequence[Message],
        places: Mapping[_Place, Sequence[int]],
        held: Held,
        *,
        most: int | None = None,
    ) -> None:
        """One transaction; unless all of it took effect, the producer is given up, and with it the rest."""
        producer, done = self._producer, False
        assert producer is not None
        try:
            with anyio.fail_after(self._patience_secs):
                await producer.begin_transaction()
                sends = [
                    self._send(producer, place, messages, indices, most) for place, indices in places.items()
                ]
                await _all([*sends, self._send_position(producer, held)])
                await producer.commit_transaction()
            self._held, done = held, True
        finally:
            if not done:
                await self._drop()

    async def _send(
        self,
        producer: Producer,
        place: _Place,
        messages: Sequence[Message],
        indices: Sequence[int],
        most: int | None,
    ) -> None:
        topic, partition = place
        rest = list(indices)
        while rest:
            batch = producer.create_batch()
            count = filled(batch, [messages[index] for index in rest[:most]])
            taken, rest = rest[:count], rest[count:]
            try:
                await _acknowledged(await producer.send_batch(batch, topic, partition=partition))
            except KafkaError as error:
                if not isinstance(error, _FENCED) and concerns_single_messages(error):
                    raise _NotTaken(taken, error) from error
                raise

    async def _send_position(self, producer: Producer, held: Held) -> None:
        topic, partition = self._home
        await _acknowledged(await producer.send(topic, held.encoded(), key=self._key, partition=partition))

    async def _own(self) -> None:
        """Have a producer that is the last of its id, and know what took effect before it.

        Raises:
            LeaseLost: A higher epoch was here.
            KafkaError: The brokers refuse it.
            TimeoutError: They do not answer, or open transactions hold the position back.
        """
        for tried in range(1, _MOST_TRIES + 1):
            if self._claiming is None and self._producer is not None:
                return
            try:
                await self._claimed()
            except _FENCED:
                if tried == _MOST_TRIES:
                    raise

    async def _claimed(self) -> None:
        """A claim outlives who waits for it: a client that is cancelled at its start leaves a socket open."""
        if self._claiming is None:
            self._claiming = asyncio.ensure_future(self._claim())
            self._claiming.add_done_callback(retrieved)
        try:
            await asyncio.shield(self._claiming)
        finally:
            if self._claiming.done():
                self._claiming = None

    async def _claim(self) -> None:
        options, client = self._options, self._client()
        with anyio.fail_after(self._patience_secs):
            await ensure_topic(client, options.positions)
        producer = Producer(
            compression_type=None if options.compression == "none" else options.compression,
            max_batch_size=options.batch_size,
            max_request_size=max(options.max_request_size, _LARGEST_POSITION),
            transactional_id=f"{options.positions.topic}/{self._route}",
            transaction_timeout_ms=round(options.positions.transaction_timeout * 1000),
            **client,
        )
        owned = False
        try:
            with anyio.fail_after(self._patience_secs):
                await producer.start()
                topic = options.positions.topic
                count = len(await producer.partitions_for(topic))
            self._home = (topic, partition_of(self._key, count))
            with anyio.fail_after(options.positions.transaction_timeout + self._patience_secs):
                held = await read_back(client, *self._home, self._key)
            if held.epoch > self._epoch:
                raise LeaseLost(f"{self._route}: an owner with epoch {held.epoch} has claimed it in Kafka")
            self._producer, owned = producer, True
        finally:
            if not owned:
                await producer.end()
        await self._transact((), {}, Held(self._epoch, held.position))

    async def _drop(self) -> None:
        """Give the producer up: nothing of it is sent any more."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.end()

    async def _release(self) -> None:
        """Wait a little for a claim that is under way, and give up all there is."""
        claiming, self._claiming = self._claiming, None
        if claiming is not None:
            with anyio.CancelScope(shield=True):
                await asyncio.wait([claiming], timeout=_LONGEST_CLAIM_AT_END_SECS)
                claiming.cancel()
                await asyncio.wait([claiming])
        await self._drop()

    @property
    def _patience_secs(self) -> float:
        return _PATIENCE_FACTOR * self._options.request_timeout


async def _all(calls: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run them at once; the first failure is raised when all have ended or were given up."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _acknowledged(future: asyncio.Future[Any]) -> None:
    future.add_done_callback(retrieved)
    await future


def _blamed(error: KafkaError) -> Rejected | Retry:
    outcome = outcome_of(error)
    assert isinstance(outcome, Rejected | Retry)
    return outcome


def _claim_failed(error: KafkaError) -> Exception:
    outcome = outcome_of(error)
    if isinstance(outcome, Retry) and outcome.fault is Fault.UNAUTHORISED:
        return ConfigurationError(outcome.reason)
    if isinstance(error, InvalidTransactionTimeout):
        return ConfigurationError("Kafka: positions.transaction_timeout is more than the brokers allow")
    return Unreachable(f"Kafka: {error}")
