"""Makes documents of older schemas look like those of the newest, so that consumers know but one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Final, Self, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from eventbus.sdk import Condition, Event, Expression, ExpressionError, Options, StageContext, View
from eventbus.stages import upcasting
from eventbus.stages.changes import MISSING, value_in
from eventbus.stages.conversion import Kind, decimal_of
from eventbus.stages.each import EachEvent, StageError
from eventbus.stages.fields import FieldPaths
from eventbus.stages.moves import Moves
from eventbus.stages.rename import Renames
from eventbus.stages.targets import FieldPath, apart, set_in

__all__ = ["PlainStep", "Restructure", "Upcast", "UpcastOptions", "UpcastStep"]

_Step: TypeAlias = Callable[[Mapping[str, Any], View], Mapping[str, Any]]
"""A document, seen as the event's, as a step leaves it."""

_KINDS: Final = ("add", "rename", "transform", "restructure", "convert")
_FIRST: Final = 1
"""The version of a document that tells none."""


def _version(text: str) -> str:
    if not (text.isascii() and text.isdecimal()) or int(text) <= _FIRST or text != str(int(text)):
        raise ValueError("expected the number of a version from 2 on: documents without one have version 1")
    return text


class Restructure(Options):
    """Fields that go into an object, or out of one."""

    nest: Annotated[dict[FieldPath, FieldPaths], Field(min_length=1)] | None = None
    """By the object: the fields that go into it, under their last name."""
    unnest: FieldPaths | None = None
    """Objects whose fields go to where the object is, in place of it."""

    @model_validator(mode="after")
    def _does_one_thing(self) -> Self:
        if (self.nest is None) == (self.unnest is None):
            raise ValueError("expected nest or unnest")
        self.moves()
        return self

    def moves(self) -> dict[str, str]:
        """New paths by old ones, of what is nested.

        Raises:
            ValueError: Two fields would go to one place, or one to two.
        """
        pairs = [
            (field, f"{into}.{field.rpartition('.')[2]}")
            for into, fields in (self.nest or {}).items()
            for field in fields
        ]
        apart(old for old, _ in pairs)
        apart(new for _, new in pairs)
        return dict(pairs)


class PlainStep(Options):
    """A step that is done in any case; it does one thing."""

    add: Annotated[dict[FieldPath, Any], Field(min_length=1)] | None = None
    """Values by field, where there is none yet; null is one."""
    rename: Renames | None = None
    """New paths by old ones."""
    transform: Annotated[dict[FieldPath, Expression], Field(min_length=1)] | None = None
    """Expressions by the field that they give; `document` is the document as the step finds it."""
    restructure: Restructure | None = None
    """Fields that go into an object, or out of one."""
    convert: Annotated[dict[FieldPath, Kind], Field(min_length=1)] | None = None
    """Types by field, as for the stage `convert`."""

    @model_validator(mode="after")
    def _is_one_step(self) -> Self:
        kinds = self._kinds()
        done = [name for name in kinds if getattr(self, name) is not None]
        if len(done) != 1:
            raise ValueError(f"expected one of {', '.join(kinds)} in each step")
        return self

    @classmethod
    def _kinds(cls) -> Sequence[str]:
        return _KINDS


class UpcastStep(PlainStep):
    """A step; it does one thing, or several under a condition."""

    when: Condition | None = None
    """With `steps`: a condition; `document` is the document as the step finds it."""
    steps: Annotated[list[PlainStep], Field(min_length=1)] | None = None
    """What is done where it is true."""

    @model_validator(mode="after")
    def _has_a_condition_for_steps(self) -> Self:
        if (self.when is None) != (self.steps is None):
            raise ValueError("when and steps belong together")
        return self

    @classmethod
    def _kinds(cls) -> Sequence[str]:
        return (*_KINDS, "when")


