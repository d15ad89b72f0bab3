"""From an admitted event to its message, as every way of delivery makes it. No I/O, and nothing is raised."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from eventbus.errors import EncodingError, NoForm
from eventbus.model import Event, Failure, Filtered, Message, Parked, Prepared, Rejected, Slot, Taken
from eventbus.sdk import Encoder, Sink

__all__ = ["message_of"]


def message_of(
    slot: Taken,
    sink: Sink,
    encoder: Encoder,
    transform: Callable[[Event], Slot] | None,
    log: structlog.stdlib.BoundLogger,
) -> Message | Rejected | Filtered:
    """The message of an event for a sink, or why there is none.

    Args:
        slot: The event, what it was prepared to be, or the event that a stage parked.
        sink: Where it goes.
        encoder: What messages of the route look like.
        transform: What the route makes of an event first; None for itself.
        log: Told of bugs.
    """
    if isinstance(slot, Parked):
        return Rejected(slot.reason, Failure.STAGE)
    try:
        made = _made_of(slot, transform)
        if isinstance(made, Parked):
            return Rejected(made.reason, Failure.STAGE)
        return made if isinstance(made, Filtered) else sink.encode(made, encoder)
    except NoForm:
        return Filtered(slot.event)
    except EncodingError as error:
        return Rejected(f"not encodable: {error}", Failure.ENCODING)
    except Exception as error:
        log.exception("encoding_raised", event_id=slot.event.id)
        return Rejected(f"not encodable: {type(error).__name__}", Failure.BUG)


def _made_of(slot: Event | Prepared, transform: Callable[[Event], Slot] | None) -> Slot:
    if isinstance(slot, Prepared):
        return slot.made
    return transform(slot) if transform is not None else slot
