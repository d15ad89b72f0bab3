"""Lets some events through and drops the others."""

from __future__ import annotations

from typing import ClassVar

from eventbus.sdk import Condition, Event, Filtered, Options, StageContext, View
from eventbus.stages.each import EachEvent

__all__ = ["Filter", "FilterOptions"]


class FilterOptions(Options):
    """Which events go on."""

    when: Condition
    """A condition; an event of which it is not true is dropped on every route."""


class Filter(EachEvent):
    """Lets through what a condition is true of.

    Args:
        options: Which events go on.
        context: What every stage is given.
    """

    name = "filter"
    looks_where_told: ClassVar[bool] = True
    short: ClassVar[str] = "when"
    Options = FilterOptions

    def __init__(self, options: FilterOptions, context: StageContext) -> None:
        super().__init__(context)
        self._when = options.when

    def change(self, view: View) -> Event | Filtered:
        """See `EachEvent`."""
        return view.event if self._when.holds(view) else Filtered(view.event)
