"""Bodies that users lay out themselves: a tree of YAML whose texts name parts of the event in braces.

A text that is one name and nothing else becomes the value itself, with its type; in a longer text values
stand as text. Either way the result is JSON that was written by a JSON writer: whatever a document holds, it
stays a value in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from string import Formatter
from typing import Any, Final, TypeAlias

import orjson

from eventbus.encoding.cloudevents import SectionWriter
from eventbus.encoding.json import decoded
from eventbus.encoding.plain import plain_json
from eventbus.model import Event, Section
from eventbus.suggestions import did_you_mean, listed

__all__ = ["body_template", "checked_body"]

_SECTIONS: Final = ("before", "changed", "document", "document_key", "meta")
_NAMES: Final = (
    *("cluster_time", "collection", "database", "event_id", "operation", "removed"),
    *("service", "subscription", "time_ms"),
    *_SECTIONS,
)

_Parts: TypeAlias = Callable[["_Values"], Any]


def checked_body(body: Any) -> Any:
    """The same layout.

    Raises:
        ValueError: A text in it has a name that no event has, or braces that do not match.
    """
    _compiled(body)
    return body


def body_template(
    body: Any, write: SectionWriter, *, subscription: str, service: str | None
) -> Callable[[Event], bytes]:
    """Writes bodies of this layout.

    Args:
        body: What the user wrote.
        write: The JSON mode of the values.
        subscription: What the name stands for.
        service: What the name stands for.
    """
    layout = _compiled(body)
    constants = {"subscription": subscription, "service": service}

    def written(event: Event) -> bytes:
        tree = layout(_Values(event, constants))
        return write({"v": tree})[len(b'{"v":') : -len(b"}")]

    return written


class _Values:
    """What the names stand for, in one event; each document is decoded once at most."""

    def __init__(self, event: Event, constants: Mapping[str, str | None]) -> None:
        self._event = event
        self._constants = constants
        self._sections: dict[str, Any] = {}

    def at(self, path: Sequence[str]) -> Any:
        """The value at a path; None if there is none."""
        value = self._named(path[0])
        for name in path[1:]:
            if isinstance(value, Mapping):
                value = value.get(name)
            elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
                value = value[int(name)]
            else:
                return None
        return value

    def _named(self, name: str) -> Any:
        event = self._event
        if name in _SECTIONS:
            if name not in self._sections:
                self._sections[name] = _of(event.attributes if name == "meta" else getattr(event, name))
            return self._sections[name]
        match name:
            case "event_id":
                return event.id
            case "removed":
                return list(event.removed)
            case "cluster_time":
                return ".".join(map(str, event.cluster_time)) if event.cluster_time else None
            case "subscription" | "service":
                return self._constants[name]
            case _:
                return getattr(event, name)


def _of(section: Section) -> Mapping[str, Any] | None:
    return decoded(section) if isinstance(section, bytes) else section


def _compiled(body: Any) -> _Parts:
    match body:
        case str():
            return _text(body)
        case Mapping():
            parts = {key: _compiled(value) for key, value in body.items()}
            return lambda values: {key: part(values) for key, part in parts.items()}
        case list() | tuple():
            items = [_compiled(value) for value in body]
            return lambda values: [item(values) for item in items]
        case _:
            return lambda _: body


def _text(text: str) -> _Parts:
    parsed = _parsed(text)
    if len(parsed) == 1 and not parsed[0][0] and parsed[0][1] is not None:
        path = parsed[0][1]
        return lambda values: values.at(path)
    return lambda values: "".join(
        literal + (_as_text(values.at(path)) if path is not None else "") for literal, path in parsed
    )


def _parsed(text: str) -> list[tuple[str, list[str] | None]]:
    """Literal texts, and the path that follows each."""
    try:
        parsed = list(Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"{error}; write {{{{ and }}}} for braces") from None
    for _, name, form, conversion in parsed:
        if name is not None and (name.split(".")[0] not in _NAMES or form or conversion):
            guess = did_you_mean(name.split(".")[0], _NAMES)
            raise ValueError(f"unknown name {{{name}}}{guess} (known: {listed(_NAMES)})")
    return [(literal, name.split(".") if name is not None else None) for literal, name, _, _ in parsed]


def _as_text(value: Any) -> str:
    """Text as it is, nothing for nothing, all else as plain JSON has it."""
    if value is None or isinstance(value, str):
        return value or ""
    plain = orjson.loads(plain_json({"v": value}))["v"]
    return plain if isinstance(plain, str) else orjson.dumps(plain).decode()
