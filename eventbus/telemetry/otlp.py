"""Spans by OpenTelemetry, exported by OTLP over HTTP in a thread of its own, which holds up no delivery.

What the collector does not take is lost, and counted. Imported where traces are configured, for the libraries
are an extra.

https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
"""

from __future__ import annotations

import logging
import os
import socket
import ssl
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from requests import RequestException, Session, Timeout

from eventbus import __version__
from eventbus.model import Delivered, Event, Message, Outcome, Rejected, Retry
from eventbus.telemetry import metrics, tracing
from eventbus.telemetry.redaction import redact

__all__ = ["OtlpTracer"]

_MOST_LINKS: Final = 128
_EXPORT_SECS: Final = 5
_CLOSE_SECS: Final = 2.0

log = structlog.get_logger("eventbus.tracing")


class OtlpTracer:
    """Makes a span of each attempt.

    Args:
        endpoint: Where they go.
        headers: Headers of each export.
        sample_ratio: The share of attempts that are traced, where no event decides.
        service_name: What the daemon is called.
        instance: Which of the daemons it is.
        trace_of: The trace that an event belongs to; None if none does.

    Raises:
        ValueError: A variable of the library has a value that it does not take.
    """

    def __init__(
        self,
        endpoint: str,
        headers: Mapping[str, str],
        *,
        sample_ratio: float,
        service_name: str,
        instance: str,
        trace_of: Callable[[Event], str | None] | None,
    ) -> None:
        for library in ("opentelemetry", "urllib3"):  # what they say we say, once and without the endpoint
            logging.getLogger(library).setLevel(logging.CRITICAL)
        named = {
            "service.name": service_name,
            "service.version": __version__,
            "service.instance.id": instance,
        }
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(sample_ratio)),
            resource=Resource.create(named),
            shutdown_on_exit=False,
        )
        session = _Unread()
        exporter = OTLPSpanExporter(
            endpoint=endpoint, headers=dict(headers), timeout=_EXPORT_SECS, session=session
        )
        self._processor = BatchSpanProcessor(_Watched(exporter, session))
        self._provider.add_span_processor(self._processor)
        self._tracer = self._provider.get_tracer("eventbus", __version__)
        self._trace_of = trace_of
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def attempt(self, whose: tracing.Attempted, messages: Sequence[Message]) -> Iterator[tracing.Span]:
        """See `eventbus.telemetry.tracing.Tracer`.

        The trace of an event that is alone goes on in the attempt; those of several are linked.
        """
        contexts = self._contexts(messages)
        alone = contexts[0] if len(messages) == 1 and contexts else None
        span = self._tracer.start_span(
            f"send {whose.sink}",
            context=alone[0] if alone else Context(),
            kind=SpanKind.PRODUCER,
            attributes={
                "messaging.operation.name": "send",
                "messaging.operation.type": "send",
                "messaging.destination.name": whose.sink,
                "messaging.batch.message_count": len(messages),
                "eventbus.subscription": whose.subscription,
                "eventbus.route": whose.route,
                "eventbus.retry": max((message.traced for message in messages), default=0),
                **({"messaging.message.id": messages[0].event.id} if len(messages) == 1 else {}),
            },
            links=[] if alone else [Link(context) for _, context in contexts[:_MOST_LINKS]],
        )
        for message in messages:
            message.traced += 1
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, set_span_in_context(span, Context()))
        try:
            with tracing.entered(carrier.get("traceparent")):  # none if OTEL_SDK_DISABLED is set
                yield _Attempt(span)
        finally:
            span.end()

    def close(self) -> None:
        """Export what there is, in bounded time. It blocks.

        The library's own bounds are none: one is passed over, and the other is that of a single export.
        """
        ending = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        ending.start()
        ending.join(_CLOSE_SECS)

    def _contexts(self, messages: Sequence[Message]) -> list[tuple[Context, SpanContext]]:
        """The traces of the events that have one, each once."""
        if self._trace_of is None:
            return []
        found = dict.fromkeys(filter(None, map(self._trace_of, (message.event for message in messages))))
        contexts = [self._propagator.extract({"traceparent": one}, Context()) for one in found]
        return [(context, get_current_span(context).get_span_context()) for context in contexts]


