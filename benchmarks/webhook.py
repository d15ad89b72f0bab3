"""Microseconds of CPU that one webhook message costs us, and messages a second, over real sockets.

The receiver is a process of its own that does nothing but answer 204, so its time is not ours.

python -m benchmarks.webhook [messages]
"""

from __future__ import annotations

import asyncio
import base64
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from multiprocessing import Process, SimpleQueue
from time import perf_counter, process_time
from typing import Any

import anyio

from benchmarks.throughput.receiver import Always204
from eventbus.model import DELIVERED, Event, Message
from eventbus.sdk import Encoder
from eventbus.sinks.webhook import WebhookOptions, WebhookSink

AT_ONCE = 16
BYTES = 700
SECRET = base64.b64encode(os.urandom(24)).decode()


def receive(ports: SimpleQueue[int]) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Always204, "127.0.0.1", 0)
        ports.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


class Body(Encoder):
    content_type = "application/cloudevents+json"

    def encode(self, _event: Event) -> bytes:
        return b'"%b"' % (b"x" * (BYTES - 2))

    def headers(self, _event: Event) -> Sequence[tuple[str, bytes]]:
        return ()


def messages(sink: WebhookSink, count: int) -> list[Message]:
    made = []
    for number in range(count):
        event = Event(token=f"{number:012d}", operation="insert", database="shop", collection="orders")
        event.id  # noqa: B018 - made once, long before it is sent
        message = sink.encode(event, Body())
        assert isinstance(message, Message)
        made.append(message)
    return made


async def measure(port: int, count: int, batch: int, options: dict[str, Any]) -> tuple[float, float]:
    """Seconds of CPU, and of the clock, for each message."""
    written = {"url": f"http://127.0.0.1:{port}/hook", "concurrency": AT_ONCE} | options
    sink = WebhookSink("bench", WebhookOptions.model_validate(written))
    await sink.open()
    left = messages(sink, count)

    async def lane() -> None:
        while left:
            taken = left[-batch:]
            del left[-batch:]
            assert set(await sink.send(taken)) == {DELIVERED}

    spent, begun = process_time(), perf_counter()
    async with anyio.create_task_group() as tasks:
        for _ in range(AT_ONCE):
            tasks.start_soon(lane)
    took = (process_time() - spent) / count, (perf_counter() - begun) / count
    await sink.close()
    return took


async def main(port: int, count: int) -> None:
    shapes: dict[str, tuple[int, dict[str, Any]]] = {
        "single": (1, {}),
        "single, HMAC": (1, {"signing": {"secrets": [SECRET]}}),
        "single, HMAC, adaptive": (1, {"signing": {"secrets": [SECRET]}, "adaptive": True}),
        "arrays of 100, HMAC": (100, {"body": "array", "signing": {"secrets": [SECRET]}}),
        "arrays of 100, HMAC, gzip": (
            100,
            {"body": "array", "signing": {"secrets": [SECRET]}, "compression": "gzip"},
        ),
    }
    for name, (batch, options) in shapes.items():
        cpu, clock = min([await measure(port, count, batch, options) for _ in range(3)])
        print(f"{name:30s} {cpu * 1e6:7.1f} us of CPU a message {1 / clock:10.0f} messages/s")


if __name__ == "__main__":
    ports: SimpleQueue[int] = SimpleQueue()
    receiver = Process(target=receive, args=(ports,), daemon=True)
    receiver.start()
    uvloop = find_spec("uvloop") is not None
    anyio.run(
        main,
        ports.get(),
        int(sys.argv[1]) if len(sys.argv) > 1 else 10_000,
        backend_options={"use_uvloop": uvloop},
    )
    receiver.terminate()
    receiver.join()
