"""What users write for the stage `validate`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from eventbus.encoding.projection import within_document
from eventbus.sdk import Condition, Duration, Expression, Options
from eventbus.stages.validate.bounds import Bound, bound_of, kind_of_bound
from eventbus.stages.validate.comparing import Op
from eventbus.stages.validate.patterns import PatternText
from eventbus.stages.validate.times import TimeOfDay, ZoneName

__all__ = [
    "Comparison",
    "FieldRule",
    "HoursRule",
    "Length",
    "RateRule",
    "ReferenceRule",
    "Rule",
    "TypeName",
    "ValidateOptions",
]

TypeName = Literal[
    "string", "int", "double", "decimal", "number", "bool", "date", "object_id", "array", "object"
]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def _checked_path(text: str) -> str:
    names = text.split(".")
    if not all(names) or any(name.startswith("$") or "\0" in name for name in names):
        raise ValueError("expected a path of a field, such as payment.status")
    return within_document(text)


Path = Annotated[str, AfterValidator(_checked_path), Field(json_schema_extra={"minLength": 1})]
"""A path within a document; that of its ``_id``, too, for nothing is changed there."""


class Length(Options):
    """How long a value must be."""

    min: Annotated[int, Field(ge=0)] | None = None
    """At least so many."""
    max: Annotated[int, Field(ge=0)] | None = None
    """At most so many."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("say min or max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is more than max")
        return self


class FieldRule(Options):
    """What a field of the document must be like."""

    path: Path
    """Which one, such as `payment.total`; it reaches into arrays, of which each element must be so."""
    required: bool = False
    """Whether it must be there, and not null; otherwise a field that is not is not looked at."""
    type: TypeName | None = None
    """Of which type it must be."""
    min: Bound | None = None
    """The least that it may be: a number or a text, or a date as text where `type` is date."""
    max: Bound | None = None
    """The most that it may be."""
    one_of: tuple[Any, ...] = ()
    """What it may be."""
    matches: PatternText | None = None
    """A regular expression that must be found in the text."""
    length: Length | None = None
    """How many characters a text must have, or items an array."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not (self.required or self.model_fields_set - {"path", "required"}):
            raise ValueError("ask something of the field: required, type, min, max, one_of, matches, length")
        bounds = {name: bound for name, bound in (("min", self.min), ("max", self.max)) if bound is not None}
        kinds = {name: kind_of_bound(name, bound, self.type) for name, bound in bounds.items()}
        if len(set(kinds.values())) > 1:
            raise ValueError(f"min is {kinds['min']} and max {kinds['max']}")
        if len(bounds) == 2 and bound_of(bounds["min"], self.type) > bound_of(bounds["max"], self.type):
            raise ValueError("min is more than max")
        if self.matches is not None and self.type not in {None, "string"}:
            raise ValueError(f"matches is for texts, and type is {self.type}")
        if self.length is not None and self.type not in {None, "string", "array"}:
            raise ValueError(f"length is for texts and arrays, and type is {self.type}")
        return self


class Comparison(Options):
    """What must hold between an event and the document that it refers to."""

    ours: Expression
    """What is compared, such as `document.total`."""
    op: Op
    """How: `eq`, `ne`, `gt`, `gte`, `lt`, `lte`."""
    theirs: Path
    """With what: a path within the document that was found."""


class ReferenceRule(Options):
    """A document that must be there."""

    collection: Annotated[str, Field(min_length=1)]
    """Name of the collection, of the deployment whose changes are read."""
    database: Annotated[str, Field(min_length=1)] | None = None
    """Name of its database; by default that of the change."""
    key: Expression
    """What refers to it, such as `document.customer_id`; of a list, all that are in it must be there."""
    field: Path = "_id"
    """By which field it is found; it should have an index. Of several documents that with the least ``_id``
    counts."""
    compare: tuple[Comparison, ...] = ()
    """What must hold between the event and what is found."""


class HoursRule(Options):
    """When things may happen."""

    zone: ZoneName
    """Whose clocks count, such as `Europe/Berlin`."""
    days: Annotated[tuple[Day, ...], Field(min_length=1)] = ("mon", "tue", "wed", "thu", "fri")
    """On which days; where the time ends after midnight, the day on which it began counts."""
    from_: TimeOfDay = Field(alias="from")
    """When it begins, such as `"08:30"`."""
    to: TimeOfDay
    """When it ends, a minute that is no part of it; up to `"24:00"`, or after midnight."""
    time: Expression | None = None
    """Which moment is looked at; by default when the change was committed."""

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if self.from_ == self.to:
            raise ValueError('from and to are the same: for whole days say from "00:00" to "24:00"')
        return self


class RateRule(Options):
    """How often something may happen."""

    at_most: Annotated[int, Field(ge=1)]
    """So many events that keep the rule."""
    per: Annotated[Duration, Field(ge=1)]
    """In a time of this length, at any moment, by the cluster's clock."""
    by: Expression | None = None
    """What is counted apart, such as `document.customer_id`; by default all events are counted together."""
    entries: Annotated[int, Field(ge=1)] = 10_000
    """For how many values of `by` at most it is known; those that came longest ago are forgotten."""


_CHECKS: Final = ("field", "reference", "hours", "rate", "condition")


class Rule(Options):
    """One rule."""

    name: Annotated[str, Field(min_length=1, pattern=r"^[^\r\n]+$")]
    """What it is called, in dead letters, in `meta.warnings` and in the metric."""
    severity: Literal["error", "warning"] = "error"
    """What becomes of an event that does not keep it: ``error`` makes it a dead letter, ``warning`` tells of
    it in `meta.warnings`."""
    when: Condition | None = None
    """Of which events it must be true; by default of those that have a document."""
    field: FieldRule | None = None
    """A field must be so."""
    reference: ReferenceRule | None = None
    """A document must be there."""
    hours: HoursRule | None = None
    """It must be at such a time."""
    rate: RateRule | None = None
    """It must not be too often."""
    condition: Condition | None = None
    """This must be true."""

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        asked = [name for name in _CHECKS if getattr(self, name) is not None]
        if len(asked) != 1:
            found = f", and not {' and '.join(asked)}" if asked else ""
            raise ValueError(f"a rule has one of {', '.join(_CHECKS)}{found}")
        return self


class ValidateOptions(Options):
    """What events must be like."""

    rules: Annotated[tuple[Rule, ...], Field(min_length=1)]
    """All of them are tried on every event."""

    @model_validator(mode="after")
    def _can_be_told_apart(self) -> Self:
        twice = sorted(name for name, count in Counter(rule.name for rule in self.rules).items() if count > 1)
        if twice:
            raise ValueError(f"two rules are called {twice[0]}")
        waiting = self._names("reference")
        counting = self._names("rate")
        if waiting and counting:
            raise ValueError(
                f"{waiting[0]} waits for a collection and {counting[0]} counts: the first belongs in the "
                "subscription's pipeline, the second in a route's"
            )
        return self

    def _names(self, check: str) -> list[str]:
        return list(self._having(check))

    def _having(self, check: str) -> Iterator[str]:
        return (rule.name for rule in self.rules if getattr(rule, check) is not None)
