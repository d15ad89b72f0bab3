"""Turns dead letters into rows that both stores keep, and rows back into dead letters.

A row has what people search and what decides, in fields of bounded size; the event itself is its payload,
opaque bytes of any size. Whatever an event holds, a row of it can be made: this module never raises.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zlib import crc32

import bson

from eventbus.model import ClusterTime, DeadLetter, Event, FailedAttempt, Failure
from eventbus.state.payload import decode_content, encode_content
from eventbus.state.store import StoredDeadLetter
from eventbus.state.values import OPTIONS

__all__ = ["PARKED", "Row", "letter_id", "pieces", "restore", "row_of", "stored_attempt"]

PARKED: Final = "parked"
REASON_BYTES: Final = 2048
ERROR_BYTES: Final = 1024
MAX_ERRORS: Final = 10
_PIECE_BYTES: Final = 4 << 20
_NAME_BYTES: Final = 1024
_READABLE_KEY_BYTES: Final = 4096
_READABLE_KEY_DEPTH: Final = 8


@dataclass(frozen=True, slots=True)
class Row:
    """A dead letter as it is stored, less what only the store knows (when it came, what became of it).

    Args:
        id: Names the row; the same for the same event on the same route.
        subscription: Name of the subscription.
        route: Name of the route.
        event_id: The event's id.
        operation: The event's operation.
        database: The event's database.
        collection: The event's collection.
        document_key: The event's document key, where it is small and plain enough to be searched.
        key_hash: A number below 2**32, equal for events of one key.
        token: The event's place in its source's order.
        cluster_time: The event's cluster time.
        size: Bytes of the change as it was read.
        reason: Why it was parked.
        attempts: How many tries were made.
        errors: The last attempts that failed, oldest first.
        payload: The event and its message.
    """

    id: str
    subscription: str
    route: str
    event_id: str
    operation: str
    database: str
    collection: str
    document_key: Mapping[str, Any] | None
    key_hash: int
    token: str
    cluster_time: ClusterTime | None
    size: int
    reason: str
    attempts: int
    errors: tuple[FailedAttempt, ...]
    payload: bytes


def letter_id(subscription: str, route: str, event_id: str) -> str:
    """32 hexadecimal digits that name a dead letter in the store and to people."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (subscription, route, event_id):
        raw = part.encode()
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.hexdigest()


def row_of(letter: DeadLetter) -> Row:
    """The row of a dead letter."""
    event = letter.event
    own_key = _own_key(event)
    key = own_key if own_key is not None else b"unreadable:" + event.id.encode()
    return Row(
        id=letter_id(letter.subscription, letter.route, event.id),
        subscription=letter.subscription,
        route=letter.route,
        event_id=event.id,
        operation=_bounded(event.operation, _NAME_BYTES),
        database=_bounded(event.database, _NAME_BYTES),
        collection=_bounded(event.collection, _NAME_BYTES),
        document_key=_readable_key(event),
        key_hash=crc32(key),
        token=event.token,
        cluster_time=event.cluster_time,
        size=event.size,
        reason=_bounded(letter.reason, REASON_BYTES),
        attempts=letter.attempts,
        errors=tuple(_bounded_attempt(error) for error in letter.errors[-MAX_ERRORS:]),
        payload=encode_content(event, key, own_key=own_key is not None, body=letter.body),
    )


def restore(
    *,
    subscription: str,
    route: str,
    reason: str,
    attempts: int,
    errors: Sequence[Mapping[str, Any]],
    payload: bytes,
    created_at: datetime,
    status: str,
) -> StoredDeadLetter:
    """The dead letter of a row's fields."""
    content = decode_content(payload)
    letter = DeadLetter(
        subscription,
        route,
        content.event,
        reason,
        attempts=attempts,
        body=content.body,
        errors=tuple(
            FailedAttempt(error["at_ms"], Failure(error["kind"]), error["reason"]) for error in errors
        ),
    )
    return StoredDeadLetter(letter, content.key, created_at, status)


def pieces(payload: bytes) -> Iterator[bytes]:
    """The payload in parts that a store can take one at a time."""
    for start in range(0, len(payload), _PIECE_BYTES):
        yield payload[start : start + _PIECE_BYTES]


def stored_attempt(attempt: FailedAttempt) -> dict[str, Any]:
    """A failed attempt as both stores keep it; `restore` takes such."""
    return {"at_ms": attempt.at_ms, "kind": attempt.kind.value, "reason": attempt.reason}


def _bounded_attempt(attempt: FailedAttempt) -> FailedAttempt:
    return FailedAttempt(attempt.at_ms, attempt.kind, _bounded(attempt.reason, ERROR_BYTES))


def _own_key(event: Event) -> bytes | None:
    try:
        return event.key
    except Exception:  # noqa: BLE001  garbage for a document key is among the reasons to park an event
        return None


def _bounded(text: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8 that every store and terminal can hold."""
    raw = text.replace("\0", r"\x00").encode("utf-8", "backslashreplace")
    return raw[:limit].decode("utf-8", "ignore")


def _readable_key(event: Event) -> dict[str, Any] | None:
    section = event.document_key
    try:
        raw = section if isinstance(section, bytes) else bson.encode(section or {}, codec_options=OPTIONS)
        key = bson.decode(raw, OPTIONS) if len(raw) <= _READABLE_KEY_BYTES else {}
    except Exception:  # noqa: BLE001  then it is in the payload only
        return None
    return key if key and _is_plain(key, 0) else None


def _is_plain(value: Any, depth: int) -> bool:
    """Whether every server stores this value without looking twice at its names or its depth."""
    if depth > _READABLE_KEY_DEPTH:
        return False
    if isinstance(value, dict):
        return all(not name.startswith("$") and _is_plain(item, depth + 1) for name, item in value.items())
    if isinstance(value, list):
        return all(_is_plain(item, depth + 1) for item in value)
    return True
