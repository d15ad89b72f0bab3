"""Documents per second of a snapshot, by the size of a chunk and how many are read at once.

python -m benchmarks.snapshot [documents]

A mongod of its own, an idle stream, documents of 500 bytes; nothing is delivered.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from time import perf_counter, process_time
from typing import Any, Final

import anyio
import structlog
from bson import encode
from pymongo import AsyncMongoClient

from eventbus.devservices import MongoService
from eventbus.sdk import SourceContext
from eventbus.sources.mongodb import MongoOptions, MongoSource

VARIANTS: Final = ((1000, 1), (1000, 2), (1000, 4), (1000, 8), (250, 4), (500, 4), (2000, 4), (4000, 1))
SIZE: Final = 500


async def fill(client: AsyncMongoClient[Any], documents: int) -> None:
    pad = SIZE - len(encode({"_id": 0, "n": 0, "pad": ""}))
    for first in range(0, documents, 10_000):
        last = min(first + 10_000, documents)
        await client.bench.orders.insert_many(
            [{"_id": n, "n": n, "pad": "x" * pad} for n in range(first, last)], ordered=False
        )


async def read(client: AsyncMongoClient[Any], chunk: int, parallel: int) -> tuple[int, int]:
    """How many documents came, and in how many batches."""
    options = MongoOptions.model_validate(
        {"database": "bench", "snapshot": {"chunk": chunk, "parallel": parallel}}
    )
    source = MongoSource(options, SourceContext("bench", client, None))
    start = replace(await source.now(), snapshot=await source.begin_snapshot("bench"))
    reader = source.reader(start)
    documents = batches = 0
    is_finished = False
    while not is_finished:
        batch = await reader.next()
        assert batch is not None
        assert batch.end.snapshot is not None
        is_finished = batch.end.snapshot.is_finished
        documents += len(batch)
        batches += 1
    await reader.close()
    return documents, batches


async def main(documents: int) -> None:
    with MongoService.start(own=True, oplog_mb=990) as service:
        async with AsyncMongoClient[dict[str, Any]](service.uri) as client:
            await fill(client, documents)
            print(f"{'chunk':>6} {'parallel':>8} {'documents/s':>12} {'µs of CPU':>10} {'batches':>8}")
            for chunk, parallel in VARIANTS:
                begun, cpu = perf_counter(), process_time()
                count, batches = await read(client, chunk, parallel)
                assert count == documents
                each = (process_time() - cpu) / count * 1e6
                per_sec = count / (perf_counter() - begun)
                print(f"{chunk:>6} {parallel:>8} {per_sec:>12,.0f} {each:>10.1f} {batches:>8}")


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    anyio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
