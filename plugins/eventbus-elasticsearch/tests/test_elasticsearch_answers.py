"""What a healthy server does not say, said by a stand-in: too much to do, too large, who are you?

The server of the other tests cannot be brought to answer 429 at a wanted moment, and has neither users nor
certificates.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from eventbus.sdk import (
    DELIVERED,
    ConfigurationError,
    Failure,
    Fault,
    Message,
    ProbeStep,
    Rejected,
    Retry,
    Unreachable,
)
from eventbus.testing import Changes, PlainEncoder
from eventbus_elasticsearch import ElasticsearchOptions, ElasticsearchSink
from tests.sources.certificates import Certificates

pytestmark = pytest.mark.anyio

SECRET = "c2VjcmV0"
THROTTLED = {"status": 429, "error": {"type": "es_rejected_execution_exception", "reason": "hidden"}}


@pytest.fixture
def anyio_backend() -> str:
    """The daemon's."""
    return "asyncio"


class StandIn:
    """Answers bulk requests as it is told, and remembers what it was asked."""

    def __init__(self) -> None:
        self.version: dict[str, str] = {"number": "8.17.0"}
        self.asked: list[web.Request] = []
        self.requests: list[list[Any]] = []
        self.answer: Callable[[list[Any]], web.Response] = lambda lines: _told(lines, {"status": 201})
        self.later: Callable[[list[Any]], Awaitable[web.Response]] | None = None
        self.privileges: Any = None
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        body = await request.read()
        if request.path == "/":
            return web.json_response({"version": self.version})
        if request.path.endswith("_has_privileges"):
            return web.json_response({"index": {"shop": self.privileges}})
        if request.path != "/_bulk":
            return web.json_response({"status": "green"})
        content = gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
        lines = [json.loads(line) for line in content.splitlines()]
        self.requests.append(lines)
        if self.later is not None:
            return await self.later(lines)
        return self.answer(lines)


def _told(lines: list[Any], result: dict[str, Any]) -> web.Response:
    return web.json_response({"items": [{"index": result} for line in lines if "index" in line]})


@asynccontextmanager
async def _standing_in(tls: ssl.SSLContext | None = None) -> AsyncIterator[StandIn]:
    there = StandIn()
    app = web.Application(client_max_size=1 << 24)
    app.router.add_route("*", "/{path:.*}", there.handle)
    runner = web.AppRunner(app, auto_decompress=False, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        port = runner.addresses[0][1]
        there.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        yield there
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _sink(there: StandIn, **options: Any) -> AsyncIterator[ElasticsearchSink]:
    usual = {"hosts": [there.url], "index": "shop"}
    sink = ElasticsearchSink("search", ElasticsearchOptions.model_validate(usual | options))
    try:
        yield sink
    finally:
        await sink.close()


async def _sent(sink: ElasticsearchSink, count: int = 1) -> list[Any]:
    made = [sink.encode(event, PlainEncoder()) for event in Changes().distinct(count)]
    return list(await sink.send([one for one in made if isinstance(one, Message)]))


async def test_who_has_too_much_to_do_is_left_alone() -> None:
    """Whether it says so of all documents or of one: nobody's budget is spent, and the wait is kept."""
    async with _standing_in() as there, _sink(there) as sink:
        await sink.open()
        there.answer = lambda _: web.Response(status=429, headers={"Retry-After": "3"})
        for outcome in await _sent(sink, 2):
            assert isinstance(outcome, Retry)
            assert (outcome.fault, outcome.kind) == (Fault.UNAVAILABLE, Failure.THROTTLED)
            assert outcome.after_secs == 3
        there.answer = lambda _: web.json_response(
            {"items": [{"index": {"status": 201}}, {"index": THROTTLED}]}
        )
        first, second = await _sent(sink, 2)
        assert first == DELIVERED
        assert isinstance(second, Retry)
        assert (second.fault, second.kind) == (Fault.UNAVAILABLE, Failure.THROTTLED)
        assert "hidden" not in second.reason


async def test_a_request_that_is_too_large_is_divided() -> None:
    """Down to the document that is; the others are delivered, each sent once more than it had to be."""

    def only_two(lines: list[Any]) -> web.Response:
        has_it = any(line.get("index", {}).get("_id") == "key-2" for line in lines)
        return web.Response(status=413) if has_it or len(lines) > 4 else _told(lines, {"status": 201})

    async with _standing_in() as there, _sink(there) as sink:
        await sink.open()
        there.answer = only_two
        outcomes = await _sent(sink, 5)
    assert [type(outcome) for outcome in outcomes] == [type(DELIVERED)] * 2 + [Rejected] + [
        type(DELIVERED)
    ] * 2
    assert outcomes[2].kind is Failure.TOO_LARGE


async def test_an_attempt_has_one_time_however_often_it_is_divided() -> None:
    """What was answered in time counts, and the rest is tried again at the next host."""

    async def never_again(lines: list[Any]) -> web.Response:
        if len(lines) > 2:
            return web.Response(status=413)
        if there.requests[:-1] and len(there.requests[-2]) == 2:
            await asyncio.Event().wait()
        return _told(lines, {"status": 201})

    async with _standing_in() as there, _sink(there, timeout="1s") as sink:
        await sink.open()
        there.later = never_again
        first, second = await _sent(sink, 2)
    assert first == DELIVERED
    assert isinstance(second, Retry)
    assert (second.fault, second.kind) == (Fault.FAILED, Failure.TIMEOUT)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>", "does not tell of each document"),
        (b'{"items":[]}', "does not tell of each document"),
        (b'{"items":[{"delete":{"status":200}}]}', "something else than was asked for"),
        (b'{"items":[{"index":{}}]}', "tells no status"),
    ],
)
async def test_only_the_servers_own_word_counts(body: bytes, said: str) -> None:
    """An answer that does not tell what became of a document delivers nothing."""
    async with _standing_in() as there, _sink(there) as sink:
        await sink.open()
        there.answer = lambda _: web.Response(body=body)
        (outcome,) = await _sent(sink)
    assert isinstance(outcome, Retry)
    assert said in outcome.reason


