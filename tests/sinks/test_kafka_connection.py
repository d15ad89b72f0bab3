"""When a connection to Kafka ends: on a fake of the producer whose answers the test gives."""

from __future__ import annotations

import asyncio
import gc
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from aiokafka.errors import MessageSizeTooLargeError

from eventbus.sinks.kafka.connection import Connection, Stalled
from eventbus.sinks.kafka.producer import Producer

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class _FakeProducer:
    """Takes every batch, and leaves the answer to the test."""

    def __init__(self) -> None:
        self.client = self
        self.cluster = self
        self.answers: dict[str, asyncio.Future[Any]] = {}
        self.killed = False
        self.ended = 0

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {0, 1}

    async def send_batch(self, batch: str, topic: str, *, partition: int) -> asyncio.Future[Any]:
        self.answers[batch] = asyncio.get_running_loop().create_future()
        return self.answers[batch]

    def kill(self) -> None:
        self.killed = True

    async def end(self) -> None:
        self.ended += 1


class _Sends:
    """Batches under way on one connection, and how each ended."""

    def __init__(self, patience_secs: float = 60.0) -> None:
        self.producer = _FakeProducer()
        self.connection = Connection(_as_producer(self.producer), patience_secs)
        self.results: defaultdict[str, list[object]] = defaultdict(list)

    async def send(self, batch: str) -> None:
        try:
            await self.connection.send("topic", 0, batch)
            self.results[batch].append("delivered")
        except (MessageSizeTooLargeError, Stalled) as error:
            self.results[batch].append(type(error))


def _as_producer(fake: Any) -> Producer:
    return fake  # type: ignore[no-any-return] # it has the part of a producer that a connection uses


async def _until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not condition():
            await anyio.lowlevel.checkpoint()


async def test_after_a_failure_it_ends_with_its_last_answer() -> None:
    """Not before: what else is under way gets its own answer."""
    sends = _Sends()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sends.send, "a")
        tasks.start_soon(sends.send, "b")
        await _until(lambda: len(sends.producer.answers) == 2)
        sends.producer.answers["a"].set_exception(MessageSizeTooLargeError())
        await _until(lambda: bool(sends.results["a"]))
        assert not sends.connection.usable
        await sends.connection.retire()
        assert sends.producer.ended == 0
        sends.producer.answers["b"].set_result(None)
    assert sends.results == {"a": [MessageSizeTooLargeError], "b": ["delivered"]}
    assert sends.producer.ended == 1
    assert not sends.producer.killed


async def test_without_anything_under_way_it_ends_when_it_retires() -> None:
    sends = _Sends()
    await sends.connection.retire()
    assert sends.producer.ended == 1


async def test_silence_ends_all_that_is_under_way() -> None:
    """Whoever notices it first."""
    sends = _Sends(patience_secs=0.05)
    async with anyio.create_task_group() as tasks:
        for batch in ("a", "b", "c"):
            tasks.start_soon(sends.send, batch)
    assert sends.results == {"a": [Stalled], "b": [Stalled], "c": [Stalled]}
    assert sends.producer.killed
    assert sends.producer.ended == 1


async def test_a_cancelled_send_leaves_its_batch_alone() -> None:
    """The producer needs the answer itself, to keep its sequence; a bad one troubles nobody any more."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    sends = _Sends()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sends.send, "a")
        await _until(lambda: "a" in sends.producer.answers)
        tasks.cancel_scope.cancel()
    assert not sends.producer.answers["a"].cancelled()
    assert sends.connection.usable
    assert sends.producer.ended == 0
    sends.producer.answers.pop("a").set_exception(MessageSizeTooLargeError())
    await anyio.lowlevel.checkpoint()
    gc.collect()
    assert not complaints
