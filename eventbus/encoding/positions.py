"""A position as the bytes that a target keeps beside its data: JSON, for whoever looks at it there."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

import orjson

from eventbus.errors import EventbusError
from eventbus.model import ClusterTime, Position, PositionKind, Snapshot

__all__ = ["decode_position", "encode_position"]

_VERSION: Final = 1
_BYTES: Final = frozenset({"extra", "scope", "after"})


def encode_position(position: Position) -> bytes:
    """A place and the snapshot under way there; equal ones make equal bytes."""
    snapshot = position.snapshot
    return orjson.dumps(
        {
            "version": _VERSION,
            "token": position.token,
            "kind": position.kind,
            "cluster_time": list(position.cluster_time) if position.cluster_time else None,
            "extra": _text(position.extra),
            "snapshot": _written(snapshot) if snapshot is not None else None,
        }
    )


def decode_position(content: bytes) -> Position:
    """The position that `encode_position` was given.

    Raises:
        EventbusError: These bytes are something else, or a newer eventbus has written them.
    """
    try:
        found = orjson.loads(content)
        if found["version"] != _VERSION:
            raise EventbusError(f"a newer eventbus wrote this position, in form {found['version']}")
        time, snapshot = found["cluster_time"], found["snapshot"]
        return Position(
            found["token"],
            PositionKind(found["kind"]),
            ClusterTime(*time) if time is not None else None,
            _bytes(found["extra"]),
            _read(snapshot) if snapshot is not None else None,
        )
    except (ValueError, TypeError, KeyError) as error:
        raise EventbusError(f"this is no position of eventbus: {type(error).__name__}") from None


def _written(snapshot: Snapshot) -> dict[str, Any]:
    values = {field.name: getattr(snapshot, field.name) for field in fields(snapshot)}
    return {name: _text(value) if name in _BYTES else value for name, value in values.items()}


def _read(values: Mapping[str, Any]) -> Snapshot:
    read: dict[str, Any] = {
        name: _bytes(value) if name in _BYTES else value for name, value in values.items()
    }
    return Snapshot(**read)


def _text(content: bytes | None) -> str | None:
    return b64encode(content).decode() if content is not None else None


def _bytes(text: str | None) -> bytes | None:
    return b64decode(text, validate=True) if text is not None else None
