"""The ``_id`` of a document as text, for an attribute or a header."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import bson
import orjson
from bson.errors import BSONError

from eventbus.canonical import EXACT_IN_JSON, canonical_value, integer_id
from eventbus.model import Section

__all__ = ["subject_attribute"]


def subject_attribute(document_key: Section) -> bytes:
    """The attribute for the document's ``_id``; nothing for a change without a document."""
    if isinstance(document_key, bytes) and _is_object_id(document_key):
        return b',"subject":"%b"' % document_key[9:21].hex().encode()
    number = integer_id(document_key) if isinstance(document_key, bytes) else None
    if number is not None and -EXACT_IN_JSON <= number <= EXACT_IN_JSON:
        return b',"subject":"%d"' % number
    text = _readable(document_key)
    return b',"subject":' + orjson.dumps(text) if text else b""


def _is_object_id(document_key: bytes) -> bool:
    """Whether the raw document is nothing but an ``_id`` of the usual type."""
    return len(document_key) == 22 and document_key.startswith(b"\x07_id\0", 4)


def _readable(document_key: Section) -> str:
    """The ``_id`` as people write it: strings as they are, ObjectId and UUID in digits, else as JSON."""
    match _identifier(document_key):
        case None:
            return ""
        case str() as text:
            return text if _NOT_ALLOWED.search(text) is None else json.dumps(text)
        case bson.ObjectId() as object_id:
            return str(object_id)
        case bson.Binary(subtype=4) as binary if len(binary) == _UUID_BYTES:
            return str(binary.as_uuid())
        case value:
            text = canonical_value(value).decode()
            return text if _NOT_ALLOWED.search(text) is None else json.dumps(orjson.loads(text))


_UUID_BYTES: Final = 16


def _identifier(document_key: Section) -> Any:
    """The value of ``_id``; None if there is none, or none that can be read: then `_section` says why."""
    if not isinstance(document_key, bytes):
        return None if document_key is None else document_key.get("_id")
    try:
        return bson.decode(document_key, _DECODING).get("_id")
    except BSONError:
        return None


_NOT_ALLOWED: Final = re.compile("[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")
"""What the CloudEvents type String excludes, of the first plane; such a text is written escaped."""

_DECODING: Final = bson.CodecOptions[dict[str, Any]](
    document_class=dict, datetime_conversion=bson.DatetimeConversion.DATETIME_MS
)
