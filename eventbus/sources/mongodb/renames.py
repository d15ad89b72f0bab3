"""Which collections of a batch of changes have another name behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import bson

from eventbus.model import Batch, Event

__all__ = ["Rename", "renames"]

_RENAME: Final = "rename"


@dataclass(frozen=True, slots=True)
class Rename:
    """A collection that was given another name, with all of its documents.

    Args:
        namespace: ``database.collection`` before.
        to: The same behind it.
    """

    namespace: str
    to: str


def renames(batch: Batch) -> Sequence[Rename]:
    """The renames among the changes of a batch, in order, as far as the user's stages leave their target."""
    found = (_rename(slot.event) for slot in batch.slots if slot.event.operation == _RENAME)
    return [rename for rename in found if rename is not None]


def _rename(event: Event) -> Rename | None:
    if not isinstance(event.changed, bytes):
        return None
    to = bson.decode(event.changed).get("to", {})
    return Rename(f"{event.database}.{event.collection}", f"{to.get('db')}.{to.get('coll')}")
