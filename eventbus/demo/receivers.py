"""Receivers as a user would write them: each reads what arrived at one target and keeps a receipt of it.

They know the published forms of the messages and nothing of the daemon. What cannot be understood becomes a
complaint, never an exception, since the judge wants to hear of it.
"""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import anyio.to_thread
from aiohttp import web
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from redis.asyncio import Redis

from eventbus.demo.envelope import BadEnvelope, headline, parsed, receipt_of
from eventbus.demo.ledger import Receipt
from eventbus.demo.signature import is_signed

__all__ = ["FileReceiver", "KafkaReceiver", "Receiver", "RedisReceiver", "WebhookReceiver"]

_PAGE: Final = 1000
_WAIT_MS: Final = 500


class Receiver(ABC):
    """What arrived at one target. Enter it to connect; `read` takes what is new.

    Args:
        name: The kind of target.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.receipts: list[Receipt] = []
        """Every event, in the order of its coming."""
        self.complaints: list[str] = []
        """Why something that came is no event of ours."""
        self.latest = ""
        """The latest event in a few words."""

    @abstractmethod
    async def read(self) -> None:
        """Take all that has arrived by now; by one task at a time."""

    @abstractmethod
    async def __aenter__(self) -> Self: ...

    @abstractmethod
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def take(self, body: bytes, *, message_id: str | None = None) -> None:
        """Keep the receipt of one message.

        Args:
            body: The event as it came.
            message_id: The event's id as the message tells it beside the body, where it does.
        """
        try:
            envelope = parsed(body)
            receipt = receipt_of(envelope, body)
        except BadEnvelope as error:
            self.complaints.append(f"an event {error}")
            return
        if message_id not in {None, receipt.event_id}:
            self.complaints.append(f"event {receipt.event_id} came in a message with the id {message_id}")
        self.receipts.append(receipt)
        self.latest = headline(envelope)


class WebhookReceiver(Receiver):
    """An HTTP server on a free loopback port that believes only signed messages.

    Args:
        secret: The signing secret, as the daemon has it.
    """

    def __init__(self, secret: str) -> None:
        super().__init__("webhook")
        self.url = ""
        """Where to send to, once it is entered."""
        self._secret = secret
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/events", self._receive)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/events"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def read(self) -> None:
        """Nothing to fetch: what has arrived is here."""

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        if not is_signed(request.headers, body, self._secret, now=time.time()):
            self.complaints.append("a message without a valid signature")
            return web.Response(status=401)
        self.take(body, message_id=request.headers["webhook-id"])
        return web.Response(status=204)


class RedisReceiver(Receiver):
    """Reads a Redis stream from its beginning.

    Args:
        url: Of the Redis.
        stream: Name of the stream.
    """

    def __init__(self, url: str, stream: str) -> None:
        super().__init__("redis")
        self._redis = Redis.from_url(url)
        self._stream = stream
        self._last = "0-0"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._redis.aclose()

    async def read(self) -> None:
        """Page through what is beyond the last entry."""
        while entries := await self._page():
            for entry_id, fields in entries:
                self._last = entry_id.decode()
                self.take(fields.get(b"event", b""), message_id=fields.get(b"id", b"").decode())

    async def _page(self) -> list[tuple[bytes, dict[bytes, bytes]]]:
        page: Any = await self._redis.xrange(self._stream, min=f"({self._last}", count=_PAGE)
        return list(page)  # the client's types allow for text too, which it gives only when told to decode


class FileReceiver(Receiver):
    """Follows a file of JSON lines through its rotations.

    Args:
        path: The file that is written to; rotated ones lie beside it under longer names that sort by age.
    """

    def __init__(self, path: Path) -> None:
        super().__init__("file")
        self._path = path
        self._offsets: dict[int, int] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._offsets.clear()

    async def read(self) -> None:
        """Take the lines that are whole by now."""
        for line in await anyio.to_thread.run_sync(self._new_lines):
            self.take(line)

    def _new_lines(self) -> Sequence[bytes]:
        """New lines of rotated files, oldest first, then of the current one.

        The current file is opened before the others are listed, so one that is rotated meanwhile is still
        read in its turn, and what came after it is left for the next time.
        """
        if not self._path.exists():
            return []
        lines: list[bytes] = []
        with self._path.open("rb") as current:
            inode = os.fstat(current.fileno()).st_ino
            for path in self._rotated():
                with path.open("rb") as file:
                    if os.fstat(file.fileno()).st_ino == inode:
                        break
                    lines += self._lines_of(file)
            lines += self._lines_of(current)
        return lines

    def _rotated(self) -> Iterator[Path]:
        yield from sorted(self._path.parent.glob(f"{self._path.name}.*"))

    def _lines_of(self, file: BinaryIO) -> Sequence[bytes]:
        inode = os.fstat(file.fileno()).st_ino
        file.seek(self._offsets.get(inode, 0))
        whole, end, _half = file.read().rpartition(b"\n")
        self._offsets[inode] = self._offsets.get(inode, 0) + len(whole) + len(end)
        return whole.split(b"\n") if whole else []


class KafkaReceiver(Receiver):
    """Reads topics from their beginning, every partition, without a consumer group.

    Args:
        bootstrap_servers: Of the Kafka.
        topics: The topics; they are made if they are missing.
        partitions: How many partitions each has.
    """

    def __init__(self, bootstrap_servers: str, topics: Sequence[str], *, partitions: int = 3) -> None:
        super().__init__("kafka")
        self._bootstrap_servers = bootstrap_servers
        self._topics = [NewTopic(topic, partitions, 1) for topic in topics]
        self._partitions = [TopicPartition(topic, number) for topic in topics for number in range(partitions)]
        self._consumer: AIOKafkaConsumer | None = None

    async def __aenter__(self) -> Self:
        await self._make_topics()
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap_servers,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )
        await consumer.start()
        consumer.assign(self._partitions)
        self._consumer = consumer
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._consumer is not None:
            await self._consumer.stop()

    async def read(self) -> None:
        """Read up to the present end of every partition."""
        assert self._consumer is not None, "enter it first"
        ends = await self._consumer.end_offsets(self._partitions)
        while await self._is_before(ends, self._consumer):
            for records in (await self._consumer.getmany(timeout_ms=_WAIT_MS)).values():
                for record in records:
                    self.take(record.value or b"")

    async def _is_before(self, ends: Mapping[TopicPartition, int], consumer: AIOKafkaConsumer) -> bool:
        return any([await consumer.position(partition) < end for partition, end in ends.items()])

    async def _make_topics(self) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap_servers)
        await admin.start()
        try:
            present = set(await admin.list_topics())
            await admin.create_topics([topic for topic in self._topics if topic.name not in present])
        finally:
            await admin.close()
