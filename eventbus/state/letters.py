"""Turns dead letters into rows that both stores keep, and rows back into dead letters.

A row has what people search and what decides, in fields of bounded size; the event itself is its payload,
opaque bytes of any size. Whatever an event holds, a row of it can be made: this module never raises.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from zlib import crc32

import bson
from bson import DBRef

from eventbus.errors import Unreachable
from eventbus.model import ClusterTime, DeadLetter, Event, FailedAttempt, Failure
from eventbus.state.payload import decode_content, encode_content
from eventbus.state.store import StoredDeadLetter
from eventbus.state.values import OPTIONS

__all__ = [
    "MAX_ERRORS",
    "ROW_KEY_BYTES",
    "Row",
    "full",
    "key_id",
    "letter_id",
    "pieces",
    "restore",
    "retried",
    "row_of",
    "stored_errors",
]

REASON_BYTES: Final = 2048
ERROR_BYTES: Final = 1024
MAX_ERRORS: Final = 10
_PIECE_BYTES: Final = 4 << 20
_NAME_BYTES: Final = 1024
_READABLE_KEY_BYTES: Final = 4096
_READABLE_KEY_DEPTH: Final = 8
ROW_KEY_BYTES: Final = 1024
_LONGEST_SECS: Final = 10_000_000_000.0
"""Three centuries: later dates are beyond what every part of a store can compute with."""


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
        key_id: 16 bytes that name the key.
        key: The key itself, unless it is long; then it is in the payload only.
        token: The event's place in its source's order.
        cluster_time: The event's cluster time.
        size: Bytes of the change as it was read.
        reason: Why it was parked.
        kind: What kind of failure it was.
        held_behind: Id of the dead letter that it waits behind, if it only waits.
        config: Names the version of the configuration that failed to deliver it.
        expire_after_ms: How long it is kept; None for ever.
        attempts: How many tries were made.
        errors: The last attempts that failed, oldest first, as both stores keep them.
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
    key_id: bytes
    key: bytes | None
    token: str
    cluster_time: ClusterTime | None
    size: int
    reason: str
    kind: str
    held_behind: str | None
    config: str
    expire_after_ms: int | None
    attempts: int
    errors: Sequence[Mapping[str, Any]]
    payload: bytes


def key_id(key: bytes) -> bytes:
    """16 bytes that name a key, however long it is."""
    return hashlib.blake2b(key, digest_size=16).digest()


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
        key_id=key_id(key),
        key=key if len(key) <= ROW_KEY_BYTES else None,
        token=event.token,
        cluster_time=event.cluster_time,
        size=event.size,
        reason=_bounded(letter.reason, REASON_BYTES),
        kind=letter.kind.value,
        held_behind=None if letter.held_behind is None else _bounded(letter.held_behind, _NAME_BYTES),
        config=_bounded(letter.config, _NAME_BYTES),
        expire_after_ms=_expiry_ms(letter.expire_after_secs),
        attempts=letter.attempts,
        errors=stored_errors(letter),
        payload=encode_content(event, key, own_key=own_key is not None, body=letter.body),
    )


def retried(letter: DeadLetter, *, operation: str) -> dict[str, Any]:
    """What changes in a row when sending its event once more has failed; the errors are to be added."""
    return {
        "reason": _bounded(letter.reason, REASON_BYTES),
        "kind": letter.kind.value,
        "held_behind": letter.held_behind,
        "config": _bounded(letter.config, _NAME_BYTES),
        "operation_id": operation,
    }


def restore(row: Mapping[str, Any], payload: bytes) -> StoredDeadLetter:
    """The dead letter of a row's fields, by the names that both stores use.

    A row that an earlier version wrote lacks some, and means their defaults.
    """
    content = decode_content(payload)
    created_at, expires_at = row["created_at"], row.get("expires_at")
    letter = DeadLetter(
        row["subscription"],
        row["route"],
        content.event,
        row["reason"],
        attempts=row["attempts"],
        body=content.body,
        errors=tuple(
            FailedAttempt(error["at_ms"], Failure(error["kind"]), error["reason"]) for error in row["errors"]
        ),
        kind=Failure(row.get("kind", Failure.REJECTED)),
        held_behind=row.get("held_behind"),
        config=row.get("config", ""),
        expire_after_secs=(expires_at - created_at).total_seconds() if expires_at else None,
    )
    return StoredDeadLetter(
        letter,
        content.key,
        created_at,
        row["status"],
        id=row["id"],
        expires_at=expires_at,
        legal_hold=bool(row.get("legal_hold", False)),
        superseded_by=row.get("superseded_by"),
        operation=row.get("operation_id"),
        forwarded=bool(row.get("forwarded", False)),
    )


def pieces(payload: bytes) -> Iterator[bytes]:
    """The payload in parts that a store can take one at a time."""
    for start in range(0, len(payload), _PIECE_BYTES):
        yield payload[start : start + _PIECE_BYTES]


def stored_errors(letter: DeadLetter) -> list[dict[str, Any]]:
    """The last failed attempts as both stores keep them; `restore` takes such."""
    return [
        {"at_ms": error.at_ms, "kind": error.kind.value, "reason": _bounded(error.reason, ERROR_BYTES)}
        for error in letter.errors[-MAX_ERRORS:]
    ]


def full(count: int, most: int) -> Unreachable:
    """Why a store takes no further dead letter."""
    return Unreachable(
        f"the state store holds {count} dead letters, and at most {most} are allowed: "
        "raise the limit, or let some expire"
    )


def _expiry_ms(secs: float | None) -> int | None:
    return None if secs is None else round(min(secs, _LONGEST_SECS) * 1000)


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
    """Whether every server stores this value without looking twice at its names or its depth.

    Lists are left out, too: in queries they would mean several values at once.
    """
    if depth > _READABLE_KEY_DEPTH:
        return False
    if isinstance(value, dict):
        return all(not name.startswith("$") and _is_plain(item, depth + 1) for name, item in value.items())
    return not isinstance(value, list | DBRef)
