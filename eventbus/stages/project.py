"""Keeps some fields of documents, and leaves the others out."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from eventbus.encoding.projection import Projection
from eventbus.sdk import Event, Options, StageContext, View
from eventbus.stages.each import EachEvent
from eventbus.stages.targets import FieldPath

__all__ = ["Project", "ProjectOptions"]


class ProjectOptions(Options):
    """What is kept."""

    fields: Annotated[list[FieldPath], Field(min_length=1)]
    """Paths such as `payment.status`; they reach into arrays. `_id` stays in any case."""


class Project(EachEvent):
    """Keeps fields.

    Args:
        options: What is kept.
        context: What every stage is given.
    """

    name = "project"
    hides: ClassVar[bool] = True
    short: ClassVar[str] = "fields"
    Options = ProjectOptions

    def __init__(self, options: ProjectOptions, context: StageContext) -> None:
        super().__init__(context)
        self._projection = Projection(fields=options.fields)

    def change(self, view: View) -> Event:
        """See `EachEvent`."""
        return self._projection(view.event)
