"""Gives fields another name, or another place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from eventbus.sdk import Event, Options, StageContext, View
from eventbus.stages.changes import mapped_details
from eventbus.stages.each import EachEvent
from eventbus.stages.moves import Moves
from eventbus.stages.targets import FieldPath, apart

__all__ = ["Rename", "RenameOptions", "Renames"]


def _checked(paths: dict[str, str]) -> dict[str, str]:
    for old, new in paths.items():
        if old == new:
            raise ValueError(f"{old} has that name already")
    apart(paths)
    apart(paths.values())
    return paths


Renames = Annotated[dict[FieldPath, FieldPath], Field(min_length=1), AfterValidator(_checked)]
"""New paths by old ones."""


class RenameOptions(Options):
    """What is called otherwise."""

    fields: Renames
    """New paths by old ones, such as `payment.card: card`. Objects on the way are made. `_id` stays."""


class Rename(EachEvent):
    """Moves fields to other paths.

    Args:
        options: What is called otherwise.
        context: What every stage is given.
    """

    name = "rename"
    short: ClassVar[str] = "fields"
    short_maps: ClassVar[bool] = True
    Options = RenameOptions

    def __init__(self, options: RenameOptions, context: StageContext) -> None:
        super().__init__(context)
        self._moves = Moves(options.fields)

    def change(self, view: View) -> Event:
        """See `EachEvent`."""
        moves, event = self._moves, view.event
        parts: dict[str, Any] = {}
        for name in ("document", "before", "changed"):
            section = view.section(name)
            if section is not None:
                parts[name] = moves.in_changed(section) if name == "changed" else moves.in_document(section)
        parts = {name: part for name, part in parts.items() if part is not view.section(name)}
        removed = moves.in_removed(event.removed)
        if removed != list(event.removed):
            parts["removed"] = removed
        if event.details is not None:
            parts["details"] = self._details(view.section("details") or {})
        return event.revised(**parts) if parts else event

    def _details(self, details: Mapping[str, Any]) -> Mapping[str, Any]:
        return mapped_details(details, self._moves.path)
