"""What most stages are: something that is done to each event by itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from eventbus.sdk import EncodingError, Event, ExpressionError, Filtered, Parked, Slot, StageContext, View

__all__ = ["EachEvent", "StageError"]


class StageError(Exception):
    """A stage cannot handle an event; the text names the field and shows no value of a document."""


class EachEvent(ABC):
    """A stage that looks at no other event.

    Args:
        context: What a stage is given.
    """

    name: ClassVar[str]

    def __init__(self, context: StageContext) -> None:
        self._views = context.views

    @abstractmethod
    def change(self, view: View) -> Event | Filtered:
        """What becomes of an event: itself if nothing does.

        Raises:
            StageError: It cannot be handled.
            ExpressionError: An expression has no result for it.
            EncodingError: It cannot be read.
        """

    async def apply(self, slots: Sequence[Slot]) -> Sequence[Slot]:
        """See `eventbus.sdk.Stage`."""
        changed = [self._changed(slot) if isinstance(slot, Event) else slot for slot in slots]
        is_same = all(new is old for new, old in zip(changed, slots, strict=True))
        return slots if is_same else changed

    def _changed(self, event: Event) -> Slot:
        try:
            return self.change(self._views.of(event))
        except (StageError, ExpressionError, EncodingError) as error:
            return Parked(event, str(error))