class UpcastOptions(Options):
    """How documents become those of the newest version."""

    field: FieldPath = "_schema_version"
    """The field that tells the version, a whole number; a document without it has version 1."""
    versions: Annotated[dict[Annotated[str, AfterValidator(_version)], list[UpcastStep]], Field(min_length=1)]
    """By version, from 2 on: the steps that make it of the one before. The last one is the newest."""
    keep_old: bool = False
    """Whether fields that are renamed, nested or unnested also stay where they were."""


class Upcast(EachEvent):
    """Brings documents to the newest version.

    Args:
        options: How.
        context: What every stage is given.
    """

    name = "upcast"
    Options = UpcastOptions

    def __init__(self, options: UpcastOptions, context: StageContext) -> None:
        super().__init__(context)
        self._field = options.field
        steps = {
            int(version): [_step(step, keeps_old=options.keep_old) for step in steps]
            for version, steps in options.versions.items()
        }
        self._steps = sorted(steps.items())
        self._newest = self._steps[-1][0]

    def change(self, view: View) -> Event:
        """See `EachEvent`."""
        sections = {name: view.section(name) for name in ("document", "before")}
        made = {
            name: self._newest_of(section, view) for name, section in sections.items() if section is not None
        }
        parts: dict[str, Any] = {name: part for name, part in made.items() if part is not sections[name]}
        return view.event.revised(**parts) if parts else view.event

    def _newest_of(self, document: Mapping[str, Any], view: View) -> Mapping[str, Any]:
        version = self._version(document)
        if version == self._newest:
            return document
        for number, steps in self._steps:
            if number > version:
                document = _taken(steps, document, view, number)
        return set_in(document, self._field.split("."), self._newest, self._field)

    def _version(self, document: Mapping[str, Any]) -> int:
        version = value_in(document, self._field.split("."))
        if version is MISSING or version is None:
            return _FIRST
        number = decimal_of(version)
        if number is None or number != number.to_integral_value():
            raise StageError(f"{self._field}: the version is no whole number")
        if number > self._newest:
            raise StageError(
                f"{self._field}: the version is newer than {self._newest}, the newest that is known"
            )
        return int(number)


def _taken(
    steps: Sequence[_Step], document: Mapping[str, Any], view: View, version: int
) -> Mapping[str, Any]:
    for place, step in enumerate(steps, start=1):
        try:
            document = step(document, view.standing_for(document))
        except (StageError, ExpressionError) as error:
            raise StageError(f"version {version}, step {place}: {error}") from error
    return document


def _step(options: UpcastStep, *, keeps_old: bool) -> _Step:
    if options.steps is None or options.when is None:
        return _plain(options, keeps_old=keeps_old)
    condition, steps = options.when, [_plain(step, keeps_old=keeps_old) for step in options.steps]

    def done(document: Mapping[str, Any], view: View) -> Mapping[str, Any]:
        if condition.holds(view):
            for step in steps:
                document = step(document, view.standing_for(document))
        return document

    return done


def _plain(options: PlainStep, *, keeps_old: bool) -> _Step:
    if options.transform is not None:
        return partial(upcasting.transformed, expressions=options.transform)
    if options.add is not None:
        return _unseeing(partial(upcasting.added, values=options.add))
    if options.convert is not None:
        return _unseeing(partial(upcasting.of_types, kinds=options.convert))
    if options.rename is not None:
        return _unseeing(Moves(options.rename, keeps_old=keeps_old).in_document)
    assert options.restructure is not None
    return _restructured(options.restructure, keeps_old=keeps_old)


def _restructured(restructure: Restructure, *, keeps_old: bool) -> _Step:
    if restructure.unnest is not None:
        return _unseeing(partial(upcasting.unnested, paths=restructure.unnest, keeps_old=keeps_old))
    assert restructure.nest is not None
    return _unseeing(Moves(restructure.moves(), keeps_old=keeps_old).in_document)


def _unseeing(step: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> _Step:
    """A step that needs no more than the document."""
    return lambda document, _: step(document)
