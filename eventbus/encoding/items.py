"""One message for each item of a list: the event of every item, with an id that derives from the event's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from eventbus.errors import EncodingError, NoForm
from eventbus.expressions.expression import Expression, ExpressionError
from eventbus.expressions.view import Views
from eventbus.model import Event
from eventbus.sdk import Encoder

__all__ = ["ItemsEncoder"]


class ItemsEncoder:
    """The encoder of a route with ``for_each``. It is for a sink that asks for `events`, and encodes each.

    Args:
        encoder: What a message of an item looks like.
        items: Gives the list.
        views: Shared with whoever looks at the same events.
    """

    def __init__(self, encoder: Encoder, items: Expression, views: Views) -> None:
        self.content_type = encoder.content_type
        self.of_item = encoder
        self._items = items
        self._views = views

    def events(self, event: Event) -> Iterator[Event]:
        """The event of each item: with `item` and `index` under ``meta``, and an id of its own.

        Raises:
            NoForm: There is no item.
            EncodingError: It is no list.
        """
        try:
            found = self._items.value(self._views.of(event))
        except ExpressionError as error:
            raise EncodingError(f"for_each: {error}") from error
        if found is None or found == []:
            raise NoForm
        if not isinstance(found, list):
            raise EncodingError("for_each: it is no list")
        for index, item in enumerate(found):
            attributes = {**(event.attributes or {}), "item": item, "index": index}
            yield event.revised(attributes=attributes, id=_id_of(event, index), key=event.key)

    def encode(self, event: Event) -> bytes:
        """The event as a whole, for what the daemon itself says."""
        return self.of_item.encode(event)

    def headers(self, event: Event) -> Sequence[tuple[str, bytes]]:
        """See `eventbus.sdk.Encoder`."""
        return self.of_item.headers(event)


def _id_of(event: Event, index: int) -> str:
    return hashlib.blake2b(f"{event.id}:{index}".encode(), digest_size=16).hexdigest()
