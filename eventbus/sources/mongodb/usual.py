"""The quick way through the changes that mongod writes most: one known order of elements, else nothing.

It only saves time, as ``benchmarks/decode_change.py`` shows: whatever it cannot read exactly it leaves to
`change.event_of`, and a test holds that the two agree. Each unpacking takes as many fixed parts at once as
follow one another, for that is what makes it quick.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from struct import Struct, error
from typing import Final, TypeAlias

from eventbus.model import ClusterTime, Event
from eventbus.sources.mongodb.classify import Classified
from eventbus.sources.mongodb.elements import int32, strings
from eventbus.sources.mongodb.namespaces import Namespaces

__all__ = ["usual_event"]

_head: Final = Struct("<i5si7si").unpack_from
_ID: Final = b"\x03_id\0"
_DATA: Final = b"\x02_data\0"
_ID_BESIDE_DATA: Final = 16
"""Bytes of ``_id`` beside the text of ``_data``; more of them mean that it has further elements."""
_TYPE_BITS: Final = b"\x05_typeBits\0"
"""Keys that hold numbers other than small integers have it."""
_TYPE_BITS_BESIDE: Final = 16

_times_and_document: Final = Struct("<13sII10sq14si").unpack_from
_CLUSTER_TIME: Final = b"\x11clusterTime\0"
_WALL_TIME: Final = b"\x09wallTime\0"
_DOCUMENT: Final = b"\x03fullDocument\0"
_NO_DOCUMENT: Final = b"\x0afullDocument\0"

_namespace: Final = Struct("<4si").unpack_from
_NS: Final = b"\x03ns\0"
_key: Final = Struct("<13si").unpack_from
_KEY: Final = b"\x03documentKey\0"

_update: Final = Struct("<19si15si").unpack_from
_UPDATE: Final = b"\x03updateDescription\0"
_CHANGED: Final = b"\x03updatedFields\0"
_REMOVED: Final = b"\x04removedFields\0"
_NOTHING_TRUNCATED: Final = b"\x04truncatedArrays\0\x05\0\0\0\0\0"
"""That, and the end of ``updateDescription``: no further elements in it."""
_BEFORE: Final = b"\x03fullDocumentBeforeChange\0"
_NO_BEFORE: Final = b"\x0afullDocumentBeforeChange\0"

_CLASSIFIED: Final = b"\x03classified\0"

_OPERATION_HEAD: Final = 26
"""As many bytes of the element ``operationType`` as tell the four operations apart."""


def _operation_heads() -> dict[bytes, tuple[str, int]]:
    heads = {}
    for name in ("insert", "update", "replace", "delete"):
        head = b"\x02operationType\0%b%b\0" % ((len(name) + 1).to_bytes(4, "little"), name.encode())
        heads[head[:_OPERATION_HEAD]] = (name, len(head))
    return heads


_OPERATIONS: Final = _operation_heads()


_cluster_time: Final[Callable[[tuple[int, int]], ClusterTime]] = partial(tuple.__new__, ClusterTime)
"""The class's own ``__new__`` is a function in Python; this is none."""


def usual_event(  # noqa: PLR0911 - one pass; each call costs
    buffer: bytes, start: int, namespaces: Namespaces, classified: Classified
) -> Event | None:
    """The event of the change that begins at `start`; None if its layout is not the usual one."""
    try:
        size, id_name, id_size, data_name, data_size = _head(buffer, start)
        at = start + 9 + id_size
        operation = _OPERATIONS.get(buffer[at : at + _OPERATION_HEAD])
        if operation is None or id_name != _ID or data_name != _DATA:
            return None
        extra, further = None, id_size - data_size - _ID_BESIDE_DATA
        if further and (extra := _type_bits(buffer, start + 24 + data_size, further)) is None:
            return None
        at += operation[1]
        cluster, increment, seconds, wall, time_ms, name, length = _times_and_document(buffer, at)
        if cluster != _CLUSTER_TIME or wall != _WALL_TIME:
            return None
        document = None
        if name == _DOCUMENT:
            value, at = at + 53, at + 53 + length
            document = buffer[value:at]
        else:
            at += 53 if name == _NO_DOCUMENT else 39
        name, length = _namespace(buffer, at)
        if name != _NS:
            return None
        value, at = at + 4, at + 4 + length
        database, collection = namespaces[buffer[value:at]]
        name, length = _key(buffer, at)
        if name != _KEY:
            return None
        value, at = at + 13, at + 13 + length
        rest = _rest(buffer, at) if buffer[at] else _NOTHING
        if rest is None:
            return None
        return Event(
            token=buffer[start + 24 : start + 23 + data_size].decode(),
            operation=operation[0],
            database=database,
            collection=collection,
            cluster_time=_cluster_time((seconds, increment)),
            time_ms=time_ms,
            document_key=buffer[value:at],
            document=document,
            before=rest[2],
            changed=rest[0],
            removed=rest[1],
            size=size,
            extra=extra,
            attributes=classified[rest[3]] if rest[3] is not None else None,
        )
    except error:  # an unpacking beyond the end of the buffer
        return None


_Rest: TypeAlias = tuple[bytes | None, tuple[str, ...], bytes | None, bytes | None]
_NOTHING: Final[_Rest] = (None, (), None, None)


def _rest(buffer: bytes, at: int) -> _Rest | None:
    """What follows the document's key: the fields set, those removed, the document before, and names."""
    changed = before = names = None
    removed: tuple[str, ...] = ()
    if buffer.startswith(_UPDATE, at):
        _, length, name, changed_length = _update(buffer, at)
        value, end = at + 38, at + 38 + changed_length
        if name != _CHANGED or not buffer.startswith(_REMOVED, end):
            return None
        changed = buffer[value:end]
        (removed_length,) = int32(buffer, end + 15)
        if not buffer.startswith(_NOTHING_TRUNCATED, end + 15 + removed_length):
            return None
        if removed_length > 5:
            removed = strings(buffer[end + 15 : end + 15 + removed_length])
        at += 19 + length
    if buffer.startswith(_BEFORE, at):
        value, at = at + 26, at + 26 + int32(buffer, at + 26)[0]
        before = buffer[value:at]
    elif buffer.startswith(_NO_BEFORE, at):
        at += 26
    if buffer.startswith(_CLASSIFIED, at):
        value, at = at + 12, at + 12 + int32(buffer, at + 12)[0]
        names = buffer[value:at]
    return None if buffer[at] else (changed, removed, before, names)


def _type_bits(buffer: bytes, at: int, size: int) -> bytes | None:
    """The value of ``_typeBits``, if it is the element of this size that lies here."""
    if not buffer.startswith(_TYPE_BITS, at) or int32(buffer, at + 11)[0] != size - _TYPE_BITS_BESIDE:
        return None
    return buffer[at + _TYPE_BITS_BESIDE : at + size]
