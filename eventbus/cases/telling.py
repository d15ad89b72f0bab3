"""A message as data that can be written down and compared: JSON, and Extended JSON for types it lacks."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from importlib import import_module
from io import BytesIO
from typing import Any, Final

import bson
import orjson
from bson.errors import BSONError

from eventbus.encoding.json import relaxed_json
from eventbus.errors import EncodingError
from eventbus.model import Message

__all__ = ["told_data", "told_message", "written_data"]

_PREFIX: Final = 5
"""Before a record of Avro there are a zero and the schema's id."""


def told_message(message: Message, avro: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A message by its parts; the key is the sink's own, or else what order is kept by.

    Args:
        message: The message.
        avro: The schema of its content, if that is Avro.
    """
    headers: dict[str, Any] = {}
    for name, value in message.headers:
        text = _text(value)
        known = headers.get(name)
        headers[name] = text if known is None else [*(known if isinstance(known, list) else [known]), text]
    body = _record(message.body, avro) if avro is not None else told_data(message.body)
    return {
        "id": message.event.id,
        "target": message.target or None,
        "key": _text(message.event.key if message.key is None else message.key),
        "headers": headers,
        "body": body if message.body else None,
    }


def written_data(value: Any) -> Any:
    """What was written in a case, in the form of `told_message`."""
    return orjson.loads(orjson.dumps(value))


def told_data(content: bytes | str) -> Any:
    """What content holds: JSON, a document in BSON, or text."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        pass
    if isinstance(content, str):
        return content
    try:
        return orjson.loads(relaxed_json(bson.decode(content)))
    except (BSONError, EncodingError):
        return _text(content)


def _record(content: bytes, schema: Mapping[str, Any]) -> Any:
    """What a record of Avro holds; JSON within it as data."""
    fastavro = import_module("fastavro")
    record = fastavro.schemaless_reader(BytesIO(content[_PREFIX:]), dict(schema))
    return {name: told_data(part) if isinstance(part, bytes | str) else part for name, part in record.items()}


def _text(content: bytes) -> Any:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"$binary": {"base64": b64encode(content).decode(), "subType": "00"}}
