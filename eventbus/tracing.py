"""What a configuration says of traces, put to work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from eventbus.config import Config
from eventbus.encoding.traces import TraceOf, trace_of
from eventbus.errors import ConfigurationError
from eventbus.telemetry.tracing import at_work

__all__ = ["trace_of_events", "traced"]


@contextmanager
def traced(config: Config) -> Iterator[None]:
    """Attempts are traced while the body runs, if they are to be; what is left is exported at its end.

    Raises:
        ConfigurationError: They are to be, and the libraries are not installed, or refuse their variables.
    """
    tracing = config.tracing
    if tracing is None:
        yield
        return
    try:
        from eventbus.telemetry.otlp import OtlpTracer  # noqa: PLC0415 - its libraries are an extra
    except ImportError:
        raise ConfigurationError("tracing needs the extra otel: pip install 'eventbus[otel]'") from None

    try:
        tracer = OtlpTracer(
            tracing.endpoint.get_secret_value(),
            {name: value.get_secret_value() for name, value in tracing.headers.items()},
            sample_ratio=tracing.sample_ratio,
            service_name=tracing.service_name,
            instance=config.daemon.instance,
            trace_of=trace_of_events(config),
        )
    except ValueError as error:
        raise ConfigurationError(f"tracing: a variable OTEL_... has a wrong value: {error}") from None
    try:
        with at_work(tracer):
            yield
    finally:
        tracer.close()


def trace_of_events(config: Config) -> TraceOf | None:
    """The trace that an event belongs to, where documents say so."""
    tracing = config.tracing
    return trace_of(tracing.traceparent) if tracing is not None and tracing.traceparent else None
