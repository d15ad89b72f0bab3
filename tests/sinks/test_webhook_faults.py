"""The webhook sink when there is no proper answer: each fault is a real one on a real socket."""

from __future__ import annotations

import shlex
import socket
import ssl
import struct
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from eventbus.http.faults import connecting_failed, lost
from eventbus.sdk import DELIVERED, Failure, Fault, Outcome, Rejected, Retry, Unreachable
from eventbus.testing import Changes
from tests.sinks.receiver import (
    Receiver,
    hang,
    make_sink,
    opened,
    receiving,
    request_of,
    send_one,
    talking,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


def assert_retry(outcome: Outcome, fault: Fault, text: str, kind: Failure | None = None) -> None:
    assert isinstance(outcome, Retry), outcome
    assert outcome.fault is fault
    assert kind in {None, outcome.kind}
    assert text in outcome.reason
    assert "t0ken" not in outcome.reason


async def test_refused(receiver: Receiver) -> None:
    async with opened(receiver.url) as sink:
        await receiver.stop()
        for _ in range(2):
            assert_retry(await send_one(sink), Fault.UNAVAILABLE, "Connection refused", Failure.NETWORK)
        await receiver.start()
        assert await send_one(sink) == DELIVERED


async def test_reset() -> None:
    async def reset(stream: SocketStream) -> None:
        await request_of(stream)
        raw = stream.extra(SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async with talking(reset) as url, opened(url) as sink:
        assert_retry(await send_one(sink), Fault.UNAVAILABLE, "Connection reset by peer")


async def test_closed_without_an_answer() -> None:
    async def leave(stream: SocketStream) -> None:
        await request_of(stream)

    async with talking(leave) as url, opened(url) as sink:
        assert_retry(await send_one(sink), Fault.UNAVAILABLE, "closed the connection without an answer")


async def test_a_kept_connection_that_the_server_closes_on_reuse_costs_a_retry_only() -> None:
    async def one_answer(stream: SocketStream) -> None:
        await request_of(stream)
        await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await request_of(stream)

    async with talking(one_answer) as url, opened(url) as sink:
        assert await send_one(sink) == DELIVERED
        assert_retry(await send_one(sink), Fault.UNAVAILABLE, "without an answer")
        assert await send_one(sink) == DELIVERED


async def test_no_answer_in_time_is_a_failed_attempt(receiver: Receiver) -> None:
    receiver.handler = hang
    async with opened(receiver.url, timeout="100ms") as sink:
        assert_retry(await send_one(sink), Fault.FAILED, "no answer within 0.1 s", Failure.TIMEOUT)
        assert len(receiver.posts) == 1


async def test_the_timeout_spans_an_answer_that_trickles() -> None:
    """A head that never ends is not endless: the limit is for the attempt, not for each read."""

    async def trickle(stream: SocketStream) -> None:
        await request_of(stream)
        await stream.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            await stream.send(b"x-more: 1\r\n")
            await anyio.sleep(0.02)

    async with talking(trickle) as url, opened(url, timeout="200ms") as sink:
        assert_retry(await send_one(sink), Fault.FAILED, "no answer within 0.2 s")


@pytest.mark.parametrize(
    ("status", "expected"), [(200, DELIVERED), (422, Rejected("answered 422 Unprocessable Entity: half"))]
)
async def test_the_status_decides_even_if_the_content_never_comes(status: int, expected: Outcome) -> None:
    async def begin(stream: SocketStream) -> None:
        await request_of(stream)
        await stream.send(b"HTTP/1.1 %d X\r\ncontent-length: 9\r\n\r\nhalf" % status)
        await stream.receive()  # nothing comes: the sink hangs up

    async with talking(begin) as url, opened(url, timeout="300ms") as sink:
        assert await send_one(sink) == expected


async def test_content_that_breaks_off_changes_nothing() -> None:
    async def begin(stream: SocketStream) -> None:
        await request_of(stream)
        await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")

    async with talking(begin) as url, opened(url) as sink:
        assert await send_one(sink) == DELIVERED


@pytest.mark.parametrize("answer", [b"\x15\x03\x01\x00\x02\x02\x50\r\n\r\n", b"HTTP/1.1 two hundred\r\n\r\n"])
async def test_an_answer_that_is_not_http(answer: bytes) -> None:
    async def babble(stream: SocketStream) -> None:
        await request_of(stream)
        await stream.send(answer)

    async with talking(babble) as url, opened(url) as sink:
        assert_retry(await send_one(sink), Fault.FAILED, "not valid HTTP")


async def test_an_early_refusal_of_a_large_body_is_seen() -> None:
    """A server that says 413 and hangs up in the middle must not look like one that is down."""

    async def refuse(stream: SocketStream) -> None:
        await request_of(stream)
        await stream.send(b"HTTP/1.1 413 X\r\ncontent-length: 9\r\nconnection: close\r\n\r\ntoo large")
        await stream.send_eof()
        await stream.receive()

    large = Changes().change("a", text="x" * 16_000_000)
    async with talking(refuse) as url, opened(url) as sink:
        outcome = await send_one(sink, large)
        assert outcome == Rejected("answered 413 Request Entity Too Large: too large", Failure.TOO_LARGE)


async def test_a_connection_with_half_a_body_in_it_is_not_used_again() -> None:
    """Otherwise the rest of the first message would be read as the next request."""
    heads: list[bytes] = []
    rest = b""

    async def early(stream: SocketStream) -> None:
        nonlocal rest
        heads.append(await request_of(stream))
        await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        async for received in stream:
            rest = rest[-10:] + received
            assert b"POST " not in rest

    large = Changes().change("a", text="x" * 16_000_000)
    async with talking(early) as url, opened(url) as sink:
        assert await send_one(sink, large) == DELIVERED
        assert await send_one(sink) == DELIVERED
    assert [head.startswith(b"POST ") for head in heads] == [True, True]


async def test_a_name_that_does_not_resolve() -> None:
    sink = make_sink("http://user:t0ken@nowhere.invalid/t0ken", timeout="30s")
    with pytest.raises(
        Unreachable, match=r"^nowhere\.invalid:80: the host name does not resolve"
    ) as unreachable:
        await sink.open()
    assert "t0ken" not in str(unreachable.value)


async def test_opening_says_what_is_wrong_with_the_connection(receiver: Receiver) -> None:
    await receiver.stop()
    with pytest.raises(
        Unreachable, match=rf"^127\.0\.0\.1:{receiver.port}: cannot connect: Connection refused$"
    ):
        await make_sink(receiver.url).open()
    with pytest.raises(Unreachable, match=r"Connection refused$"):
        await make_sink(f"http://localhost:{receiver.port}").open()


async def test_opening_is_bounded_by_the_timeout() -> None:
    """A TLS handshake that is never answered."""

    async def silent(stream: SocketStream) -> None:
        await anyio.sleep_forever()

    async with talking(silent) as url:
        sink = make_sink(url.replace("http:", "https:"), timeout="100ms")
        with pytest.raises(Unreachable, match=r"no TLS session within 0\.1 s$"):
            await sink.open()


async def test_tls_to_a_server_without_it(receiver: Receiver) -> None:
    sink = make_sink(receiver.url.replace("http:", "https:"))
    with pytest.raises(Unreachable, match="TLS: "):
        await sink.open()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    directory = tmp_path_factory.mktemp("certificate")
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    subprocess.run(
        shlex.split(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
            f"-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {certificate}"
        ),
        check=True,
        capture_output=True,
    )
    return certificate, key


@pytest.fixture
async def secure(certificate: tuple[Path, Path]) -> AsyncIterator[Receiver]:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*certificate)
    async with receiving(tls) as running:
        yield running


async def test_a_certificate_that_nobody_vouches_for(secure: Receiver) -> None:
    with pytest.raises(Unreachable, match=r"TLS: the certificate is not valid: self.signed certificate"):
        await make_sink(secure.url).open()
    assert secure.posts == []


async def test_a_certificate_that_the_system_trusts(
    secure: Receiver, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE is OpenSSL's own way to name the trusted ones."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    async with opened(secure.url) as sink:
        for _ in range(3):
            assert await send_one(sink) == DELIVERED
    assert secure.connections == 1


def test_errors_that_nobody_knows_are_tried_again_and_hide_their_text() -> None:
    assert_retry(
        connecting_failed(RuntimeError("http://h/t0ken")).outcome, Fault.UNAVAILABLE, "cannot connect"
    )
    assert_retry(lost(ValueError("http://h/t0ken")).outcome, Fault.UNAVAILABLE, "without an answer")
