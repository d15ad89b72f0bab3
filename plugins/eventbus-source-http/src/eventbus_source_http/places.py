"""Places in the order of an API as tokens, whose order as text is that of the items.

A token is the value of the field that orders, in 20 digits, and a digest of the item's key: items of one
value have some order, the same for every reader. All of them are read before the first is given, so that it
does not matter in which order the API has them. No I/O happens here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from eventbus.sdk import ClusterTime, ConfigurationError, Position

__all__ = [
    "BEGINNING",
    "MISSING",
    "at_path",
    "before",
    "cluster_time",
    "order_of",
    "since_of",
    "token_of",
    "value_of",
]

MISSING: Final = object()
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_LARGEST: Final = 10**20 - 1
_LAST_TIME: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND


def before(value: int) -> str:
    """The token of the place before all items of a value."""
    return f"{value:020}-"


BEGINNING: Final = Position(before(0))


def token_of(value: int, key: object) -> str:
    """The token of the place just after an item."""
    text = json.dumps(key, sort_keys=True, separators=(",", ":"))
    return before(value) + hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def value_of(token: str, order: str) -> int:
    """The value that a token begins with.

    Raises:
        ConfigurationError: It is no token of this source.
    """
    value = int(token[:20]) if re.fullmatch(r"[0-9]{20}-(?:[0-9a-f]{32})?", token) else None
    if value is None or (order == "time" and value > _LAST_TIME):
        raise ConfigurationError(f"{token!r} is no position in an API: those are 20 digits, '-' and a digest")
    return value


def order_of(found: object, order: str) -> int | None:
    """The field that orders as a number, for times in microseconds; None if it is something else."""
    if order == "number":
        is_number = isinstance(found, int) and not isinstance(found, bool) and 0 <= found <= _LARGEST
        return found if is_number and isinstance(found, int) else None
    try:
        time = datetime.fromisoformat(found) if isinstance(found, str) else None
    except ValueError:
        return None
    if time is None or time.tzinfo is None or time < _EPOCH:
        return None
    return (time - _EPOCH) // _MICROSECOND


def since_of(value: int, order: str) -> str:
    """A value as the API is asked for it."""
    if order == "number":
        return str(value)
    return (_EPOCH + value * _MICROSECOND).isoformat(timespec="microseconds").replace("+00:00", "Z")


def cluster_time(value: int, order: str) -> ClusterTime | None:
    """When a change was made, where that can be told."""
    return ClusterTime(value // 1_000_000, value % 1_000_000) if order == "time" else None


def at_path(value: Any, path: str) -> Any:
    """What is at a path such as ``data.items``; `MISSING` if nothing is."""
    for name in path.split(".") if path else ():
        if not isinstance(value, Mapping) or name not in value:
            return MISSING
        value = value[name]
    return value
