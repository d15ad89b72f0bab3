"""The library of traces at its limits: what a collector does to us, and what its variables do."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult
from structlog.testing import capture_logs

from eventbus.errors import ConfigurationError
from eventbus.model import Failure, Fault, Retry
from eventbus.telemetry import otlp, tracing
from eventbus.tracing import traced
from tests.config.fakes import SMALLEST, load_text
from tests.sources.certificates import Certificates

WHOSE = tracing.Attempted("orders", "hook", "partner")
FOR_GOOD = 20.0


@contextmanager
def _collector(answer: Callable[[socket.socket], None], *, reads_first: bool = True) -> Iterator[str]:
    """Where somebody answers each connection as told, once something has come."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            connections.append(connection)
            threading.Thread(target=answered, args=[connection], daemon=True).start()

    def answered(connection: socket.socket) -> None:
        try:
            if reads_first:
                connection.recv(1 << 16)
            answer(connection)
        except OSError:
            pass

    connections: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/a-key/v1/traces"
        finally:
            for connection in connections:
                connection.close()


def _tracer(endpoint: str) -> otlp.OtlpTracer:
    return otlp.OtlpTracer(
        endpoint, {}, sample_ratio=1.0, service_name="eventbus", instance="here", trace_of=None
    )


def _attempted(tracer: otlp.OtlpTracer, *outcomes: Retry) -> None:
    with tracer.attempt(WHOSE, []) as span:
        span.ended(outcomes)


def _exported(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is given to the exporter, with its results, from now on."""
    seen: list[Any] = []
    export = otlp._Watched.export

    def watched(self: otlp._Watched, spans: Any) -> SpanExportResult:
        result = export(self, spans)
        seen.append((result, list(spans)))
        return result

    monkeypatch.setattr(otlp._Watched, "export", watched)
    return seen


def _without_end(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65536)


def test_a_collector_that_hangs_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the library waits for each export in turn, and for as long as bytes keep coming."""
    monkeypatch.setattr(otlp, "_CLOSE_SECS", 0.1)
    released = threading.Event()

    def answer(_: socket.socket) -> None:
        released.wait(FOR_GOOD)

    with _collector(answer) as endpoint:
        tracer = _tracer(endpoint)
        _attempted(tracer)
        closing = threading.Thread(target=tracer.close, daemon=True)
        closing.start()
        closing.join(4.0)  # a single export has 5 seconds
        assert not closing.is_alive()
        released.set()
    for thread in threading.enumerate():  # else it would tell the next test what it lost
        if thread.name == "last spans":
            thread.join(FOR_GOOD)


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (_without_end, SpanExportResult.SUCCESS),
        (
            lambda one: one.sendall(b"HTTP/1.1 301 Gone\r\nLocation: http://[::1]:1/\r\n\r\n"),
            SpanExportResult.FAILURE,
        ),
    ],
    ids=["a body without end", "a redirect"],
)
def test_an_answer_is_read_no_further_than_its_head(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[socket.socket], None], result: SpanExportResult
) -> None:
    """What takes a redirect for success would lose all spans, and nobody would know."""
    seen = _exported(monkeypatch)
    with _collector(answer) as endpoint:
        tracer = _tracer(endpoint)
        _attempted(tracer)
        tracer.close()
        assert [one for one, _ in seen] == [result]


def test_rubbish_from_a_collector_shows_nothing_of_the_endpoint(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Libraries would log its address, and a key may be in that."""
    seen = _exported(monkeypatch)
    rubbish = b"HTTP/1.1 200 OK\r\nthis is rubbish\r\n\x00\xff\r\n\r\n"

    def answer(connection: socket.socket) -> None:
        connection.sendall(rubbish)
        connection.close()

    with caplog.at_level(logging.WARNING), _collector(answer) as endpoint:
        tracer = _tracer(endpoint)
        _attempted(tracer)
        tracer.close()
    assert len(seen) == 1
    assert "a-key" not in caplog.text


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            lambda one: one.sendall(b"HTTP/1.1 403 No\r\n\r\na-key is wrong"),
            "the collector answered with status 403",
        ),
        (
            lambda one: one.sendall(b"HTTP/1.1 503 No\r\n\r\n"),
            "the collector answered with status 503",
        ),
        (
            lambda one: one.sendall(b"HTTP/1.1 308 No\r\nLocation: http://[::1]:1/a-key\r\n\r\n"),
            "the collector redirects, with status 308",
        ),
        (lambda _: threading.Event().wait(FOR_GOOD), "the collector did not answer in time"),
        (lambda one: one.close(), "the collector closed the connection without an answer"),
    ],
    ids=["refused", "overloaded", "redirected", "silent", "hung up"],
)
def test_why_spans_are_lost_is_said(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[socket.socket], None], reason: str
) -> None:
    """Once, and with nothing of the address or of what the collector wrote."""
    with _collector(answer) as endpoint:
        assert _reasons(monkeypatch, endpoint) == [reason]


def test_a_collector_that_is_not_there_is_said_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """And one without an address has none."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert _reasons(monkeypatch, f"http://127.0.0.1:{port}/a-key") == ["Connection refused"]
    assert _reasons(monkeypatch, "http://nowhere.invalid/a-key") == ["the host name does not resolve"]


def test_a_collector_whose_certificate_nobody_knows_is_said_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The reason is that of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Certificates.made_in(tmp_path).server)

    def answer(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True):
            pass

    with _collector(answer, reads_first=False) as endpoint:
        (reason,) = _reasons(monkeypatch, endpoint.replace("http:", "https:"), within_secs=3.0)
    assert reason.startswith("TLS: ")


def _reasons(monkeypatch: pytest.MonkeyPatch, endpoint: str, *, within_secs: float = 0.5) -> list[str]:
    """Why spans were lost, as the log has it, of two attempts."""
    monkeypatch.setattr(otlp, "_EXPORT_SECS", within_secs)
    monkeypatch.setattr(otlp, "_CLOSE_SECS", FOR_GOOD)
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1")
    with capture_logs() as logs:
        tracer = _tracer(endpoint)
        _attempted(tracer)
        _attempted(tracer)
        tracer.close()
    return [line["reason"] for line in logs if line["event"] == "traces_not_exported"]


def test_no_span_says_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reason may be the text of a plugin's library."""
    seen = _exported(monkeypatch)
    with _collector(lambda one: one.sendall(b"HTTP/1.1 400 No\r\n\r\n")) as endpoint:
        tracer = _tracer(endpoint)
        _attempted(tracer, Retry(Fault.UNAVAILABLE, "amqp://me:secret@host is away", kind=Failure.NETWORK))
        tracer.close()
    ((_, (span,)),) = seen
    assert span.status.description == "amqp://me:***@host is away"


def test_the_librarys_switch_turns_traces_off_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its spans have no id then."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    tracer = _tracer("http://127.0.0.1:9/v1/traces")
    with tracer.attempt(WHOSE, []) as span:
        assert tracing.current_traceparent() is None
        span.ended([])
    tracer.close()


def test_a_wrong_variable_of_the_library_is_a_mistake_of_the_configuration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And no traceback."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "0")
    config = load_text(SMALLEST + "tracing: {endpoint: 'http://127.0.0.1:9/v1/traces'}\n", tmp_path)
    with pytest.raises(ConfigurationError, match="OTEL_"), traced(config):
        pass
