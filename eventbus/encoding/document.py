"""The envelope ``document``: the document itself, and nothing else. What is gone is a tombstone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from eventbus.encoding.json import decoded
from eventbus.errors import EncodingError, NoForm
from eventbus.model import Event, Operation, Section

__all__ = ["document_body"]

_DELETED: Final = "__deleted"
"""As Debezium marks deletes where it writes documents alone (``delete.handling.mode=rewrite``)."""


def document_body(write: Callable[[Section], bytes], *, tombstones: bool) -> Callable[[Event], bytes]:
    """Writes the document of a change.

    Args:
        write: Writes a document.
        tombstones: Whether the sink knows messages without content. Elsewhere a delete is the document's key
            with ``"__deleted": true``.
    """

    def body(event: Event) -> bytes:
        if event.document_key is None:
            raise NoForm(f"{event.operation} concerns no document")
        if event.operation == Operation.DELETE:
            return b"" if tombstones else write(_deleted(event.document_key))
        if event.document is None:
            raise EncodingError(f"the {event.operation} came without its document: see source.full_document")
        return write(event.document)

    return body


def _deleted(key: Section) -> dict[str, Any]:
    found = decoded(key) if isinstance(key, bytes) else dict(key or {})
    return found | {_DELETED: True}
