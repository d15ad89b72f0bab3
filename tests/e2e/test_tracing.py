"""Traces: a span for each attempt, in the trace of the document; the collector may be away."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from pymongo import MongoClient

from eventbus.devservices import MongoService
from tests.e2e.daemon import DaemonProcess
from tests.e2e.serving import serving

pytestmark = pytest.mark.services

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
KEY = "a-key-of-the-collector"
OFTEN = {"OTEL_BSP_SCHEDULE_DELAY": "200"}


class Both(ThreadingHTTPServer):
    """A receiver of events, which fails once with each, and a collector of spans."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[str, Any]] = []
        self.spans: list[Span] = []
        self.keys: set[str | None] = set()
        self.resources: dict[str, str] = {}
        self.collects = True

    def url(self, path: str) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.server_port}{path}"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Both)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = 200
        if self.path == "/v1/traces":
            status = self._collect(server, body)
        else:
            event = json.loads(body)
            is_new = event["id"] not in {known["id"] for _, known in server.requests}
            server.requests.append((self.headers["traceparent"], event))
            status = 503 if is_new else 200
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _collect(self, server: Both, body: bytes) -> int:
        server.keys.add(self.headers["X-Key"])
        if not server.collects:
            return 400
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            server.resources = {one.key: one.value.string_value for one in resource.resource.attributes}
            for scope in resource.scope_spans:
                server.spans += scope.spans
        return 200

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        return


@contextmanager
def _both() -> Iterator[Both]:
    with serving(Both()) as server:
        yield server


def _config(mongo: MongoService, database: str, directory: Path, both: Both) -> dict[str, Any]:
    return {
        "mongodb": {"uri": mongo.uri},
        "state": {"type": "sqlite", "path": str(directory / "state.db")},
        "daemon": {"instance": "here"},
        "tracing": {
            "endpoint": both.url("/v1/traces"),
            "headers": {"X-Key": KEY},
            "traceparent": "{document.trace}",
        },
        "defaults": {"retry": {"initial_delay": "5ms", "max_delay": "10ms"}},
        "sinks": {"hook": {"type": "webhook", "url": both.url("/events")}},
        "subscriptions": {"orders": {"source": {"database": database}, "routes": ["hook"]}},
    }


def _attributes(span: Span) -> Mapping[str, Any]:
    values = ((one.key, one.value) for one in span.attributes)
    return {key: value.string_value or value.int_value for key, value in values}


def _of(both: Both, event_id: str) -> list[Span]:
    """The spans of an event, in order."""
    found = [span for span in both.spans if _attributes(span)["messaging.message.id"] == event_id]
    return sorted(found, key=lambda span: span.start_time_unix_nano)


def test_each_attempt_is_a_span_in_the_documents_trace(
    mongo: MongoService, fresh_database: str, tmp_path: Path
) -> None:
    """The first attempt fails, the second does not; the receiver is sent the attempt's place in the trace."""
    with _both() as both, MongoClient[dict[str, Any]](mongo.uri) as client:
        daemon = DaemonProcess(tmp_path, _config(mongo, fresh_database, tmp_path, both), OFTEN)
        with daemon.start():
            orders = client[fresh_database].orders
            orders.insert_many([{"_id": 1, "trace": f"00-{TRACE}-{PARENT}-01"}, {"_id": 2, "trace": "none"}])
            daemon.wait_for(lambda: len(both.requests) == 4, "two tries of two events")
            assert daemon.terminate() == 0
        by_id: dict[int, list[tuple[str, Any]]] = {1: [], 2: []}
        for trace, event in both.requests:
            by_id[event["data"]["document_key"]["_id"]].append((trace, event))
        spans = {number: _of(both, events[0][1]["id"]) for number, events in by_id.items()}
        first, second = spans[1]
        assert {span.trace_id.hex() for span in (first, second)} == {TRACE}
        assert {span.parent_span_id.hex() for span in (first, second)} == {PARENT}
        sent = [trace for trace, _ in by_id[1]]
        assert sent == [f"00-{TRACE}-{span.span_id.hex()}-01" for span in (first, second)]
        assert [event["traceparent"] for _, event in by_id[1]] == [f"00-{TRACE}-{PARENT}-01"] * 2
        assert (first.name, first.kind) == ("send hook", Span.SPAN_KIND_PRODUCER)
        shown = {
            "eventbus.subscription": "orders",
            "eventbus.route": "hook",
            "messaging.batch.message_count": 1,
        }
        assert _attributes(first).items() >= {**shown, "eventbus.retry": 0, "error.type": "server"}.items()
        assert _attributes(second).items() >= {**shown, "eventbus.retry": 1, "eventbus.delivered": 1}.items()
        assert first.status.code == Status.STATUS_CODE_ERROR
        assert second.status.code == Status.STATUS_CODE_UNSET
        assert {span.parent_span_id for span in spans[2]} == {b""}
        assert all("traceparent" not in event for _, event in by_id[2])
        assert both.resources.items() >= {"service.name": "eventbus", "service.instance.id": "here"}.items()
        assert both.keys == {KEY}
        assert KEY not in daemon.log()


def test_a_collector_that_takes_nothing_disturbs_nothing(
    mongo: MongoService, fresh_database: str, tmp_path: Path
) -> None:
    """Events arrive; the lost spans are counted, and said once."""
    with _both() as both, MongoClient[dict[str, Any]](mongo.uri) as client:
        both.collects = False
        daemon = DaemonProcess(tmp_path, _config(mongo, fresh_database, tmp_path, both), OFTEN)
        lost = 'eventbus_spans_exported_total{result="failed"}'
        with daemon.start():
            for number in range(2):
                client[fresh_database].orders.insert_one({"_id": number})
                daemon.wait_for(
                    lambda wanted=2 * number + 2: (
                        len(both.requests) >= wanted
                        and f"{lost} {float(wanted)}" in daemon.get("/metrics")[1]
                    ),
                    "tries, and their lost spans",
                )
            assert daemon.terminate() == 0
        (said,) = daemon.events("traces_not_exported")
        assert said["reason"] == "the collector answered with status 400"


def test_without_the_extra_the_daemon_says_what_to_install(
    mongo: MongoService, fresh_database: str, tmp_path: Path
) -> None:
    """Before anything runs; the library is made to be missing, since the tests need it."""
    hidden = tmp_path / "opentelemetry"
    hidden.mkdir()
    (hidden / "__init__.py").touch()
    with _both() as both:
        config = _config(mongo, fresh_database, tmp_path, both)
        with DaemonProcess(tmp_path, config, {"PYTHONPATH": str(tmp_path)}) as daemon:
            assert daemon.start(wait=False).wait() == 2
            assert daemon.log() == "tracing needs the extra otel: pip install 'eventbus[otel]'\n"
