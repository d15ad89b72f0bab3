"""Keys by template, such as ``product:{document_key._id}``: text with values of an event in braces.

Unlike the names of streams, keys are made of what is in the documents, which may be missing there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, NamedTuple

import bson
from bson.errors import BSONError
from pydantic import AfterValidator

from eventbus.canonical import canonical_value
from eventbus.encoding.template import checked_by, fields_of
from eventbus.errors import EncodingError
from eventbus.model import Event, Section

__all__ = ["KeyTemplate", "KeyText"]

_SECTIONS: Final = ("document_key", "document", "before", "changed", "meta")
_NAMES: Final = ("database", "collection", "operation", "event_id")
_KNOWN: Final = ", ".join((*_NAMES, *(f"{section}.<path>" for section in _SECTIONS)))


class KeyTemplate:
    """A parsed text.

    Args:
        text: What the user wrote.
        clean: Applied to each value before it is put in.

    Raises:
        ValueError: The text has a name that no event has, or braces that do not match.
    """

    def __init__(self, text: str, clean: Callable[[str], str] = str) -> None:
        self.text = text
        self._parts = _parse(text)
        self._clean = clean

    def render(self, event: Event) -> str | None:
        """The key for one event; None if a value of it is null or missing there.

        Raises:
            EncodingError: A document of the event cannot be read.
        """
        pieces = []
        for literal, path in self._parts:
            pieces.append(literal)
            if path:
                text = _text(_value(event, path))
                if text is None:
                    return None
                pieces.append(self._clean(text))
        return "".join(pieces)


class _Part(NamedTuple):
    literal: str
    path: tuple[str, ...]


def _parse(text: str) -> list[_Part]:
    fields = fields_of(text, _is_known, _KNOWN)
    return [_Part(literal, tuple(name.split(".")) if name is not None else ()) for literal, name in fields]


def _is_known(name: str) -> bool:
    first, *rest = name.split(".")
    return bool((first in _NAMES and not rest) or (first in _SECTIONS and rest and all(rest)))


def _value(event: Event, path: tuple[str, ...]) -> Any:
    first, *rest = path
    if not rest:
        return event.id if first == "event_id" else getattr(event, first)
    value: Any = _section(event, first)
    if first == "changed" and value and ".".join(rest) in value:
        return value[".".join(rest)]  # its paths are written with dots
    for name in rest:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def _section(event: Event, name: str) -> Mapping[str, Any] | None:
    section: Section = event.attributes if name == "meta" else getattr(event, name)
    if not isinstance(section, bytes):
        return section
    try:
        return bson.decode(section, _DECODING)
    except BSONError as error:
        raise EncodingError(f"{name}: not valid BSON: {error}") from error


_DECODING: Final = bson.CodecOptions[dict[str, Any]](
    document_class=dict, tz_aware=True, datetime_conversion=bson.DatetimeConversion.DATETIME_MS
)


def _text(value: Any) -> str | None:
    """A value as people write it: text as it is, ObjectId and UUID in digits, else as canonical JSON."""
    match value:
        case None | "":
            return None
        case str():
            return value
        case bson.ObjectId():
            return str(value)
        case bson.Binary(subtype=4) if len(value) == 16:
            return str(value.as_uuid())
        case _:
            return canonical_value(value).decode()


KeyText = Annotated[str, AfterValidator(checked_by(_parse))]
"""A template of a key in the options of a sink."""