@pytest.mark.parametrize(
    ("options", "header"),
    [
        ({"username": "us", "password": "päss"}, "Basic dXM6cMOkc3M="),
        ({"api_key": SECRET}, f"ApiKey {SECRET}"),
        ({"bearer": SECRET}, f"Bearer {SECRET}"),
    ],
)
async def test_every_request_says_who_we_are(options: dict[str, str], header: str) -> None:
    """Compressed where that is wanted; and nobody is told the secret who reads what went wrong."""
    async with _standing_in() as there, _sink(there, compression="gzip", **options) as sink:
        await sink.open()
        assert await _sent(sink, 20) == [DELIVERED] * 20
        assert {request.headers["Authorization"] for request in there.asked} == {header}
        assert there.asked[-1].headers["Content-Encoding"] == "gzip"
        assert len(there.requests[-1]) == 40
        there.answer = lambda _: web.Response(status=401, text=header)
        (refused,) = await _sent(sink)
    assert isinstance(refused, Retry)
    assert refused.fault is Fault.UNAUTHORISED
    assert header.split()[1] not in refused.reason


async def test_certificates_on_both_sides(tmp_path: Path) -> None:
    """Ours is shown, theirs is checked; a file that is none is named."""
    papers = Certificates.made_in(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(papers.ca))
    context.load_cert_chain(papers.server)
    context.verify_mode = ssl.CERT_REQUIRED
    ours = {"ca_file": str(papers.ca), "certificate_file": str(papers.client)}
    async with _standing_in(context) as there:
        async with _sink(there, tls=ours) as sink:
            await sink.open()
            assert await _sent(sink) == [DELIVERED]
        async with _sink(there, tls=ours | {"ca_file": str(papers.strange_ca)}) as sink:
            with pytest.raises(Unreachable, match="the certificate is not valid"):
                await sink.open()
        async with _sink(there, tls={"ca_file": str(tmp_path / "names")}) as sink:
            with pytest.raises(ConfigurationError, match="elasticsearch sink search: tls:"):
                await sink.open()


async def _steps(sink: ElasticsearchSink) -> list[ProbeStep]:
    return [step async for step in sink.probe()]


async def test_a_look_tells_what_is_missing() -> None:
    """Rights on the index, where the server tells them; and a server that is too old is no use."""
    async with _standing_in() as there, _sink(there) as sink:
        there.privileges = {"index": True, "delete": True}
        steps = await _steps(sink)
        assert all(step.ok for step in steps)
        assert steps[0].detail == f"Elasticsearch 8.17.0 at {there.url}"
        there.privileges = {"index": True, "delete": False}
        last = (await _steps(sink))[-1]
        assert (last.ok, last.detail) == (False, "we lack on shop: delete")
        there.version = {"number": "7.10.2"}
        with pytest.raises(ConfigurationError, match=r"Elasticsearch 7\.10\.2 is too old"):
            await sink.open()
