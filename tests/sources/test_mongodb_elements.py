"""The walk over the top level of raw BSON, against the driver's own reading."""

from __future__ import annotations

import struct

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbus.sources.mongodb.elements import elements
from tests.sources.bson_values import DOCUMENTS
from tests.sources.watching import Document


@given(DOCUMENTS, st.binary(max_size=9))
def test_every_element_is_found_with_its_bytes(written: Document, before: bytes) -> None:
    """The elements of any document, wherever it lies, put together again are its bytes."""
    raw = bson.encode(written)
    found = elements(before + raw + b"\xff\xff\xff", len(before))
    body = b"".join(bytes([kind]) + name + b"\0" + value for name, (kind, value) in found.items())
    assert len(raw).to_bytes(4, "little") + body + b"\0" == raw
    assert [name.decode() for name in found] == list(written)


def test_types_that_the_driver_no_longer_writes() -> None:
    """Undefined, DBPointer and symbol are walked over, too: old documents hold them."""
    text = struct.pack("<i", 3) + b"ab\0"
    body = b"\x06u\0" + b"\x0cp\0" + text + b"0123456789ab" + b"\x0es\0" + text + b"\x10n\0\7\0\0\0"
    raw = (len(body) + 5).to_bytes(4, "little") + body + b"\0"
    assert bson.decode(raw)["n"] == 7
    assert {name: kind for name, (kind, _) in elements(raw).items()} == {
        b"u": 6,
        b"p": 12,
        b"s": 14,
        b"n": 16,
    }


def test_a_type_that_is_none() -> None:
    """A type that BSON does not have is an error, never a guess."""
    with pytest.raises(ValueError, match="0x42"):
        elements(b"\x0b\0\0\0\x42a\0\0\0\0\0")
