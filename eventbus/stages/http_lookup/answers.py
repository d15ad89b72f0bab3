"""What an answer means for the event that it is about: decided here, without I/O.

==================  ===========================================================
2xx with JSON       found
204, 404, 410       there is nothing
2xx without JSON    this question has no usable answer
3xx, 401, 403, 407  away: a setting is wrong, the same for every event
408, 425, 429, 5xx  away
any other           this question has no usable answer
==================  ===========================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

import bson
import orjson
from bson.errors import BSONError, InvalidDocument

from eventbus.http.connection import Reply
from eventbus.http.retry_after import retry_after_secs
from eventbus.http.statuses import answered

__all__ = ["Answer", "Away", "Found", "Missing", "Refused", "answer_in"]

_NOTHING: Final = frozenset({204, 404, 410})
_AWAY: Final = frozenset({401, 403, 407, 408, 425, 429})
_DEEPEST: Final = 99
"""MongoDB lets a document have 100 levels, and an answer goes into one."""
_LARGEST: Final = 2**63


@dataclass(frozen=True, slots=True)
class Found:
    """The service has something.

    Args:
        value: It, as a document can hold it.
    """

    value: Any


@dataclass(frozen=True, slots=True)
class Missing:
    """The service has nothing."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Asking this again is of no use.

    Args:
        reason: Why, for people.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Away:
    """The service can say nothing now.

    Args:
        reason: Why, for people.
        after_secs: How long it wants to be left alone.
    """

    reason: str
    after_secs: float | None = None


Answer: TypeAlias = Found | Missing | Refused | Away


def answer_in(reply: Reply, now: datetime) -> Answer:
    """What was answered. No reason shows anything of the content.

    Args:
        reply: The reply.
        now: When it came, aware of its time zone.
    """
    status = reply.status
    if status in _NOTHING:
        return Missing()
    if 300 <= status < 400:
        return Away(f"{answered(status)}: redirects are not followed, change the url")
    if status in _AWAY or status >= 500:
        after = reply.headers.get(b"retry-after")
        return Away(answered(status), retry_after_secs(after.decode("latin-1") if after else None, now))
    if not 200 <= status < 300:
        return Refused(answered(status))
    if not reply.is_whole:
        return Refused("the answer is larger than max_size")
    return _value_in(reply.content)


def _value_in(content: bytes) -> Answer:
    try:
        value = _as_documents_have_it(orjson.loads(content), 0)
        bson.encode({"v": value})
    except orjson.JSONDecodeError:
        return Refused("the answer is no JSON")
    except (BSONError, InvalidDocument, _TooDeep):
        return Refused("no document can hold the answer")
    return Missing() if value is None else Found(value)


class _TooDeep(Exception):
    """It is nested deeper than documents may be."""


def _as_documents_have_it(value: Any, depth: int) -> Any:
    """The same value; integers of more than 64 bits are doubles, as JSON's own readers have them."""
    match value:
        case dict() | list() if depth == _DEEPEST:
            raise _TooDeep
        case dict():
            return {name: _as_documents_have_it(one, depth + 1) for name, one in value.items()}
        case list():
            return [_as_documents_have_it(one, depth + 1) for one in value]
        case int() if not -_LARGEST <= value < _LARGEST:
            return float(value)
        case _:
            return value
