"""What the server answers to ``aggregate`` and ``getMore``, read from its raw bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from eventbus.model import ClusterTime
from eventbus.sources.mongodb.elements import int32, spans

__all__ = ["Reply"]


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer about a change stream's cursor.

    Args:
        cursor_id: The cursor's number; 0 once the server has closed it.
        collection: What ``getMore`` and ``killCursors`` want to be told besides.
        buffer: The answer's bytes.
        changes: Where in them the array of changes begins.
        token: The raw post-batch resume token: everything up to it is in this reply or an earlier one.
        operation_time: How far the server's own clock of operations was, if it says so.
    """

    cursor_id: int
    collection: str
    buffer: bytes
    changes: int
    token: bytes | None
    operation_time: ClusterTime | None

    @classmethod
    def of(cls, raw: bytes) -> Reply:
        """Read a raw reply that reports success."""
        fields = spans(raw)
        cursor = spans(raw, fields[b"cursor"][1])

        def value(of: dict[bytes, tuple[int, int, int]], name: bytes) -> bytes | None:
            span = of.get(name)
            return raw[span[1] : span[2]] if span else None

        return cls(
            cursor_id=int.from_bytes(value(cursor, b"id") or b"", "little", signed=True),
            collection=(value(cursor, b"ns") or b"")[4:-1].decode().partition(".")[2],
            buffer=raw,
            changes=(cursor.get(b"nextBatch") or cursor[b"firstBatch"])[1],
            token=value(cursor, b"postBatchResumeToken"),
            operation_time=_time(value(fields, b"operationTime")),
        )

    @property
    def is_empty(self) -> bool:
        """Whether it has no change at all."""
        return not self.buffer[self.changes + 4]

    def starts(self) -> Iterator[int]:
        """Where each change begins in `buffer`."""
        buffer = self.buffer
        at = self.changes + 4
        while buffer[at]:
            start = buffer.index(0, at + 1) + 1
            yield start
            at = start + int32(buffer, start)[0]


def _time(value: bytes | None) -> ClusterTime | None:
    """The time that BSON's timestamp holds: the increment stands first."""
    if value is None:
        return None
    return ClusterTime(int.from_bytes(value[4:], "little"), int.from_bytes(value[:4], "little"))
