"""The daemon at work as it mostly is: with changes at a steady pace, with none at all, and killed."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio
from aiokafka import AIOKafkaConsumer
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient

from benchmarks.throughput.daemon import Daemon
from benchmarks.throughput.measuring import Numbers, resident_mb, usage
from benchmarks.throughput.scene import Measure, Scene
from benchmarks.throughput.servers import KAFKA, create_topic
from benchmarks.throughput.timed_sink import read_times
from benchmarks.throughput.workload import DATABASE, sent_at, writing

__all__ = ["catch_up", "idle", "latency_to", "recovery"]

_WARM_UP: Final = 0.2
"""The share of live changes at the beginning that is not counted."""
_QUIET_SECS: Final = 20.0
"""After so long nothing of a start is left, and polls wait as long as they ever do."""
_WATCHED_SECS: Final = 20.0
_BROKER_CLOCK_MS: Final = 0.5
"""A broker writes down whole milliseconds: on average it is so much later."""
_MILLION: Final = 1e6


def latency_to(kind: str, *, per_sec: int) -> Measure:
    """From a change's sending to its delivery, and the same for a bare watch beside it.

    Args:
        kind: ``discard``, which notes when it is called, or ``kafka``, whose broker notes when it appends.
        per_sec: How many changes are made.
    """

    def measure(scene: Scene) -> Numbers:
        collection, events = f"live_{scene.run}", int(per_sec * scene.live_secs)
        with tempfile.TemporaryDirectory(prefix="eventbus-bench-") as directory:
            times = Path(directory, "times")
            config = scene.config({kind: _timed(kind, scene, times)}, _subscription(collection, kind))
            with Daemon.running(config) as daemon, _floor(scene, collection, events) as floor:
                daemon.wait_until_ready()
                before = usage(daemon.process.pid)
                with writing(
                    scene.servers.mongodb, collection, per_sec=per_sec, secs=scene.live_secs
                ) as writer:
                    writer.wait()
                    _wait_for(daemon, events)
                cpu_secs = usage(daemon.process.pid).cpu_secs - before.cpu_secs
                at_floor = floor.latencies_ms()
            own = (
                anyio.run(_appended, scene.servers.kafka, scene.target, events)
                if kind == KAFKA
                else _latencies_ms(read_times(times))
            )
        numbers = {"cpu_us": round(cpu_secs / events * _MILLION, 1)}
        for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999)):
            mine, theirs = _quantile(own, share), _quantile(at_floor, share)
            numbers |= {
                f"{name}_ms": round(mine, 2),
                f"{name}_floor_ms": round(theirs, 2),
                f"{name}_above_ms": round(mine - theirs, 2),
            }
        return numbers

    return measure


def recovery(scene: Scene) -> Numbers:
    """From a SIGKILL, and a start at once, to the first change delivered, and to the last one behind."""
    collection = f"live_{scene.run}"
    with tempfile.TemporaryDirectory(prefix="eventbus-bench-") as directory:
        times = Path(directory, "times")
        config = scene.config(
            {"discard": _timed("discard", scene, times)}, _subscription(collection, "discard")
        )
        with Daemon.running(config) as daemon:
            daemon.wait_until_ready()
            with writing(scene.servers.mongodb, collection, per_sec=1000, secs=600):
                _wait_for(daemon, int(1000 * scene.live_secs / 2))
                killed = time.time_ns()
                daemon.kill()
                daemon.start()
                _wait_for(daemon, int(1000 * scene.live_secs))
        seen = read_times(times)
    behind = [came for sent, came in seen if sent < seen[0][1]]
    return {
        "first_secs": round((seen[0][1] - killed) / 1e9, 2),
        "caught_up_secs": round((behind[-1] - killed) / 1e9, 2),
    }


def catch_up(scene: Scene) -> Numbers:
    """From the end of a pause to the route's first delivery, and until it is with the other route again."""
    collection, half = f"live_{scene.run}", int(1000 * scene.live_secs / 2)
    sinks = {name: {"type": "discard"} for name in ("paused", "other")}
    subscription = {"source": {"database": DATABASE, "collections": [collection]}, "routes": list(sinks)}
    with Daemon.running(scene.config(sinks, {"orders": subscription})) as daemon:
        daemon.wait_until_ready()
        daemon.command("pause", "orders", "--route", "paused")
        with writing(scene.servers.mongodb, collection, per_sec=1000, secs=600):
            _wait_until(lambda: daemon.settled_of("other") >= half)
            before = daemon.settled_of("paused")
            daemon.command("resume", "orders", "--route", "paused")
            begun = time.monotonic()
            _wait_until(lambda: daemon.settled_of("paused") > before)
            first = time.monotonic()
            _wait_until(lambda: daemon.readers() == 1)
            last = time.monotonic()
    return {"first_secs": round(first - begun, 2), "caught_up_secs": round(last - begun, 2)}


