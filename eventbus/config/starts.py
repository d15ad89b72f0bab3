"""Where a route begins, as people write it: a word, a time, or a resume token."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

__all__ = ["WORDS", "checked_start", "start_time"]

WORDS: Final = ("now", "subscription")
_TOKEN: Final = re.compile(r"82[0-9A-F]{16,}")


def checked_start(text: str) -> str:
    """The text, if it says where to begin.

    Raises:
        ValueError: It does not.
    """
    if text in WORDS or _TOKEN.fullmatch(text):
        return text
    try:
        start_time(text)
    except ValueError:
        raise ValueError(
            f"expected now, subscription, a time such as 2026-01-31T12:00Z or a resume token, got {text!r}"
        ) from None
    return text


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
