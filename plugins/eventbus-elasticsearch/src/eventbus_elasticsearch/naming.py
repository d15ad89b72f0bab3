"""Names of indices: what a user may write, and what becomes of an event's values in them. No I/O.

https://www.elastic.co/guide/en/elasticsearch/reference/current/indices-create-index.html#indices-create-api-path-params
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from eventbus.sdk import Event, KeyTemplate

__all__ = ["IndexName", "checked_index", "has_date"]

_FORBIDDEN: Final = re.compile(r'[\\/*?"<>| ,#:\x00-\x1f]')
_CODE: Final = re.compile(r"%(.?)", re.DOTALL)
_CODES: Final = "YmdHjGV%"
_IN_BRACES: Final = re.compile(r"\{[^{}]*\}")
_MOST_BYTES: Final = 255


class IndexName:
    """Gives the index of an event.

    Args:
        text: What the user wrote.
    """

    def __init__(self, text: str) -> None:
        self._has_codes = "%" in text
        self._template = KeyTemplate(text, _among_codes if self._has_codes else _as_part)
        self.constant = text if not self._has_codes and "{" not in text else None
        """The name, where it is the same for all events."""

    def of(self, event: Event) -> str | None:
        """The name; None if a value of it is null or missing.

        Raises:
            ValueError: The event's values make a name that no index can have.
            EncodingError: A document of the event cannot be read.
        """
        name = self._template.render(event)
        if name is None:
            return None
        if self._has_codes:
            time = datetime.fromtimestamp(event.time_ms / 1000, UTC)
            name = _CODE.sub(lambda code: time.strftime(code[0]), name)
        if name.startswith(("-", "_", "+")) or name in {".", ".."} or len(name.encode()) > _MOST_BYTES:
            raise ValueError("the event's values make a name that no index can have: see `index`")
        return name


def checked_index(text: str) -> str:
    """A name that can be one of an index, wherever it does not come from events."""
    literal = _IN_BRACES.sub("", text)
    for code in _CODE.findall(literal):
        if not code or code not in _CODES:
            raise ValueError(f"unknown date code %{code}; known are %Y %m %d %H %j %G %V, and %% for a sign")
    literal = _CODE.sub("", literal)
    if literal != literal.lower() or _FORBIDDEN.search(literal):
        raise ValueError('must be in lower case, without spaces, commas and any of \\ / * ? " < > | # :')
    if text.startswith(("-", "_", "+")):
        raise ValueError("must not begin with - _ or +")
    return text


def has_date(text: str) -> bool:
    """Whether a name depends on when the change was."""
    return any(code != "%" for code in _CODE.findall(_IN_BRACES.sub("", text)))


def _as_part(value: str) -> str:
    """A value as a part of a name: in lower case, and what no name may hold becomes an underscore."""
    return _FORBIDDEN.sub("_", value.lower())


def _among_codes(value: str) -> str:
    return _as_part(value).replace("%", "%%")
