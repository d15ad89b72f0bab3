"""Loops that anybody would write, each a process of its own, to measure ourselves against.

    python -m benchmarks.throughput.baselines NAME TASK

TASK is JSON. It prints one line of JSON: what `Course` gives.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, Final

import anyio
import bsonjs
import orjson
from bson import Timestamp
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import AsyncMongoClient, MongoClient

from benchmarks.throughput.measuring import Course, Numbers
from benchmarks.throughput.workload import COLLECTION, DATABASE

__all__ = ["BASELINES", "Task", "run_baseline"]

_RAW: Final[CodecOptions[RawBSONDocument]] = CodecOptions(document_class=RawBSONDocument)
_BATCH: Final = 1000
KAFKA_BATCH_BYTES: Final = 128 << 10
WEBHOOKS_AT_ONCE: Final = 64


@dataclass(frozen=True, slots=True)
class Task:
    """What a loop is to do.

    Args:
        mongodb: Where it reads.
        start: The operation time from which it reads: seconds and increment.
        events: How many it reads.
        kafka: Where it writes, if it does.
        topic: What to.
        webhook: Where it posts, if it does.
    """

    mongodb: str
    start: tuple[int, int]
    events: int
    kafka: str = ""
    topic: str = ""
    webhook: str = ""

    @property
    def since(self) -> Timestamp:
        return Timestamp(*self.start)


def run_baseline(name: str, task: Task) -> Numbers:
    """Run one in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", __name__, name, json.dumps(asdict(task))],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    numbers: Numbers = json.loads(done.stdout)
    return numbers


def watch(task: Task) -> Numbers:
    """pymongo's own loop over raw documents; nothing is done with them."""
    course = Course(task.events)
    with MongoClient[dict[str, Any]](task.mongodb) as client:
        orders = client[DATABASE].get_collection(COLLECTION, codec_options=_RAW)
        with orders.watch(start_at_operation_time=task.since) as stream:
            for _ in stream:
                if course():
                    break
    return course.result()


def raw_bsonjs(task: Task) -> Numbers:
    """Whole replies by `command`, each change to JSON by bsonjs in C, thrown away."""
    course = Course(task.events)
    with closing(_batches(task)) as batches:
        for batch in batches:
            for change in batch:
                bsonjs.dumps(change.raw)
            if course(len(batch)):
                break
    return course.result()


def decode_orjson(task: Task) -> Numbers:
    """pymongo's own loop over decoded documents, each to JSON by orjson, thrown away."""
    course = Course(task.events)
    with (
        MongoClient[dict[str, Any]](task.mongodb) as client,
        client[DATABASE][COLLECTION].watch(start_at_operation_time=task.since, batch_size=_BATCH) as stream,
    ):
        for change in stream:
            orjson.dumps(change, default=str)
            if course():
                break
    return course.result()


def kafka_loop(task: Task) -> Numbers:
    """`watch()` and aiokafka's `send`, as every tutorial has it, with everything acknowledged at the end."""
    from aiokafka import AIOKafkaProducer

    course = Course(task.events)

    async def run() -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=task.kafka,
            acks="all",
            enable_idempotence=True,
            max_batch_size=KAFKA_BATCH_BYTES,
        )

        async def send(change: RawBSONDocument) -> None:
            key = bsonjs.dumps(change["documentKey"].raw).encode()
            await producer.send(task.topic, bsonjs.dumps(change.raw).encode(), key)

        async with producer:
            await _for_each_change(task, course, send)
            await producer.flush()

    anyio.run(run)
    return course.result()


def webhook_loop(task: Task) -> Numbers:
    """`watch()` and aiohttp's `post`, 64 at once."""
    import aiohttp

    course = Course(task.events)

    async def run() -> None:
        free = anyio.Semaphore(WEBHOOKS_AT_ONCE)
        connector = aiohttp.TCPConnector(limit=WEBHOOKS_AT_ONCE)
        async with aiohttp.ClientSession(connector=connector) as session, anyio.create_task_group() as tasks:

            async def post(change: RawBSONDocument) -> None:
                try:
                    body = bsonjs.dumps(change.raw).encode()
                    headers = {"content-type": "application/json"}
                    async with session.post(task.webhook, data=body, headers=headers) as answer:
                        assert answer.status == 204
                finally:
                    free.release()

            async def start(change: RawBSONDocument) -> None:
                await free.acquire()
                tasks.start_soon(post, change)

            await _for_each_change(task, course, start)

    anyio.run(run)
    return course.result()


async def _for_each_change(
    task: Task, course: Course, act: Callable[[RawBSONDocument], Awaitable[None]]
) -> None:
    async with AsyncMongoClient[RawBSONDocument](task.mongodb) as client:
        orders = client[DATABASE].get_collection(COLLECTION, codec_options=_RAW)
        async with await orders.watch(start_at_operation_time=task.since, batch_size=_BATCH) as stream:
            async for change in stream:
                await act(change)
                if course():
                    break


def _batches(task: Task) -> Generator[list[RawBSONDocument]]:
    stage = {"$changeStream": {"startAtOperationTime": task.since}}
    with MongoClient[dict[str, Any]](task.mongodb) as client:
        command = {"aggregate": COLLECTION, "pipeline": [stage], "cursor": {"batchSize": _BATCH}}
        opened = client[DATABASE].command(command, codec_options=_RAW)
        cursor, batch = opened["cursor"]["id"], list(opened["cursor"]["firstBatch"])
        while True:
            if batch:
                yield batch
            more = {"getMore": cursor, "collection": COLLECTION, "batchSize": _BATCH, "maxTimeMS": 500}
            batch = list(client[DATABASE].command(more, codec_options=_RAW)["cursor"]["nextBatch"])


BASELINES: Final[dict[str, Callable[[Task], Numbers]]] = {
    "watch": watch,
    "raw-bsonjs": raw_bsonjs,
    "decode-orjson": decode_orjson,
    "kafka-loop": kafka_loop,
    "webhook-loop": webhook_loop,
}


if __name__ == "__main__":
    chosen, given = sys.argv[1:]
    print(json.dumps(BASELINES[chosen](Task(**json.loads(given)))))
