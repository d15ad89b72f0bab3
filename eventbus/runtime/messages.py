"""From an admitted event to its message, as every way of delivery makes it. No I/O, and nothing is raised."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from eventbus.errors import EncodingError, NoForm
from eventbus.model import Event, Failure, Filtered, Message, Parked, Prepared, Rejected, Slot, Taken
from eventbus.sdk import Encoder, Sink

__all__ = ["MessageMaker"]


class MessageMaker:
    """Makes the messages of one route.

    Args:
        sink: Where they go.
        encoder: What they look like.
        transform: What the route makes of an event first; None for itself.
        log: Told of bugs.
    """

    def __init__(
        self,
        sink: Sink,
        encoder: Encoder,
        transform: Callable[[Event], Slot] | None,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._sink = sink
        self._encoder = encoder
        self._transform = transform
        self._log = log

    def message_of(self, slot: Taken) -> Message | Rejected | Filtered:
        """The message of an event, or why there is none.

        Args:
            slot: The event, what it was prepared to be, or the event that a stage parked.
        """
        made: Slot
        try:
            if isinstance(slot, Event):
                made = slot if self._transform is None else self._transform(slot)
            else:
                made = slot.made if isinstance(slot, Prepared) else slot
            if isinstance(made, Parked):
                return Rejected(made.reason, Failure.STAGE)
            return made if isinstance(made, Filtered) else self._sink.encode(made, self._encoder)
        except NoForm:
            return Filtered(slot.event)
        except EncodingError as error:
            return Rejected(f"not encodable: {error}", Failure.ENCODING)
        except Exception as error:  # noqa: BLE001 - a bug of a sink or a stage; the log has it
            self._log.exception("encoding_raised", event_id=slot.event.id)
            return Rejected(f"not encodable: {type(error).__name__}", Failure.BUG)
