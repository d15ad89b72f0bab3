"""Cleans texts, and takes out of them what is looked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from eventbus.expressions.values import kind_of
from eventbus.sdk import Options, StageContext
from eventbus.stages.fields import Around, FieldPaths, FieldStage, OnInvalid, UnfitValue, has_one_field
from eventbus.stages.patterns import Pattern, Template
from eventbus.stages.targets import Target, names_set
from eventbus.stages.texts import EVERYDAY, Everyday, email_in, normalised, phone_in

__all__ = ["Text", "TextOptions", "TextStep"]

_Step: TypeAlias = Callable[[str], Any]

_ACTIONS: Final = ("normalise", "extract", "regex", "split", "replace")


class TextStep(Options):
    """A step that needs more than its name; it does one thing."""

    normalise: Literal["NFC", "NFKC"] | None = None
    """The form of Unicode's; each run of white space becomes one space, and none is left at the ends."""
    extract: Literal["email", "phone"] | None = None
    """The first address of mail, or the first phone number, in the form +493012345; null if there is none."""
    country: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,2}$")] | None = None
    """With `extract: phone`: the calling code, such as "49", of numbers that name none."""
    regex: Pattern | None = None
    """A regular expression of RE2's: what it finds first, or null; with `with`, all of that is replaced."""
    group: Annotated[int, Field(ge=0)] | None = None
    """Which group of the regular expression is taken; by default the first, or all if it has none."""
    split: Annotated[str, Field(min_length=1)] | None = None
    """A separator; the text becomes an array, and later steps are done to each item."""
    replace: Annotated[str, Field(min_length=1)] | None = None
    """A text that is replaced wherever it is found."""
    with_: str | None = Field(default=None, alias="with")
    """What stands there instead; for a regular expression it may have groups, such as `\\1`."""

    @model_validator(mode="after")
    def _does_one_thing(self) -> Self:
        actions = [name for name in _ACTIONS if getattr(self, name) is not None]
        if len(actions) != 1:
            raise ValueError(f"expected one of {', '.join(_ACTIONS)} in each step")
        if self.country is not None and self.extract != "phone":
            raise ValueError("country belongs to extract: phone")
        if self.replace is not None and self.with_ is None:
            raise ValueError("replace needs with: what stands there instead")
        if self.with_ is not None and self.replace is None and self.regex is None:
            raise ValueError("with belongs to replace or regex")
        self._check_groups()
        return self

    def _check_groups(self) -> None:
        if self.group is not None and (self.regex is None or self.with_ is not None):
            raise ValueError("group belongs to a regex that takes something out")
        named = self.group or (Template(self.with_).largest_group if self.with_ is not None else 0)
        if self.regex is not None and named > self.regex.groups:
            raise ValueError(f"the regular expression has {self.regex.groups} groups, and no group {named}")


class TextOptions(Options):
    """What is done to which texts."""

    fields: FieldPaths
    """Paths of texts, which reach into arrays."""
    steps: Annotated[list[Everyday | TextStep], Field(min_length=1)]
    """What is done, in this order: `trim`, `lower`, `upper`, `title`, `normalise`, `strip_accents`, or a
    mapping."""
    target: Target | None = None
    """Where the result goes, of one field: a field such as `document.phone`, or a name; by default its own
    place."""
    on_invalid: OnInvalid = "fail"
    """What becomes of a value that is no text: `fail` makes the event a dead letter, `null` puts null there,
    `keep` leaves it."""

    @model_validator(mode="after")
    def _has_one_field(self) -> Self:
        has_one_field(self.fields, self.target)
        return self


class Text(FieldStage):
    """Does steps to texts.

    Args:
        options: What is done to which texts.
        context: What every stage is given.
    """

    name = "text"
    Options = TextOptions

    def __init__(self, options: TextOptions, context: StageContext) -> None:
        super().__init__(context, options.fields, options.target, options.on_invalid)
        self._steps = [_step(step) for step in options.steps]

    @staticmethod
    def sets(options: TextOptions) -> Iterator[str]:
        """The name that its events have from there on, if it is one."""
        return names_set([options.target] if options.target is not None else [])

    def made(self, value: Any, around: Around) -> Any:  # noqa: ARG002 - the text is all there is
        """See `FieldStage`."""
        if not isinstance(value, str):
            raise UnfitValue(f"{kind_of(value)} is no text")
        return _done(value, self._steps)


def _done(value: Any, steps: Sequence[_Step]) -> Any:
    for step in steps:
        if isinstance(value, list):
            value = [_done(item, [step]) for item in value]
        elif value is not None:
            value = step(value)
    return value


def _step(textstep: str | TextStep) -> _Step:
    if isinstance(textstep, str):
        return EVERYDAY[textstep]
    if textstep.normalise is not None:
        return partial(normalised, form=textstep.normalise)
    if textstep.extract is not None:
        return email_in if textstep.extract == "email" else partial(phone_in, country=textstep.country)
    if textstep.split is not None:
        separator = textstep.split
        return lambda text: text.split(separator)
    if textstep.regex is not None:
        return _with_regex(textstep.regex, textstep.group, textstep.with_)
    old, new = textstep.replace or "", textstep.with_ or ""
    return lambda text: text.replace(old, new)


def _with_regex(pattern: Pattern, group: int | None, instead: str | None) -> _Step:
    if instead is not None:
        return partial(pattern.replaced, template=Template(instead))
    return partial(pattern.found, group=group if group is not None else min(pattern.groups, 1))
