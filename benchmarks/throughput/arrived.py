"""What an outsider finds in the target after a run: a rate of events that never arrived is worth nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import anyio
import redis
from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.throughput.scene import Scene
from benchmarks.throughput.servers import KAFKA, REDIS

__all__ = ["all_arrived"]


def all_arrived(kinds: Iterable[str], scene: Scene, directory: Path) -> None:
    """Look into each target that can be looked into.

    Raises:
        AssertionError: One has fewer events than were counted as delivered.
    """
    for kind in kinds:
        if (counted := _COUNTED.get(kind)) is not None:
            there = counted(scene, directory)
            assert there >= scene.events, f"{kind} has {there} of {scene.events} events"


def _lines(scene: Scene, directory: Path) -> int:
    """Those of earlier files, too: it is rotated."""
    count = 0
    for path in directory.glob(f"{scene.target}*"):
        with path.open("rb") as file:
            count += sum(1 for _ in file)
    return count


def _entries(scene: Scene, _directory: Path) -> int:
    with redis.Redis.from_url(scene.servers.redis) as client:
        return int(client.xlen(scene.target))


def _records(scene: Scene, _directory: Path) -> int:
    return anyio.run(_committed, scene.servers.kafka, TopicPartition(scene.target, 0))


async def _committed(bootstrap_servers: str, partition: TopicPartition) -> int:
    """Up to where a reader gets that waits for transactions to end."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, isolation_level="read_committed")
    await consumer.start()
    try:
        ends = await consumer.end_offsets([partition])
    finally:
        await consumer.stop()
    return int(ends[partition])


_COUNTED: Final[dict[str, Callable[[Scene, Path], int]]] = {
    "file": _lines,
    REDIS: _entries,
    KAFKA: _records,
}
