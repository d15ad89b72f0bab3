"""Updates whose document was gone when the server looked for it: what the user wants to become of them."""

from __future__ import annotations

from typing import Final, assert_never

from eventbus.model import Batch, Event, Filtered, Operation, Parked, Slot
from eventbus.sources.mongodb.options import LookupMissing
from eventbus.telemetry import metrics

__all__ = ["looked_up"]

_GONE: Final = "the document was gone when the server looked for it"


def looked_up(batch: Batch, policy: LookupMissing, subscription: str) -> Batch:
    """The batch with each update that has no document as the policy wants it; its length stays.

    Args:
        batch: What was read with ``updateLookup``.
        policy: What becomes of them.
        subscription: Name of the subscription, for the metric.
    """
    missing = sum(map(_lacks_document, batch.slots))
    if not missing:
        return batch
    metrics.lookups_missing(subscription, policy.value, missing)
    slots = [_as_wanted(slot, policy) if _lacks_document(slot) else slot for slot in batch.slots]
    return Batch(slots, batch.end)


def _lacks_document(slot: Slot) -> bool:
    return isinstance(slot, Event) and slot.document is None and slot.operation == Operation.UPDATE


def _as_wanted(slot: Slot, policy: LookupMissing) -> Slot:
    match policy:
        case LookupMissing.DELIVER_NULL:
            return slot
        case LookupMissing.SKIP:
            return Filtered(slot.event)
        case LookupMissing.DEAD_LETTER:
            return Parked(slot.event, _GONE)
        case _:
            assert_never(policy)
