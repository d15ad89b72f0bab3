"""An event as people read it. No control sequence of a terminal is left in it, whatever the event holds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson

from eventbus.cli.printing import printable
from eventbus.encoding.json import relaxed_json
from eventbus.model import Event, Section

__all__ = ["event_text"]

_SECTIONS = ("document", "before", "changed")


def event_text(event: Event) -> str:
    """A line that names it, and below it what it holds.

    Raises:
        EncodingError: A document has no form in JSON.
    """
    return "\n".join(printable(line) for line in _lines(event))


def _lines(event: Event) -> Iterator[str]:
    at = datetime.fromtimestamp(event.time_ms / 1000, UTC).isoformat(timespec="milliseconds")
    key = "" if event.document_key is None else f" {_one_line(event.document_key)}"
    place = f"{event.database}.{event.collection}".rstrip(".")
    yield f"{at} {event.operation} {place}{key} ({event.id})"
    for name in _SECTIONS:
        section: Section = getattr(event, name)
        if section is not None:
            yield from _indented(name, orjson.loads(relaxed_json(section)))
    if event.removed:
        yield from _indented("removed", list(event.removed))
    if event.attributes:
        yield from _indented("attributes", orjson.loads(relaxed_json(event.attributes)))


def _one_line(section: Section) -> str:
    return relaxed_json(section).decode()


def _indented(name: str, value: Any) -> Iterator[str]:
    first, *rest = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode().split("\n")
    yield f"  {name}: {first}"
    for line in rest:
        yield f"  {line}"