class _Attempt:
    """One attempt's span."""

    def __init__(self, span: OtelSpan) -> None:
        self._span = span

    def ended(self, outcomes: Sequence[Outcome]) -> None:
        """See `eventbus.telemetry.tracing.Span`."""
        delivered = sum(isinstance(one, Delivered) for one in outcomes)
        self._span.set_attribute("eventbus.delivered", delivered)
        others = [one for one in outcomes if isinstance(one, Rejected | Retry)]
        if not others:
            return
        self._span.set_attribute("eventbus.rejected", sum(isinstance(one, Rejected) for one in others))
        self._span.set_attribute("eventbus.to_retry", sum(isinstance(one, Retry) for one in others))
        self._span.set_attribute("error.type", others[0].kind.value)
        self._span.set_status(Status(StatusCode.ERROR, redact(others[0].reason)))


class _Unread(Session):
    """Takes no more of an answer than its head: a collector's body may have no end. A redirect is none."""

    failure = ""
    """Why the last request failed, for people; empty if it did not. It has nothing of the endpoint."""

    def request(self, *args: Any, **kwargs: Any) -> Any:
        """See the library."""
        try:
            response = super().request(*args, **{**kwargs, "stream": True})
        except Exception as error:
            self.failure = _why(error)
            raise
        response.close()
        self.failure = f"the collector answered with status {response.status_code}" * (not response.ok)
        if 300 <= response.status_code < 400:
            self.failure = f"the collector redirects, with status {response.status_code}"
            raise RequestException("the collector is elsewhere")
        response._content = b""  # noqa: SLF001 - or whoever asks for it would read on
        return response

    def resolve_redirects(self, *_args: Any, **_kwargs: Any) -> Generator[Any, None, None]:
        """See the library, which would read the body."""
        yield from ()


def _why(error: BaseException) -> str:
    """Why there is no answer, in the words of the system: those of the libraries have the endpoint."""
    known = filter(None, map(_known, _causes(error)))
    return next(known, f"the collector cannot be asked: {type(error).__name__}")


def _known(cause: BaseException) -> str:
    match cause:
        case socket.gaierror():
            return "the host name does not resolve"
        case ssl.SSLError():
            return f"TLS: {getattr(cause, 'verify_message', None) or cause.reason or 'handshake failed'}"
        case Timeout() | TimeoutError():
            return "the collector did not answer in time"
        case OSError(errno=int(number)):
            return os.strerror(number)
        case ConnectionError():
            return "the collector closed the connection without an answer"
        case _:
            return ""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


class _Watched(SpanExporter):
    """Counts what an exporter is given, and says when it cannot get through and when it can again.

    Args:
        exporter: The exporter.
        session: Makes its requests.
    """

    def __init__(self, exporter: SpanExporter, session: _Unread) -> None:
        self._exporter = exporter
        self._session = session
        self._fails = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """See the library. It is called in its thread."""
        self._session.failure = ""
        try:
            result = self._exporter.export(spans)
        except Exception:  # noqa: BLE001 - the library's; the spans are lost either way
            result = SpanExportResult.FAILURE
        ok = result is SpanExportResult.SUCCESS
        metrics.spans_exported(len(spans), ok=ok)
        if not ok and not self._fails:
            log.warning("traces_not_exported", reason=self._session.failure or "not sent at all")
        elif ok and self._fails:
            log.info("traces_exported_again")
        self._fails = not ok
        return result

    def shutdown(self) -> None:
        """See the library."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """See the library."""
        return self._exporter.force_flush(timeout_millis)
