"""Text with the names of an event in braces, such as ``shop.{collection}``: topics, streams, paths.

Checked when the configuration is read, so that nothing about it can fail when an event comes.
"""

from __future__ import annotations

from collections.abc import Callable
from string import Formatter
from typing import Annotated, Final, NamedTuple

from pydantic import AfterValidator

from eventbus.model import Event

__all__ = ["Template", "TemplateText", "checked_by", "fields_of"]

_NAMES: Final = ("collection", "database", "operation")
_MOST_RESULTS: Final = 4096


class Template:
    """A parsed text.

    Args:
        text: What the user wrote.
        clean: Applied to each value before it is put in, for targets that do not take every character.

    Raises:
        ValueError: The text has a name that no event has, or braces that do not match.
    """

    def __init__(self, text: str, clean: Callable[[str], str] = str) -> None:
        self._parts = _parse(text)
        self._clean = clean
        self._results: dict[tuple[str, str, str], str] = {}

    @property
    def literals(self) -> str:
        """All that does not come from events."""
        return "".join(part.literal for part in self._parts)

    @property
    def is_constant(self) -> bool:
        """Whether it is the same for all events."""
        return not any(part.name for part in self._parts)

    def render(self, event: Event) -> str:
        """The text for one event."""
        kind = (event.operation, event.database, event.collection)
        result = self._results.get(kind)
        if result is None:
            if len(self._results) >= _MOST_RESULTS:  # a cluster's collections are not bounded
                self._results.clear()
            result = self._results[kind] = "".join(
                part.literal + (self._clean(getattr(event, part.name)) if part.name else "")
                for part in self._parts
            )
        return result


class _Part(NamedTuple):
    literal: str
    name: str | None


def fields_of(text: str, known: Callable[[str], bool], names: str) -> list[tuple[str, str | None]]:
    """The literals of a text, each with the name in braces behind it, or None.

    Args:
        text: What the user wrote.
        known: Whether there is such a name.
        names: Those that there are, for people.

    Raises:
        ValueError: A name is unknown, or braces do not match.
    """
    try:
        parsed = list(Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"{error}; write {{{{ and }}}} for braces") from None
    for _, name, form, conversion in parsed:
        if name is not None and (not known(name) or form or conversion):
            raise ValueError(f"unknown name {{{name}}}; known are {names}")
    return [(literal, name) for literal, name, _, _ in parsed]


def checked_by(parse: Callable[[str], object]) -> Callable[[str], str]:
    """A check of texts in the options of a sink: they are not empty, and can be parsed."""

    def checked(text: str) -> str:
        if not text:
            raise ValueError("must not be empty")
        parse(text)
        return text

    return checked


def _parse(text: str) -> list[_Part]:
    fields = fields_of(text, _NAMES.__contains__, ", ".join(_NAMES))
    return [_Part(literal, name) for literal, name in fields]


TemplateText = Annotated[str, AfterValidator(checked_by(_parse))]
"""A template in the options of a sink."""
