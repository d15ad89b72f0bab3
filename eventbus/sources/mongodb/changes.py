"""From a reply's bytes to events: each change read once, a change that came in fragments put together.

Large changes come in fragments from servers that have ``$changeStreamSplitLargeEvent``. The token of a
fragment before the last one is never let out: whoever resumed there would get half an event.
"""

from __future__ import annotations

from typing import Final

from eventbus.model import Event, Operation
from eventbus.sources.mongodb.change import event_of
from eventbus.sources.mongodb.classify import Classified
from eventbus.sources.mongodb.delta import delta_of
from eventbus.sources.mongodb.elements import Element, elements, int32
from eventbus.sources.mongodb.namespaces import Namespaces
from eventbus.sources.mongodb.reply import Reply
from eventbus.sources.mongodb.usual import usual_event

__all__ = ["ChangeDecoder"]

_SPLIT: Final = b"splitEvent"


class ChangeDecoder:
    """Turns replies into events, and keeps the fragments of a change whose last one has not come yet.

    Args:
        delta: Whether updates are to tell old values beside the new ones.
    """

    def __init__(self, *, delta: bool = False) -> None:
        self._delta = delta
        self._namespaces = Namespaces()
        self._classified = Classified()
        self._fragments: dict[bytes, Element] = {}
        self._fragments_size = 0
        self._fragments_seen = 0

    @property
    def in_fragments(self) -> bool:
        """Whether part of a change was read and the rest was not."""
        return self._fragments_seen > 0

    def events(self, reply: Reply) -> list[Event]:
        """The changes of a reply that are complete.

        Raises:
            ConfigurationError: The subscription's own stages in the server spoil the changes.
        """
        buffer, names = reply.buffer, (self._namespaces, self._classified)
        events = []
        for start in reply.starts():
            event = usual_event(buffer, start, *names) or self._any_event(buffer, start)
            if event is not None:
                events.append(event)
        if self._delta:
            for event in events:
                if event.operation == Operation.UPDATE and event.changed is not None:
                    event.changed = delta_of(event)
        return events

    def forget(self) -> None:
        """Give up what was begun: the stream is read again from before it."""
        self._fragments = {}
        self._fragments_size = 0
        self._fragments_seen = 0

    def _any_event(self, buffer: bytes, start: int) -> Event | None:
        fields = elements(buffer, start)
        size: int = int32(buffer, start)[0]
        split = fields.pop(_SPLIT, None)
        if split is None:
            return event_of(fields, self._namespaces, self._classified, size=size)
        return self._with_fragment(fields, size, split)

    def _with_fragment(self, fields: dict[bytes, Element], size: int, split: Element) -> Event | None:
        parts = elements(split.value)
        number, of = (int.from_bytes(parts[name].value, "little") for name in (b"fragment", b"of"))
        if number != self._fragments_seen + 1:
            raise AssertionError(f"fragment {number} of {of} came after {self._fragments_seen}")
        self._fragments |= fields  # the last token replaces those before it
        self._fragments_size += size
        self._fragments_seen = number
        if number < of:
            return None
        whole, whole_size = self._fragments, self._fragments_size
        self.forget()
        return event_of(whole, self._namespaces, self._classified, size=whole_size, fragment=number - 1)