def idle(subscriptions: int) -> Measure:
    """So many subscriptions, each of a collection of its own in which nothing happens."""

    def measure(scene: Scene) -> Numbers:
        config = scene.config(
            {"discard": {"type": "discard"}},
            {
                f"s{number}": {
                    "source": {"database": DATABASE, "collections": [f"quiet_{number}"]},
                    "routes": ["discard"],
                }
                for number in range(subscriptions)
            },
        )
        with Daemon.running(config) as daemon:
            daemon.wait_until_ready()
            time.sleep(_QUIET_SECS)
            pid = daemon.process.pid
            before, begun = usage(pid), time.monotonic()
            time.sleep(_WATCHED_SECS)
            after, secs = usage(pid), time.monotonic() - begun
            return {
                "cpu_percent": round((after.cpu_secs - before.cpu_secs) / secs * 100, 2),
                "rest_mb": round(resident_mb(pid), 1),
                "peak_mb": round(after.peak_bytes / 1e6, 1),
            }

    return measure


def _timed(kind: str, scene: Scene, times: Path) -> dict[str, Any]:
    """A sink that tells when each change came to it."""
    if kind != KAFKA:
        return {"type": "timed", "path": str(times)}
    create_topic(scene.servers.kafka, scene.target, message_timestamp_type="LogAppendTime")
    return {"type": "kafka", "bootstrap_servers": scene.servers.kafka, "topic": scene.target}


def _subscription(collection: str, sink: str) -> dict[str, Any]:
    return {"orders": {"source": {"database": DATABASE, "collections": [collection]}, "routes": [sink]}}


def _wait_until(holds: Callable[[], bool], within_secs: float = 120.0) -> None:
    deadline = time.monotonic() + within_secs
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within_secs:.0f} s")
        time.sleep(0.02)


def _wait_for(daemon: Daemon, events: int, within_secs: float = 120.0) -> None:
    deadline = time.monotonic() + within_secs
    while (settled := daemon.settled()) < events:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{settled} of {events} live changes after {within_secs:.0f} s")
        time.sleep(0.5)


@dataclass(frozen=True, slots=True)
class _Floor:
    """A bare watch, in a process of its own."""

    process: subprocess.Popen[str]

    def latencies_ms(self) -> list[float]:
        out, _ = self.process.communicate(timeout=120)
        latencies: list[float] = json.loads(out)
        return latencies


@contextmanager
def _floor(scene: Scene, collection: str, events: int) -> Iterator[_Floor]:
    """It watches by the time the body runs."""
    arguments = [scene.servers.mongodb, collection, str(events)]
    with subprocess.Popen(
        [sys.executable, "-m", __name__, *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield _Floor(process)
        finally:
            process.kill()


def _watch(uri: str, collection: str, events: int) -> list[tuple[int, int]]:
    options: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
    with MongoClient[RawBSONDocument](uri) as client:
        orders = client[DATABASE].get_collection(collection, codec_options=options)
        with orders.watch() as stream:
            print("watching", flush=True)
            times = []
            for change in stream:
                times.append((sent_at(bytes(change.raw)), time.time_ns()))
                if len(times) == events:
                    break
    return times


async def _appended(bootstrap_servers: str, topic: str, events: int) -> list[float]:
    """From the sending of each change to its being appended at the broker, in milliseconds."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        latencies: list[float] = []
        while len(latencies) < events:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                for record in records:
                    sent_ms = json.loads(record.value)["data"]["document"]["sent_at"] / _MILLION
                    latencies.append(record.timestamp + _BROKER_CLOCK_MS - sent_ms)
    finally:
        await consumer.stop()
    return latencies[int(len(latencies) * _WARM_UP) :]


def _latencies_ms(times: Sequence[tuple[int, int]]) -> list[float]:
    return [(came - sent) / _MILLION for sent, came in times[int(len(times) * _WARM_UP) :]]


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


if __name__ == "__main__":
    address, name, count = sys.argv[1:]
    print(json.dumps(_latencies_ms(_watch(address, name, int(count)))))
