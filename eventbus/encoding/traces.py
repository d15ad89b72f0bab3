"""The trace that an event belongs to, as whoever wrote the document left it there.

https://www.w3.org/TR/trace-context/#traceparent-header
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/extensions/distributed-tracing.md
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeAlias

from eventbus.encoding.keys import KeyTemplate
from eventbus.model import Event

__all__ = ["TraceOf", "trace_of"]

TraceOf: TypeAlias = Callable[[Event], str | None]
"""The ``traceparent`` of an event; None if it has none, or one that is none."""

_TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def trace_of(template: str) -> TraceOf:
    """Reads it where a template says, such as ``{document.traceparent}``."""
    written = KeyTemplate(template)

    def found(event: Event) -> str | None:
        text = written.render(event)
        return text if text is not None and _TRACEPARENT.fullmatch(text) else None

    return found
