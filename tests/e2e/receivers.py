"""Receivers that remember all that they got: a webhook endpoint, and readers of the other sinks."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis
from aiohttp import web
from aiokafka import AIOKafkaConsumer
from standardwebhooks import Webhook

from tests.e2e.oracle import Arrival

SECRET = "whsec_" + base64.b64encode(b"a secret of the tests, 32 bytes!").decode()


class WebhookReceiver:
    """An HTTP endpoint in a thread of its own that verifies signatures by the specification's library."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self.unverified = 0
        self.answer: Callable[[dict[str, Any]], int] = lambda _event: 200
        """What it answers to an event; a test may change it at any time."""
        self.port = 0
        self._verifier = Webhook(SECRET)
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(
            target=self._loop.run_until_complete, args=(self._serve(),), daemon=True
        )

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/events"

    async def _serve(self) -> None:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/events", self._receive)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port)
        await site.start()
        self.port = int(runner.addresses[0][1])
        self._started.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            self._verifier.verify(body, dict(request.headers))
        except Exception:
            self.unverified += 1
            return web.Response(status=400)
        status = self.answer(json.loads(body))
        if status == 200:
            self.arrivals.append(Arrival(request.headers["webhook-id"], body, time.time()))
        return web.Response(status=status)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()


def from_redis(url: str, stream: str) -> list[Arrival]:
    """Everything in a stream, in its order."""
    arrivals: list[Arrival] = []
    with redis.Redis.from_url(url) as client:
        last = "-"
        while page := client.xrange(stream, min=last, count=5000):
            arrivals += [
                Arrival(fields[b"id"].decode(), fields[b"event"], int(entry.split(b"-")[0]) / 1000)
                for entry, fields in page
            ]
            last = "(" + page[-1][0].decode()
    return arrivals


def from_files(path: Path) -> list[Arrival]:
    """Every line of a file and of what was rotated away from it, in their order."""
    rotated = sorted(path.parent.glob(path.name + ".*"))
    arrivals = []
    for file in [*rotated, path]:
        if not file.exists():
            continue
        content = file.read_bytes()
        # A line without its end belongs to an event that nobody acknowledged; the next life takes it away.
        lines = content[: content.rfind(b"\n") + 1].splitlines()
        arrivals += [Arrival(json.loads(line)["id"], line) for line in lines]
    return arrivals


def from_kafka(bootstrap_servers: str, topic: str, *, isolation: str = "read_uncommitted") -> list[Arrival]:
    """Everything in a topic, partition by partition; or what is committed, as far as that is known now."""
    return asyncio.run(_from_kafka(bootstrap_servers, topic, isolation))


async def _from_kafka(bootstrap_servers: str, topic: str, isolation: str) -> list[Arrival]:
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap_servers,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level=isolation,
    )
    await consumer.start()
    try:
        partitions = list(consumer.assignment())
        ends = await consumer.end_offsets(partitions)
        arrivals = []
        while any([await consumer.position(part) < ends[part] for part in partitions]):
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                arrivals += [
                    Arrival(_id_of(record), record.value, record.timestamp / 1000) for record in records
                ]
        return arrivals
    finally:
        await consumer.stop()


def _id_of(record: Any) -> str:
    return str(json.loads(record.value)["id"])
