"""Gives events a name's value by the first of several conditions that is true."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import Field

from eventbus.sdk import Condition, Event, ExpressionError, Options, StageContext, View
from eventbus.stages.each import EachEvent, StageError
from eventbus.stages.targets import Target, names_set, put

__all__ = ["Case", "Classify", "ClassifyOptions"]


class Case(Options):
    """One case."""

    when: Condition
    """A condition."""
    then: Any
    """The value, where it is true and none before it was."""


class ClassifyOptions(Options):
    """What is told of an event."""

    target: Target
    """Where the value goes: a name such as `severity`, or a field such as `document.severity`."""
    cases: Annotated[list[Case], Field(min_length=1)]
    """Looked at in their order."""
    otherwise: Any = None
    """The value where none is true."""


class Classify(EachEvent):
    """Sets a target to the value of the first case that holds.

    Args:
        options: What is told of an event.
        context: What every stage is given.
    """

    name = "classify"
    looks_where_told: ClassVar[bool] = True
    Options = ClassifyOptions

    def __init__(self, options: ClassifyOptions, context: StageContext) -> None:
        super().__init__(context)
        self._target = options.target
        self._cases = options.cases
        self._otherwise = options.otherwise

    @staticmethod
    def sets(options: ClassifyOptions) -> Iterator[str]:
        """The name that its events have from there on, if it is one."""
        return names_set([options.target])

    def change(self, view: View) -> Event:
        """See `EachEvent`."""
        return put(view, {self._target: self._value(view)})

    def _value(self, view: View) -> Any:
        for number, case in enumerate(self._cases, start=1):
            try:
                if case.when.holds(view):
                    return case.then
            except ExpressionError as error:
                raise StageError(f"{self._target}: case {number}: {error}") from error
        return self._otherwise
