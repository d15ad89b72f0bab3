"""Reads dates, and tells what calendars say of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, model_validator

from eventbus.sdk import Event, Options, StageContext
from eventbus.stages import dates
from eventbus.stages.dates import Component, Period, Unit
from eventbus.stages.fields import Around, FieldPaths, FieldStage, OnInvalid, UnfitValue, has_one_field
from eventbus.stages.targets import Target, names_set

__all__ = ["Date", "DateOptions"]

_RESULTS: Final = ("component", "age", "format", "truncate")


def _zone(name: str) -> str:
    dates.zone_named(name)
    return name


class DateOptions(Options):
    """What is made of which dates."""

    fields: FieldPaths
    """Paths of dates, or of texts and numbers that say one; they reach into arrays."""
    parse: Annotated[
        tuple[Annotated[str, AfterValidator(dates.checked_source)], ...], Field(min_length=1)
    ] = ("iso",)
    """How texts and numbers say it, of which the first counts that fits: `iso`, `epoch_s`, `epoch_ms`, or a
    form such as `%d.%m.%Y`."""
    zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    """Name of the time zone in which texts without one are meant, and in which all below is told."""
    component: Component | None = None
    """A number: `year`, `quarter`, `month`, `week`, `day`, `weekday`, `hour`, `minute` or `second`."""
    age: Unit | None = None
    """Whole `years`, `days` or `hours` from the date to the change."""
    format: Annotated[str, AfterValidator(dates.checked_output)] | None = None
    """A text: `iso`, or a form such as `%d.%m.%Y`."""
    truncate: Period | None = None
    """The beginning of its `year`, `quarter`, `month`, `week`, `day`, `hour`, `minute` or `second`."""
    target: Target | None = None
    """Where the result goes, of one field: a field such as `document.year`, or a name; by default its own
    place."""
    on_invalid: OnInvalid = "fail"
    """What becomes of a value that is no date: `fail` makes the event a dead letter, `null` puts null there,
    `keep` leaves it."""

    @model_validator(mode="after")
    def _has_one_result(self) -> Self:
        results = [name for name in _RESULTS if getattr(self, name) is not None]
        if len(results) > 1:
            raise ValueError(f"expected one of {', '.join(_RESULTS)}, got {' and '.join(results)}")
        has_one_field(self.fields, self.target)
        return self


class Date(FieldStage):
    """Makes something of dates.

    Args:
        options: What, of which.
        context: What every stage is given.
    """

    name = "date"
    Options = DateOptions

    def __init__(self, options: DateOptions, context: StageContext) -> None:
        super().__init__(context, options.fields, options.target, options.on_invalid)
        self._forms = options.parse
        self._zone = dates.zone_named(options.zone)
        self._component = options.component
        self._age = options.age
        self._format = options.format
        self._truncate = options.truncate

    @staticmethod
    def sets(options: DateOptions) -> Iterator[str]:
        """The name that its events have from there on, if it is one."""
        return names_set([options.target] if options.target is not None else [])

    def made(self, value: Any, around: Around) -> Any:
        """See `FieldStage`."""
        moment = dates.date_of(value, self._forms, self._zone)
        if self._component is not None:
            return dates.component_of(self._local(moment), self._component)
        if self._age is not None:
            return dates.age(self._local(moment), self._local(_committed(around.view.event)), self._age)
        if self._format is not None:
            return dates.formatted(self._local(moment), self._format)
        if self._truncate is not None:
            return dates.truncated(self._local(moment), self._truncate)
        return moment

    def _local(self, moment: datetime) -> datetime:
        return dates.local(moment, self._zone)


def _committed(event: Event) -> datetime:
    """When the change was committed, which is the same whenever it is read."""
    if event.cluster_time is None:
        raise UnfitValue("the change has no cluster time by which to tell an age")
    return datetime.fromtimestamp(event.cluster_time[0], UTC).replace(tzinfo=None)
