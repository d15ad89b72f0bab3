"""Makes documents flat, for targets that know rows and columns."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from eventbus.sdk import Event, Options, StageContext, View
from eventbus.stages.changes import mapped_details
from eventbus.stages.each import EachEvent
from eventbus.stages.flattening import Flattening
from eventbus.stages.targets import FieldPath

__all__ = ["Flatten", "FlattenOptions"]

_ALL: Final = 200
"""Levels; BSON has no more than half of them."""


def _separator(text: str) -> str:
    if any(sign in text for sign in ".$\0"):
        raise ValueError("a separator has no dot in it, and no dollar sign: they mean something in names")
    return text


class FlattenOptions(Options):
    """What becomes of objects within documents."""

    separator: Annotated[str, Field(min_length=1), AfterValidator(_separator)] = "_"
    """What stands between the names of a path in the new name."""
    depth: Annotated[int, Field(ge=1)] | None = None
    """How many levels become one with that of the field; by default all."""
    paths: tuple[FieldPath, ...] = ()
    """Which objects; by default all of the document. They reach into arrays. `_id` stays in any case."""
    arrays: Literal["keep", "index"] = "keep"
    """`keep` leaves arrays as they are; `index` makes a field of each item, such as `items_0_sku`."""


class Flatten(EachEvent):
    """Makes one level of objects within objects.

    Args:
        options: What becomes of them.
        context: What every stage is given.
    """

    name = "flatten"
    Options = FlattenOptions

    def __init__(self, options: FlattenOptions, context: StageContext) -> None:
        super().__init__(context)
        self._flat = Flattening(
            options.separator,
            options.depth if options.depth is not None else _ALL,
            options.paths,
            has_indexes=options.arrays == "index",
        )

    def change(self, view: View) -> Event:
        """See `EachEvent`."""
        flat, event = self._flat, view.event
        before = view.section("before")
        sections = {name: view.section(name) for name in ("document", "before", "changed")}
        made = {
            name: flat.changed(section) if name == "changed" else flat.document(section)
            for name, section in sections.items()
            if section is not None
        }
        parts: dict[str, Any] = {name: part for name, part in made.items() if part != sections[name]}
        removed = flat.removed(event.removed, before)
        if removed != list(event.removed):
            parts["removed"] = removed
        if event.details is not None:
            parts["details"] = mapped_details(view.section("details") or {}, flat.path)
        return event.revised(**parts) if parts else event
