"""A dead letter as rows and as JSON: what `dlq list`, `show` and `export` print of it.

Fields are named as `--match` names them, so that whatever is seen can be asked for. Nothing here raises,
whatever an event holds: what has no JSON form is shown as what it is.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson

from eventbus.encoding.json import relaxed_json
from eventbus.errors import EncodingError
from eventbus.model import ClusterTime, Event, Section
from eventbus.state.store import StoredDeadLetter

__all__ = ["cluster_time_text", "errors_of", "event_json", "letter_row", "message_json"]


def letter_row(stored: StoredDeadLetter) -> dict[str, Any]:
    """The row of a dead letter: all but its event's documents and its message."""
    letter, event = stored.letter, stored.letter.event
    return {
        "id": stored.id,
        "event_id": event.id,
        "subscription": letter.subscription,
        "route": letter.route,
        "operation": _text(event.operation),
        "database": _text(event.database),
        "collection": _text(event.collection),
        "document_key": _section(event.document_key),
        "key": stored.key.decode(errors="backslashreplace"),
        "kind": letter.kind.value,
        "reason": _text(letter.reason),
        "attempts": letter.attempts,
        "errors": list(errors_of(stored)),
        "size": event.size,
        "cluster_time": cluster_time_text(event.cluster_time),
        "token": event.token,
        "status": str(stored.status),
        "created_at": stored.created_at.isoformat(),
        "expires_at": stored.expires_at.isoformat() if stored.expires_at else None,
        "legal_hold": stored.legal_hold,
        "held_behind": letter.held_behind,
        "superseded_by": stored.superseded_by,
        "operation_id": stored.operation,
        "forwarded": stored.forwarded,
        "config": letter.config,
    }


def errors_of(stored: StoredDeadLetter) -> Iterator[dict[str, Any]]:
    """The attempts that failed, oldest first."""
    for error in stored.letter.errors:
        at = datetime.fromtimestamp(error.at_ms / 1000, UTC)
        yield {
            "at": at.isoformat(timespec="milliseconds"),
            "kind": error.kind.value,
            "reason": _text(error.reason),
        }


def event_json(event: Event) -> dict[str, Any]:
    """The event with its documents, in relaxed Extended JSON."""
    return {
        "id": event.id,
        "operation": _text(event.operation),
        "database": _text(event.database),
        "collection": _text(event.collection),
        "cluster_time": cluster_time_text(event.cluster_time),
        "time_ms": event.time_ms,
        "token": event.token,
        "document_key": _section(event.document_key),
        "document": _section(event.document),
        "before": _section(event.before),
        "changed": _section(event.changed),
        "removed": [_text(path) for path in event.removed],
        "details": _section(event.details),
        "attributes": _section(event.attributes),
    }


def message_json(body: bytes | None) -> Any:
    """The encoded message: as it is if it is text, else in base64; empty for a tombstone."""
    if body is None:
        return None
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:  # short BSON may well be UTF-8
        return {"$binary": {"base64": b64encode(body).decode(), "subType": "00"}}
    return text


def cluster_time_text(time: ClusterTime | None) -> str | None:
    """A cluster time as commands take it, ``seconds.increment``."""
    return None if time is None else f"{time.seconds}.{time.increment}"


def _section(section: Section) -> orjson.Fragment:
    try:
        return orjson.Fragment(relaxed_json(section))
    except EncodingError as error:
        if isinstance(section, bytes):
            return orjson.Fragment(orjson.dumps({"$bson": section.hex()}))
        return orjson.Fragment(orjson.dumps({"$unprintable": _text(str(error))}))


def _text(text: str) -> str:
    """The text without the halves of characters that JSON cannot hold."""
    return text.encode("utf-8", "backslashreplace").decode()
