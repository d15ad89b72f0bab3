"""Resume tokens: from the server's document to a position and back, and the cluster time inside.

A token's ``_data`` is hexadecimal text of a sortable key whose first element is the cluster time: the byte
0x82, seconds and increment, each of four bytes, big-endian. The rest is the server's own business.

The documents that a snapshot reads have places among the changes, too: that of a token, a slash and a count.
A slash sorts before every hexadecimal digit, so such a place lies behind its token and before every later
one. The server is never shown it.
"""

from __future__ import annotations

import re
from typing import Any, Final

from bson.timestamp import Timestamp

from eventbus.model import ClusterTime, Position, PositionKind
from eventbus.sources.mongodb.elements import elements

__all__ = [
    "cluster_time_of",
    "high_water_mark",
    "is_high_water_mark",
    "next_read",
    "place_in_transaction",
    "position_of",
    "resume_token",
    "server_token",
    "timestamp_of",
]

_DATA: Final = re.compile(r"82([0-9A-F]{8})([0-9A-F]{8})(?:[0-9A-F]{2})+(?:/[0-9]{12})?")
_HIGH_WATER_MARK: Final = re.compile(r"82[0-9A-F]{16}2B0[24]29")
"""In both versions: after the version stands the type, which is 0 here and 128 in the token of an event."""
_EVENT: Final = re.compile(
    r"82[0-9A-F]{16}2B0[24]2C0100(29|2B[0-9A-F]{2}|2C[0-9A-F]{4}|2D[0-9A-F]{6}|2E[0-9A-F]{8})"
)
"""How the token of a change begins: cluster time, the token's version, its kind, and the number of the change
among those of its transaction. 29 is a zero; else a count of bytes, and in them twice the number."""
_NO_EVENT: Final = "2B0229296E04"
"""What follows the cluster time in the token of a moment at which no event lies, in its oldest form."""


def position_of(token: bytes, kind: PositionKind) -> Position:
    """The position that a resume token stands for.

    Args:
        token: The token's document as raw BSON.
        kind: What it stands for.

    Raises:
        ValueError: It is no token of a form that we know.
    """
    found = elements(token)
    data = found[b"_data"].text
    bits = found.get(b"_typeBits")
    return Position(data, kind, cluster_time_of(data), bits.value[5:] if bits else None)


def resume_token(position: Position) -> dict[str, Any]:
    """The document to hand back to the server."""
    token: dict[str, Any] = {"_data": server_token(position.token)}
    if position.extra is not None:
        token["_typeBits"] = position.extra
    return token


def cluster_time_of(data: str) -> ClusterTime:
    """The cluster time inside a token's ``_data``.

    Raises:
        ValueError: It is no token of a form that we know.
    """
    match = _DATA.fullmatch(data)
    if match is None:
        raise ValueError("not a resume token of MongoDB")
    return ClusterTime(int(match[1], 16), int(match[2], 16))


def place_in_transaction(data: str) -> int | None:
    """The number of a change among all of its transaction, from 0; None if this form of token hides it.

    It is the server's own count, whatever part of the transaction a stream is given.
    """
    match = _EVENT.match(data)
    return int(match[1][2:] or "0", 16) >> 1 if match else None


def timestamp_of(time: ClusterTime) -> Timestamp:
    """A cluster time as BSON has it."""
    return Timestamp(time.seconds, time.increment)


def high_water_mark(time: ClusterTime) -> Position:
    """The position just before everything that was committed at `time`."""
    data = f"82{time.seconds:08X}{time.increment:08X}{_NO_EVENT}"
    return Position(data, PositionKind.IDLE, time)


def is_high_water_mark(data: str) -> bool:
    """Whether a token is that of a moment and of no event: all that was committed at its time lies behind."""
    return _HIGH_WATER_MARK.match(data) is not None


def server_token(data: str) -> str:
    """The token that the server knows; of a document that a snapshot read, the one that it lies behind."""
    return data.partition("/")[0]


def next_read(data: str) -> str:
    """The place of the next document that a snapshot reads behind a token, or behind another such place."""
    place, _, count = data.partition("/")
    return f"{place}/{int(count or 0) + 1:012d}"
