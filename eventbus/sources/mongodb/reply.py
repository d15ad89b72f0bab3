"""What the server answers to ``aggregate`` and ``getMore``, read from its raw bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from eventbus.model import ClusterTime
from eventbus.sources.mongodb.elements import Element, elements, int32

__all__ = ["Reply"]


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer about a change stream's cursor.

    Args:
        cursor_id: The cursor's number; 0 once the server has closed it.
        collection: What ``getMore`` and ``killCursors`` want to be told besides.
        changes: The raw array of changes.
        token: The raw post-batch resume token: everything up to it is in this reply or an earlier one.
        operation_time: How far the server's own clock of operations was, if it says so.
    """

    cursor_id: int
    collection: str
    changes: bytes
    token: bytes | None
    operation_time: ClusterTime | None

    @classmethod
    def of(cls, raw: bytes) -> Reply:
        """Read a raw reply that reports success."""
        fields = elements(raw)
        cursor = elements(fields[b"cursor"].value)
        token = cursor.get(b"postBatchResumeToken")
        changes = cursor.get(b"nextBatch") or cursor[b"firstBatch"]
        return cls(
            cursor_id=int.from_bytes(cursor[b"id"].value, "little", signed=True),
            collection=cursor[b"ns"].text.partition(".")[2],
            changes=changes.value,
            token=token.value if token else None,
            operation_time=_time(fields.get(b"operationTime")),
        )

    def starts(self) -> Iterator[int]:
        """Where each change begins in `changes`."""
        changes = self.changes
        at = 4
        while changes[at]:
            start = changes.index(0, at + 1) + 1
            yield start
            at = start + int32(changes, start)[0]


def _time(element: Element | None) -> ClusterTime | None:
    if element is None:
        return None
    low, high = element.value[:4], element.value[4:]
    return ClusterTime(int.from_bytes(high, "little"), int.from_bytes(low, "little"))
