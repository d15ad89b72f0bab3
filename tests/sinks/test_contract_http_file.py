"""The contract kit on the webhook, file and stdout sinks, each with its real target."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from eventbus.sdk import Event, Sink
from eventbus.sinks.file import FileOptions, FileSink
from eventbus.sinks.stdout import StdoutOptions, StdoutSink
from eventbus.testing import Changes, Received, SinkContract, SinkOutageContract, SinkRejectionContract
from tests.sinks.receiver import Receiver, make_sink, receiving


class WebhookHarness:
    """An endpoint that refuses poison."""

    def __init__(self, receiver: Receiver, **options: object) -> None:
        self._receiver = receiver
        self._options = options
        self._accepted: list[Received] = []
        receiver.handler = self._judge

    async def _judge(self, request: web.Request) -> web.StreamResponse:
        bodies = self._bodies(await request.read())
        events = [json.loads(body) for body in bodies]
        if any(event["document"]["text"] == "poison" for event in events):
            return web.Response(status=422, text="never")
        self._accepted += [Received(event["id"], body) for event, body in zip(events, bodies, strict=True)]
        return web.Response(status=202)

    def _bodies(self, content: bytes) -> list[bytes]:
        match self._options.get("body"):
            case "array":  # each written once more as it was
                return [
                    json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
                    for event in json.loads(content)
                ]
            case "ndjson":
                return content.splitlines()
            case _:
                return [content]

    def make_sink(self) -> Sink:
        return make_sink(self._receiver.url, **self._options)

    async def received(self) -> Sequence[Received]:
        return self._accepted

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        await self._receiver.stop()
        yield
        await self._receiver.start()


class TestWebhook(SinkContract, SinkRejectionContract, SinkOutageContract):
    @pytest.fixture
    async def harness(self) -> AsyncIterator[WebhookHarness]:
        async with receiving() as receiver:
            yield WebhookHarness(receiver)

    def poison(self, changes: Changes) -> Event:
        return changes.change("poison", text="poison")


class TestWebhookArrays(TestWebhook):
    @pytest.fixture
    async def harness(self) -> AsyncIterator[WebhookHarness]:
        async with receiving() as receiver:
            yield WebhookHarness(receiver, body="array", max_batch=40, adaptive=True)


class TestWebhookLines(TestWebhook):
    @pytest.fixture
    async def harness(self) -> AsyncIterator[WebhookHarness]:
        async with receiving() as receiver:
            yield WebhookHarness(receiver, body="ndjson", keep_alive="0s")


class FileHarness:
    """A directory that can go away, as a file system that is unmounted does."""

    def __init__(self, directory: Path, **options: object) -> None:
        directory.mkdir()
        self._directory = directory
        self._options = options

    def make_sink(self) -> Sink:
        options = {"path": self._directory / "events.jsonl"} | self._options
        return FileSink("archive", FileOptions.model_validate(options))

    async def received(self) -> Sequence[Received]:
        current = self._directory / "events.jsonl"
        rotated = sorted(self._directory.glob("events.jsonl.*"))
        lines = [line for path in [*rotated, current] for line in path.read_bytes().splitlines()]
        return [Received(json.loads(line)["id"], line) for line in lines]

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        away = self._directory.with_suffix(".away")
        self._directory.rename(away)
        yield
        away.rename(self._directory)


class TestFile(SinkContract, SinkOutageContract):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> FileHarness:
        return FileHarness(tmp_path / "archive")


class TestFileRotatedOften(SinkContract, SinkOutageContract):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> FileHarness:
        return FileHarness(tmp_path / "archive", rotate_size="1KiB", fsync="never")


class StdoutHarness:
    """This process's own standard output, which pytest has led into a file."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture
        self._read = ""

    def make_sink(self) -> Sink:
        return StdoutSink("stdout", StdoutOptions())

    async def received(self) -> Sequence[Received]:
        self._read += self._capture.readouterr().out
        return [Received(json.loads(line)["id"], line.encode()) for line in self._read.splitlines()]


class TestStdout(SinkContract):
    @pytest.fixture
    def harness(self, capfd: pytest.CaptureFixture[str]) -> StdoutHarness:
        return StdoutHarness(capfd)
