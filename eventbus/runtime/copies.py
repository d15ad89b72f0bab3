"""A copy of a dead letter as a message: of the whole event if possible, else of what is left of it.

Among dead letters are events that have no form, and events that are too large for any sink. A copy of such a
one has its identity and the reason at least.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from eventbus.errors import EncodingError
from eventbus.model import Event, Failure, Message, Rejected, Section
from eventbus.runtime.shared_sink import SharedSink
from eventbus.sdk import Encoded, Encoder, Sink
from eventbus.state.store import StoredDeadLetter

__all__ = ["CopiesTo", "Copy", "LetterEncoder"]

LetterEncoder: TypeAlias = Callable[[StoredDeadLetter, str], tuple[Encoder, Sequence[tuple[str, bytes]]]]
"""What the message of a dead letter looks like, and what headers it has besides; given why documents are left
out of it, an empty text if none are."""


@dataclass(frozen=True, slots=True)
class CopiesTo:
    """Where the dead letters of a route are copied to.

    Args:
        sink: The sink.
        encoder: What a copy looks like.
        omits: Why no copy has the documents of its event; empty if copies have them.
    """

    sink: SharedSink
    encoder: LetterEncoder
    omits: str = ""


class Copy:
    """A dead letter on its way to the dead-letter sink.

    Args:
        stored: The dead letter.
        sink: Where it goes.
        encoder: What it looks like.
        omits: Why it is to be without documents; empty if it may have them.
    """

    def __init__(self, stored: StoredDeadLetter, sink: Sink, encoder: LetterEncoder, omits: str = "") -> None:
        self.stored = stored
        self.message: Message | None = None
        """None if it has no form at all for this sink."""
        self.refusal = omits
        """Why it was not taken, in the form that it had before."""
        self._sink = sink
        self._encoder = encoder
        self._forms = _forms(stored)
        if omits:
            next(self._forms)
        self._shrink()

    def shrink(self, refusal: Rejected) -> bool:
        """The sink refused it; whether there is a smaller form that it may take."""
        self.refusal = refusal.reason
        self.message = None
        if refusal.kind is Failure.TOO_LARGE:
            self._shrink()
        return self.message is not None

    def _shrink(self) -> None:
        for event in self._forms:
            made = self._encoded(event)
            if isinstance(made, Message):
                self.message = made
                return
            self.refusal = made.reason

    def _encoded(self, event: Event) -> Encoded:
        encoder, headers = self._encoder(self.stored, self.refusal)
        try:
            message = self._sink.encode(event, encoder)
        except EncodingError as error:
            return Rejected(f"not encodable: {error}", Failure.ENCODING)
        except Exception as error:  # noqa: BLE001 - garbage for a document key is among the reasons to park
            return Rejected(f"not encodable: {type(error).__name__}", Failure.BUG)
        if isinstance(message, Message):
            message.headers = (*message.headers, *headers)
        return message


def _forms(stored: StoredDeadLetter) -> Iterator[Event]:
    """The event; without its documents; and without its document key."""
    event = stored.letter.event
    yield event
    yield _identity(event, stored.key, event.document_key)
    yield _identity(event, stored.key, None)


def _identity(event: Event, key: bytes, document_key: Section) -> Event:
    return Event(
        token=event.token,
        operation=event.operation,
        database=event.database,
        collection=event.collection,
        cluster_time=event.cluster_time,
        time_ms=event.time_ms,
        document_key=document_key,
        key=key,
        fragment=event.fragment,
    )
