"""A webhook receiver in a process of its own that behaves, and misbehaves, as it is told.

It speaks just enough HTTP to be cheap, as it shares the machine with those whose time is measured. An event
counts as arrived at the moment at which it is acknowledged, and only if the sender still waits for that.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from tests.e2e.child import Child, say
from tests.e2e.oracle import Arrival


@dataclass(frozen=True)
class Behaviour:
    """What it does to a request from now on.

    Args:
        status: What it answers.
        after_secs: How long it takes to.
        per_second: How many requests it gets done in a second, one after the other; None for all at once.
        hangs: It never answers.
        resets: It resets the connection instead.
    """

    status: int = 200
    after_secs: float = 0.0
    per_second: float | None = None
    hangs: bool = False
    resets: bool = False


HEALTHY: Final = Behaviour()


class WebhookProcess(Child):
    """The test's end.

    Args:
        directory: Where it keeps what arrives.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "webhook.arrivals"
        self._path.touch()
        self._counted = 0
        self._counted_bytes = 0
        super().__init__(__name__, str(self._path))

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.greeting['port']}/events"

    def behave(self, behaviour: Behaviour) -> None:
        """Behave so, from now on."""
        self.ask(asdict(behaviour))

    def arrivals(self) -> list[Arrival]:
        """What has arrived, in its order."""
        arrivals = []
        for line in self._path.read_bytes().splitlines():
            at, event, body = line.split(b" ", 2)
            arrivals.append(Arrival(event.decode(), body, float(at)))
        return arrivals

    def count(self) -> int:
        """How many have arrived."""
        with self._path.open("rb") as file:
            file.seek(self._counted_bytes)
            new = file.read()
        self._counted += new.count(b"\n")
        self._counted_bytes += len(new)
        return self._counted


class _Receiver:
    """The child's end: what all connections have in common."""

    def __init__(self, path: Path) -> None:
        self.behaviour = HEALTHY
        self._busy_until = 0.0
        self._arrivals = path.open("ab", buffering=0)

    def told(self) -> None:
        """A line on standard input."""
        line = sys.stdin.readline()
        if not line:
            asyncio.get_running_loop().stop()
            return
        self.behaviour = Behaviour(**json.loads(line))
        say({})

    def accept(self, event: bytes, body: bytes) -> None:
        """An event is acknowledged now."""
        self._arrivals.write(b"%.6f %s %s\n" % (time.time(), event, body))

    def delay_secs(self) -> float:
        """How long the request that just came will take."""
        if self.behaviour.per_second is None:
            return self.behaviour.after_secs
        now = time.monotonic()
        self._busy_until = max(now, self._busy_until) + 1 / self.behaviour.per_second
        return self._busy_until - now


class _Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    _LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
    _EVENT = re.compile(rb"\r\nwebhook-id: *(\S+)\r\n", re.IGNORECASE)

    def __init__(self, receiver: _Receiver) -> None:
        self._receiver = receiver
        self._received = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        fields = head + b"\r\n"
        length = int(self._LENGTH.findall(fields)[0])
        if len(rest) >= length:
            self._received = rest[length:]
            self._handle(self._EVENT.findall(fields)[0], rest[:length])

    def _handle(self, event: bytes, body: bytes) -> None:
        behaviour = self._receiver.behaviour
        if behaviour.resets:
            self._reset()
        elif not behaviour.hangs:
            delay_secs = self._receiver.delay_secs()
            asyncio.get_running_loop().call_later(delay_secs, self._answer, behaviour.status, event, body)

    def _answer(self, status: int, event: bytes, body: bytes) -> None:
        if self._transport.is_closing():
            return
        if status == 200:
            self._receiver.accept(event, body)
        self._transport.write(b"HTTP/1.1 %d As-Told\r\nContent-Length: 0\r\n\r\n" % status)

    def _reset(self) -> None:
        linger = struct.pack("ii", 1, 0)  # close() sends RST then
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._transport.abort()


async def _listen(receiver: _Receiver) -> int:
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), receiver.told)
    server = await loop.create_server(lambda: _Connection(receiver), "127.0.0.1", 0)
    return int(server.sockets[0].getsockname()[1])


def _main(path: str) -> None:
    loop = asyncio.new_event_loop()
    say({"port": loop.run_until_complete(_listen(_Receiver(Path(path))))})
    loop.run_forever()


if __name__ == "__main__":
    _main(*sys.argv[1:])
