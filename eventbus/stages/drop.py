"""Leaves some fields of documents out."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from eventbus.encoding.projection import Projection
from eventbus.sdk import Event, Options, StageContext, View
from eventbus.stages.each import EachEvent
from eventbus.stages.targets import FieldPath

__all__ = ["Drop", "DropOptions"]


class DropOptions(Options):
    """What is left out."""

    fields: Annotated[list[FieldPath], Field(min_length=1)]
    """Paths such as `payment.card`; they reach into arrays. `_id` stays in any case."""


class Drop(EachEvent):
    """Leaves fields out.

    Args:
        options: What is left out.
        context: What every stage is given.
    """

    name = "drop"
    hides: ClassVar[bool] = True
    short: ClassVar[str] = "fields"
    Options = DropOptions

    def __init__(self, options: DropOptions, context: StageContext) -> None:
        super().__init__(context)
        self._projection = Projection(without=options.fields)

    def change(self, view: View) -> Event:
        """See `EachEvent`."""
        return self._projection(view.event)
