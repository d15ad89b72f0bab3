"""Writes a decoded document so that the same values come back, whatever a stage has put into it.

BSON is the form as long as it gives back what was put in. Where it would not (a lone surrogate, a NUL in a
name, a number beyond 64 bits, a time zone) the document is written as a tree of tagged values instead. A
value of a type that nobody knows comes back as its text: a dead letter must be storable in any case.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

import bson
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.datetime_ms import DatetimeMS

__all__ = ["OPTIONS", "decode_text", "encode_text", "pack", "unpack"]

OPTIONS: Final[CodecOptions[dict[str, Any]]] = CodecOptions(
    document_class=dict,
    tz_aware=True,
    uuid_representation=UuidRepresentation.UNSPECIFIED,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)
"""One way of reading BSON in both stores: aware times, and nothing that raises on an odd date or UUID."""

_BSON: Final = b"b"
_TREE: Final = b"t"
_DEEPEST: Final = 180  # as deep as the server itself keeps documents
_TEXT_LIMIT: Final = 1000


def pack(document: Mapping[str, Any]) -> bytes:
    """Bytes from which `unpack` makes an equal mapping. Never raises."""
    for form in (_as_bson, _as_tree):
        try:
            return form(document)
        except Exception:  # noqa: BLE001, S112  the next form takes what this one cannot
            continue
    return _as_tree({"unreadable": _described(document)})


def unpack(packed: bytes) -> dict[str, Any]:
    """The mapping that `pack` was given."""
    form, content = packed[:1], bson.decode(packed[1:], OPTIONS)
    if form == _BSON:
        return content
    document = _value(content["tree"])
    assert isinstance(document, dict)
    return document


def encode_text(text: str) -> bytes:
    """Bytes of any Python string, lone surrogates included."""
    return text.encode("utf-8", "surrogatepass")


def decode_text(raw: bytes) -> str:
    """The string that `encode_text` was given."""
    return raw.decode("utf-8", "surrogatepass")


def _as_bson(document: Mapping[str, Any]) -> bytes:
    raw = bson.encode(document, codec_options=OPTIONS)
    if not _same(bson.decode(raw, OPTIONS), document):
        raise ValueError("BSON does not give back what was put in")
    return _BSON + raw


def _as_tree(document: Mapping[str, Any]) -> bytes:
    return _TREE + bson.encode({"tree": _tree(document, 0)}, codec_options=OPTIONS)


def _same(left: Any, right: Any) -> bool:
    match left:
        case dict():
            return (
                isinstance(right, Mapping)
                and list(left) == list(right)
                and all(_same(value, right[name]) for name, value in left.items())
            )
        case list():
            return isinstance(right, list) and len(left) == len(right) and all(map(_same, left, right))
        case _:
            return type(left) is type(right) and bool(left == right or left != left)  # noqa: PLR0124  NaN


def _tree(value: Any, depth: int) -> list[Any]:
    """A value as [tag, content]; the content is BSON that comes back unchanged."""
    if depth > _DEEPEST:
        return ["text", b"(nested too deeply to be kept)"]
    if isinstance(value, Mapping):
        return ["map", [[encode_text(str(name)), _tree(item, depth + 1)] for name, item in value.items()]]
    if isinstance(value, list | tuple):
        return ["list", [_tree(item, depth + 1) for item in value]]
    leaf = _LEAVES.get(type(value))
    return [leaf.tag, leaf.write(value)] if leaf else _other(value)


def _value(tree: Sequence[Any]) -> Any:
    tag, content = tree
    if tag == "map":
        return {decode_text(name): _value(item) for name, item in content}
    if tag == "list":
        return [_value(item) for item in content]
    return _READERS[tag](content)


class _Leaf(NamedTuple):
    tag: str
    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


_LEAVES: Final[Mapping[type, _Leaf]] = {
    str: _Leaf("text", encode_text, decode_text),
    int: _Leaf("int", str, int),
    datetime: _Leaf("time", datetime.isoformat, datetime.fromisoformat),
    date: _Leaf("date", date.isoformat, date.fromisoformat),
    Decimal: _Leaf("decimal", str, Decimal),
    uuid.UUID: _Leaf("uuid", lambda value: value.bytes, lambda raw: uuid.UUID(bytes=raw)),
    DatetimeMS: _Leaf("ms", int, DatetimeMS),
}
_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "bson": lambda value: value,
    **{leaf.tag: leaf.read for leaf in _LEAVES.values()},
}


def _other(value: Any) -> list[Any]:
    try:
        raw = bson.encode({"v": value}, codec_options=OPTIONS)
        if _same(bson.decode(raw, OPTIONS)["v"], value):
            return ["bson", value]
    except Exception:  # noqa: BLE001, S110  not a type of BSON
        pass
    return ["text", encode_text(_described(value))]


def _described(value: Any) -> str:
    try:
        return str(value) if isinstance(value, str) else repr(value)[:_TEXT_LIMIT]
    except Exception:  # noqa: BLE001  a stage's own class may do anything here
        return f"<{type(value).__name__}>"
