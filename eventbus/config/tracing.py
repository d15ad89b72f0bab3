"""The section about traces: where they go, of how many attempts, and where an event's own trace stands."""

from __future__ import annotations

from typing import Annotated, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from eventbus.config.section import Section
from eventbus.encoding.keys import KeyText

__all__ = ["TracingSection"]

_Text: TypeAlias = Annotated[str, Field(min_length=1)]
_HeaderName: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")]


def _checked_endpoint(endpoint: SecretStr) -> SecretStr:
    try:
        address = urlsplit(endpoint.get_secret_value())
        is_one = address.scheme in {"http", "https"} and bool(address.hostname) and address.port != 0
    except ValueError:
        is_one = False
    if not is_one:
        raise ValueError("expected an address such as http://collector:4318/v1/traces")
    return endpoint


class TracingSection(Section):
    """Traces by OpenTelemetry: a span for each attempt to deliver."""

    endpoint: Annotated[SecretStr, AfterValidator(_checked_endpoint)]
    """Where spans go, by OTLP over HTTP, such as http://collector:4318/v1/traces."""
    headers: dict[_HeaderName, SecretStr] = Field(default_factory=dict)
    """Headers of each export, such as a key."""
    sample_ratio: Annotated[float, Field(ge=0, le=1)] = 1.0
    """The share of attempts that are traced, where no event says so itself."""
    service_name: _Text = "eventbus"
    """What the daemon is called in traces."""
    traceparent: KeyText | None = None
    """Where an event's own trace stands, such as {document.traceparent}: it goes on with the event."""
