"""Where a route begins, as people write it: a word, a time, or a resume token."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

__all__ = ["START_SCHEMA", "WORDS", "checked_default_start", "checked_start", "start_time", "unwrapped_start"]

WORDS: Final = ("now", "oldest", "subscription")
_OF_ONE_ROUTE: Final = "subscription"
_TOKEN: Final = re.compile(r"82[0-9A-F]{16,}")
_FORMS: Final = "a time such as 2026-01-31T12:00Z or a resume token"

START_SCHEMA: Final[dict[str, Any]] = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "patternProperties": {"^(timestamp|token)$": {"type": "string"}},
            "additionalProperties": False,
        },
    ],
    "examples": ["now", "oldest", "2026-01-31T12:00Z", {"timestamp": "2026-01-31T12:00Z"}],
}


def unwrapped_start(written: Any) -> Any:
    """The text of a start; one that is written as a mapping says by its key what its text must be.

    Raises:
        ValueError: It is a mapping of another shape.
    """
    match written:
        case {"timestamp": str() as text} if len(written) == 1:
            if text not in WORDS and not _TOKEN.fullmatch(text):
                return text
        case {"token": str() as text} if len(written) == 1:
            if _TOKEN.fullmatch(text):
                return text
        case dict():
            pass
        case _:
            return written
    raise ValueError("expected {timestamp: 2026-01-31T12:00Z} or {token: 82…}")


def checked_start(text: str) -> str:
    """The text, if it says where a route may begin.

    Raises:
        ValueError: It does not.
    """
    return _checked(text, WORDS)


def checked_default_start(text: str) -> str:
    """The text, if it says where all routes of a subscription may begin.

    Raises:
        ValueError: It does not.
    """
    return _checked(text, tuple(word for word in WORDS if word != _OF_ONE_ROUTE))


def start_time(text: str) -> int | None:
    """Seconds since 1970 of a time; None if the text is a word or a token.

    Raises:
        ValueError: It is none of these.
    """
    if text in WORDS or _TOKEN.fullmatch(text):
        return None
    time = datetime.fromisoformat(text)
    aware = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    return int(aware.timestamp())


def _checked(text: str, words: tuple[str, ...]) -> str:
    problem = f"expected {', '.join(words)}, {_FORMS}, got {text!r}"
    if text in WORDS and text not in words:
        raise ValueError(problem)
    try:
        start_time(text)
    except ValueError:
        raise ValueError(problem) from None
    return text
