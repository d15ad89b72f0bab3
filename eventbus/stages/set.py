"""Computes fields, and names that conditions know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import Field

from eventbus.sdk import Event, Expression, ExpressionError, Options, StageContext, View
from eventbus.stages.each import EachEvent, StageError
from eventbus.stages.targets import Target, names_set, put

__all__ = ["Set", "SetOptions"]


class SetOptions(Options):
    """What is computed."""

    fields: Annotated[dict[Target, Expression], Field(min_length=1)]
    """Expressions by what they give: a field such as `document.total`, or a name such as `urgency`."""


class Set(EachEvent):
    """Sets fields to what expressions give; all of them see the event as it was before the stage.

    Args:
        options: What is computed.
        context: What every stage is given.
    """

    name = "set"
    looks_where_told: ClassVar[bool] = True
    Options = SetOptions

    def __init__(self, options: SetOptions, context: StageContext) -> None:
        super().__init__(context)
        self._fields = options.fields

    @staticmethod
    def sets(options: SetOptions) -> Iterator[str]:
        """The names that its events have from there on."""
        return names_set(options.fields)

    def change(self, view: View) -> Event:
        """See `EachEvent`."""
        values: dict[str, Any] = {}
        for target, expression in self._fields.items():
            try:
                values[target] = expression.value(view)
            except ExpressionError as error:
                raise StageError(f"{target}: {error}") from error
        return put(view, values)
