"""Answers every request with 204 at once, in a process of its own, so that its time is not ours.

    python -m benchmarks.throughput.receiver

It prints its port. Requests must say their length.
"""

from __future__ import annotations

import asyncio
from typing import Any

_ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


class Always204(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._received = bytearray()

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._received[:end]).lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            if len(self._received) < end + 4 + length:
                return
            del self._received[: end + 4 + length]
            self._transport.write(_ANSWER)


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(Always204, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
