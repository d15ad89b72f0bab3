"""Loops that anybody would write, each a process of its own, to measure ourselves against.

    python -m benchmarks.throughput.baselines NAME URI SECONDS INCREMENT EVENTS [TARGET]

It prints one line of JSON: events a second from the first to the last, microseconds of CPU for each, and
megabytes of memory at most.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import bsonjs
import orjson
from bson import Timestamp
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import AsyncMongoClient, MongoClient

from benchmarks.throughput.measure import Result, Usage, usage
from benchmarks.throughput.workload import COLLECTION, DATABASE

__all__ = ["BASELINES"]


class _Course:
    """Counts from the first event to the last one."""

    def __init__(self, events: int) -> None:
        self._left = events
        self._events = events
        self._begun: tuple[float, Usage] | None = None

    def __call__(self, count: int = 1) -> bool:
        """Some more; whether that was the last."""
        if self._begun is None:
            self._begun = time.monotonic(), usage(os.getpid())
        self._left -= count
        return self._left <= 0

    def result(self) -> Result:
        assert self._begun is not None
        since, before = self._begun
        used = usage(os.getpid())
        return Result(
            self._events / (time.monotonic() - since),
            (used.cpu_secs - before.cpu_secs) / self._events * 1e6,
            used.peak_bytes / 1e6,
        )


def watch(uri: str, start: Timestamp, events: int) -> Result:
    """The driver's own loop over raw documents; nothing is done with them."""
    course = _Course(events)
    options: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
    with MongoClient[dict[str, Any]](uri) as client:
        orders = client[DATABASE].get_collection(COLLECTION, codec_options=options)
        with orders.watch(start_at_operation_time=start) as stream:
            for _ in stream:
                if course():
                    break
    return course.result()


def raw_bsonjs(uri: str, start: Timestamp, events: int) -> Result:
    """Whole replies by `command`, each change to JSON by bsonjs in C, thrown away."""
    course = _Course(events)
    for batch in _batches(uri, start):
        for change in batch:
            bsonjs.dumps(change.raw)
        if course(len(batch)):
            break
    return course.result()


def decode_orjson(uri: str, start: Timestamp, events: int) -> Result:
    """The driver's own loop over decoded documents, each to JSON by orjson, thrown away."""
    course = _Course(events)
    with (
        MongoClient[dict[str, Any]](uri) as client,
        client[DATABASE][COLLECTION].watch(start_at_operation_time=start, batch_size=1000) as stream,
    ):
        for change in stream:
            orjson.dumps(change, default=str)
            if course():
                break
    return course.result()


def kafka_loop(uri: str, start: Timestamp, events: int, bootstrap: str) -> Result:
    """`watch()` and aiokafka's `send`, as every tutorial has it, with everything acknowledged at the end."""
    from aiokafka import AIOKafkaProducer

    course = _Course(events)

    async def run() -> None:
        options: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
        producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, max_batch_size=128 << 10
        )
        async with AsyncMongoClient[dict[str, Any]](uri) as client, producer:
            orders = client[DATABASE].get_collection(COLLECTION, codec_options=options)
            async with await orders.watch(start_at_operation_time=start, batch_size=1000) as stream:
                async for change in stream:
                    key = bsonjs.dumps(change["documentKey"].raw).encode()
                    sent = await producer.send("baseline", bsonjs.dumps(change.raw).encode(), key)
                    if course():
                        await sent
                        break
            await producer.flush()

    anyio.run(run)
    return course.result()


def webhook_loop(uri: str, start: Timestamp, events: int, url: str) -> Result:
    """`watch()` and aiohttp's `post`, 64 at once."""
    import aiohttp

    course = _Course(events)

    async def run() -> None:
        options: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
        free = anyio.Semaphore(64)
        connector = aiohttp.TCPConnector(limit=64)
        async with (
            AsyncMongoClient[dict[str, Any]](uri) as client,
            aiohttp.ClientSession(connector=connector) as session,
            anyio.create_task_group() as tasks,
        ):

            async def post(change: RawBSONDocument) -> None:
                try:
                    body = bsonjs.dumps(change.raw).encode()
                    headers = {"content-type": "application/json"}
                    async with session.post(url, data=body, headers=headers) as answer:
                        assert answer.status == 204
                finally:
                    free.release()

            orders = client[DATABASE].get_collection(COLLECTION, codec_options=options)
            async with await orders.watch(start_at_operation_time=start, batch_size=1000) as stream:
                async for change in stream:
                    await free.acquire()
                    tasks.start_soon(post, change)
                    if course():
                        break

    anyio.run(run)
    return course.result()


def _batches(uri: str, start: Timestamp) -> Iterator[list[RawBSONDocument]]:
    options: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
    stage = {"$changeStream": {"startAtOperationTime": start}}
    with MongoClient[dict[str, Any]](uri) as client:
        command = {"aggregate": COLLECTION, "pipeline": [stage], "cursor": {"batchSize": 1000}}
        opened = client[DATABASE].command(command, codec_options=options)
        cursor, batch = opened["cursor"]["id"], list(opened["cursor"]["firstBatch"])
        while True:
            if batch:
                yield batch
            more = {"getMore": cursor, "collection": COLLECTION, "batchSize": 1000, "maxTimeMS": 500}
            batch = list(client[DATABASE].command(more, codec_options=options)["cursor"]["nextBatch"])


BASELINES: dict[str, Callable[..., Result]] = {
    "watch": watch,
    "raw-bsonjs": raw_bsonjs,
    "decode-orjson": decode_orjson,
    "kafka-loop": kafka_loop,
    "webhook-loop": webhook_loop,
}


if __name__ == "__main__":
    name, address, seconds, increment, count, *target = sys.argv[1:]
    began = Timestamp(int(seconds), int(increment))
    print(json.dumps(BASELINES[name](address, began, int(count), *target).as_dict()))
