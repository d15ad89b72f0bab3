"""Reads the events that receivers get: CloudEvents 1.0 objects, understood from the published form alone.

It uses nothing of the daemon's own encoding, so that a mistake there cannot hide itself here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import orjson

from eventbus.demo.ledger import LAST_REV, Change, Receipt, canonical_id

__all__ = ["BadEnvelope", "headline", "parsed", "receipt_of"]

_ATTRIBUTES: Final = ("specversion", "id", "source", "type", "data")
_SHOWN_FIELDS: Final = 3
_SHOWN_CHARACTERS: Final = 100
_DULL_FIELDS: Final = frozenset({"_id", "rev", "updated_at", "created_at"})


class BadEnvelope(Exception):
    """What came is no event of ours; the text says why."""


def parsed(body: bytes) -> dict[str, Any]:
    """The event as an object.

    Raises:
        BadEnvelope: It is not JSON, or lacks what CloudEvents requires.
    """
    try:
        envelope = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadEnvelope(f"not JSON: {error}") from None
    if not isinstance(envelope, dict):
        raise BadEnvelope("not a JSON object")
    missing = [name for name in _ATTRIBUTES if not envelope.get(name)]
    if missing:
        raise BadEnvelope(f"without {', '.join(missing)}")
    if envelope["specversion"] != "1.0":
        raise BadEnvelope(f"of another specversion: {envelope['specversion']!r}")
    return envelope


def receipt_of(envelope: Mapping[str, Any], body: bytes) -> Receipt:
    """The receipt for an event.

    Raises:
        BadEnvelope: Its data does not say which change it is.
    """
    data = envelope["data"]
    try:
        change = Change(
            data["database"],
            data["collection"],
            canonical_id(data["document_key"]["_id"]),
            data["operation"],
            _rev(data),
        )
    except (KeyError, TypeError) as error:
        raise BadEnvelope(f"its data lacks {error}") from None
    return Receipt(str(envelope["id"]), change, hashlib.blake2b(body, digest_size=16).digest())


def headline(envelope: Mapping[str, Any]) -> str:
    """The event in a few words: ``update orders 4f…: status shipped, shipping.carrier DHL``."""
    data = envelope["data"]
    identity = _plain((data.get("document_key") or {}).get("_id"))
    fields = data.get("changed") or data.get("document") or {}
    told = [f"{name} {_plain(value)}" for name, value in fields.items() if _is_telling(name, value)]
    told += [f"{name} removed" for name in data.get("removed") or ()]
    head = f"{data['operation']} {data['collection']} {identity}"
    details = ", ".join(told[:_SHOWN_FIELDS])
    return f"{head}: {details}"[:_SHOWN_CHARACTERS] if details else head


def _rev(data: Mapping[str, Any]) -> int:
    """The document's rev as the change itself gives it, never as a lookup of a later moment would."""
    match data["operation"]:
        case "delete":
            return LAST_REV
        case "update":
            return int(data["changed"]["rev"])
        case _:
            return int(data["document"]["rev"])


def _is_telling(name: str, value: Any) -> bool:
    return name not in _DULL_FIELDS and not isinstance(_plain(value), dict | list)


def _plain(value: Any) -> Any:
    """A scalar of Extended JSON without its wrapping."""
    if isinstance(value, dict) and len(value) == 1:
        ((key, inner),) = value.items()
        return inner if key.startswith("$") else value
    return value
