"""A real HTTP server that keeps all that it was sent, and webhook sinks to send with."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import anyio
from aiohttp import web
from anyio.abc import SocketAttribute, SocketStream

from eventbus.sdk import Event, Message, Outcome
from eventbus.sinks.webhook import WebhookOptions, WebhookSink
from eventbus.testing import Changes, PlainEncoder

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
Conversation: TypeAlias = Callable[[SocketStream], Awaitable[None]]


async def accept(request: web.Request) -> web.StreamResponse:
    return web.Response(status=204)


def answering(status: int, text: str = "", **headers: str) -> Handler:
    """A handler that always gives the same answer; ``_`` in a header's name is a hyphen."""

    async def answer(request: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, text=text, headers=named)

    return answer


async def hang(request: web.Request) -> web.StreamResponse:
    await anyio.sleep_forever()
    return web.Response()


@dataclass
class Post:
    """One request that arrived in full."""

    path: str
    headers: dict[str, str]
    body: bytes
    method: str = "POST"


@dataclass
class Receiver:
    """What arrived, and how the next request is answered."""

    host: str = "127.0.0.1"
    port: int = 0
    tls: ssl.SSLContext | None = None
    handler: Handler = accept
    posts: list[Post] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0
    _peers: set[object] = field(default_factory=set)
    _runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"

    @property
    def connections(self) -> int:
        """How many connections carried a request."""
        return len(self._peers)

    async def start(self) -> None:
        """Listen; after a stop on the same port again."""
        app = web.Application(client_max_size=1 << 26, handler_args={"auto_decompress": False})
        app.router.add_route("*", "/{path:.*}", self._receive)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port, ssl_context=self.tls, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        self._peers.add(request.transport.get_extra_info("peername"))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            body = await request.read()
            headers = {name.lower(): value for name, value in request.headers.items()}
            self.posts.append(Post(request.path_qs, headers, body, request.method))
            return await self.handler(request)
        finally:
            self.under_way -= 1


@asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A receiver on a free port of the loopback interface."""
    receiver = Receiver(tls=tls)
    await receiver.start()
    try:
        yield receiver
    finally:
        await receiver.stop()


@asynccontextmanager
async def talking(converse: Conversation) -> AsyncIterator[str]:
    """A server that speaks raw bytes to whoever sends something; gives its URL."""

    async def handle(stream: SocketStream) -> None:
        async with stream:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                await converse(stream)

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, handle)
        yield f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}/t0ken"
        tasks.cancel_scope.cancel()


async def request_of(stream: SocketStream) -> bytes:
    """The head of a request and what came with it."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += await stream.receive()
    return received


def make_sink(url: str, **options: Any) -> WebhookSink:
    return WebhookSink("hook", WebhookOptions.model_validate({"url": url, **options}))


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[WebhookSink]:
    sink = make_sink(url, **options)
    await sink.open()
    try:
        yield sink
    finally:
        await sink.close()


def message_of(sink: WebhookSink, event: Event | None = None) -> Message:
    made = sink.encode(event or Changes().change("a"), PlainEncoder())
    assert isinstance(made, Message)
    return made


async def send_one(sink: WebhookSink, event: Event | None = None) -> Outcome:
    with anyio.fail_after(30):
        (outcome,) = await sink.send([message_of(sink, event)])
    return outcome
