"""The top level of a BSON document, without decoding it: where each element lies, and its bytes.

Nothing below the top level is looked at. Only the sizes of types are known here, none of their meanings.
Layout: https://bsonspec.org/spec.html
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from typing import Final, NamedTuple

__all__ = [
    "ARRAY",
    "DOCUMENT",
    "INT32",
    "INT64",
    "NULL",
    "Element",
    "document",
    "elements",
    "int32",
    "spans",
    "strings",
]

DOCUMENT: Final = 0x03
ARRAY: Final = 0x04
NULL: Final = 0x0A
INT32: Final = 0x10
INT64: Final = 0x12

int32: Final = Struct("<i").unpack_from
"""The little-endian 32-bit number at an offset, as a tuple of one."""


class Element(NamedTuple):
    """One element: its type and its value's bytes."""

    kind: int
    value: bytes

    @property
    def text(self) -> str:
        """The value as text; the element must be a string."""
        return self.value[4:-1].decode()


def elements(buffer: bytes, start: int = 0) -> dict[bytes, Element]:
    """The elements of the document that begins at `start`, by name, in their order.

    Raises:
        ValueError: A type that BSON does not have.
    """
    found = spans(buffer, start)
    return {name: Element(kind, buffer[begin:end]) for name, (kind, begin, end) in found.items()}


def spans(buffer: bytes, start: int = 0) -> dict[bytes, tuple[int, int, int]]:
    """Type, begin and end of each value of the document that begins at `start`, by name, in their order.

    Raises:
        ValueError: A type that BSON does not have.
    """
    found = {}
    at = start + 4
    while kind := buffer[at]:
        begin = buffer.index(0, at + 1) + 1
        name = buffer[at + 1 : begin - 1]
        at = begin + _size(kind, buffer, begin)
        found[name] = (kind, begin, at)
    return found


def document(of: Mapping[bytes, Element]) -> bytes:
    """The document that consists of these elements."""
    body = b"".join(b"%c%b\0%b" % (kind, name, value) for name, (kind, value) in of.items())
    return b"%b%b\0" % ((len(body) + 5).to_bytes(4, "little"), body)


def strings(array: bytes) -> tuple[str, ...]:
    r"""The strings of an array; bytes that are not UTF-8, which the server stores, as ``\xff``."""
    return tuple(value[4:-1].decode(errors="backslashreplace") for _, value in elements(array).values())


def _size(kind: int, buffer: bytes, at: int) -> int:
    fixed = _FIXED.get(kind)
    if fixed is not None:
        return fixed
    beside = _COUNTED.get(kind)
    if beside is not None:
        return int(int32(buffer, at)[0]) + beside
    if kind == _REGULAR_EXPRESSION:
        return buffer.index(0, buffer.index(0, at) + 1) + 1 - at
    raise ValueError(f"BSON has no type 0x{kind:02x}")


_FIXED: Final = {
    0x01: 8,  # double
    0x06: 0,  # undefined
    0x07: 12,  # ObjectId
    0x08: 1,  # bool
    0x09: 8,  # date
    NULL: 0,
    INT32: 4,
    0x11: 8,  # timestamp
    INT64: 8,
    0x13: 16,  # Decimal128
    0x7F: 0,  # MaxKey
    0xFF: 0,  # MinKey
}
"""Bytes of values whose size their type decides."""

_COUNTED: Final = {
    0x02: 4,  # string
    DOCUMENT: 0,
    ARRAY: 0,
    0x05: 5,  # binary
    0x0C: 16,  # DBPointer
    0x0D: 4,  # code
    0x0E: 4,  # symbol
    0x0F: 0,  # code with scope
}
"""Values that begin with a count of bytes: those that it leaves out."""

_REGULAR_EXPRESSION: Final = 0x0B
