"""The top level of a BSON document, without decoding it: where each element lies, and its bytes.

Nothing below the top level is looked at. Only the sizes of types are known here, none of their meanings.
Layout: https://bsonspec.org/spec.html
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Final, NamedTuple

__all__ = ["ARRAY", "BINARY", "DOCUMENT", "NULL", "Element", "elements", "int32"]

DOCUMENT: Final = 0x03
ARRAY: Final = 0x04
BINARY: Final = 0x05
NULL: Final = 0x0A

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
    found = {}
    at = start + 4
    while kind := buffer[at]:
        value = buffer.index(0, at + 1) + 1
        name = buffer[at + 1 : value - 1]
        at = value + _size(kind, buffer, value)
        found[name] = Element(kind, buffer[value:at])
    return found


def _size(kind: int, buffer: bytes, at: int) -> int:
    fixed = _FIXED.get(kind)
    if fixed is not None:
        return fixed
    measure = _MEASURED.get(kind)
    if measure is None:
        raise ValueError(f"BSON has no type 0x{kind:02x}")
    return measure(buffer, at)


def _counted(beside: int) -> Callable[[bytes, int], int]:
    """Values that begin with a count of bytes, which leaves out `beside` bytes of the value."""
    return lambda buffer, at: int(int32(buffer, at)[0]) + beside


def _two_texts(buffer: bytes, at: int) -> int:
    return buffer.index(0, buffer.index(0, at) + 1) + 1 - at


_FIXED: Final = {
    0x01: 8,  # double
    0x06: 0,  # undefined
    0x07: 12,  # ObjectId
    0x08: 1,  # bool
    0x09: 8,  # date
    NULL: 0,
    0x10: 4,  # int32
    0x11: 8,  # timestamp
    0x12: 8,  # int64
    0x13: 16,  # Decimal128
    0x7F: 0,  # MaxKey
    0xFF: 0,  # MinKey
}

_MEASURED: Final[dict[int, Callable[[bytes, int], int]]] = {
    0x02: _counted(4),  # string
    DOCUMENT: _counted(0),
    ARRAY: _counted(0),
    BINARY: _counted(5),
    0x0B: _two_texts,  # regular expression
    0x0C: _counted(16),  # DBPointer
    0x0D: _counted(4),  # code
    0x0E: _counted(4),  # symbol
    0x0F: _counted(0),  # code with scope
}
