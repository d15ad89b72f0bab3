"""Makes new documents, of exactly the fields that users name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from eventbus.sdk import Event, Expression, ExpressionError, Options, StageContext, View
from eventbus.stages.changes import found_at, mapped_details, placed
from eventbus.stages.each import EachEvent, StageError
from eventbus.stages.targets import FieldPath, apart, set_in

__all__ = ["Map", "MapOptions"]


def _checked(fields: dict[str, Expression]) -> dict[str, Expression]:
    apart(fields)
    return fields


class MapOptions(Options):
    """What documents have from there on."""

    fields: Annotated[dict[FieldPath, Expression], Field(min_length=1), AfterValidator(_checked)]
    """Expressions by the field that they give, such as `total: document.price * 2`. `_id` stays."""


class Map(EachEvent):
    """Makes documents anew.

    Args:
        options: What they have.
        context: What every stage is given.
    """

    name = "map"
    Options = MapOptions

    def __init__(self, options: MapOptions, context: StageContext) -> None:
        super().__init__(context)
        self._fields = options.fields
        self._copies = [
            (".".join(expression.path[1:]), target)
            for target, expression in options.fields.items()
            if expression.path is not None and len(expression.path) > 1 and expression.path[0] == "document"
        ]

    def change(self, view: View) -> Event:
        """See `EachEvent`."""
        parts: dict[str, Any] = {}
        for name in ("document", "before"):
            section = view.section(name)
            if section is not None:
                parts[name] = self._made(section, view.standing_for(section))
        if view.event.changed is not None:
            parts["changed"] = self._copied(view.section("changed") or {})
        if view.event.removed:
            parts["removed"] = list(self._removed(view.event.removed))
        if view.event.details is not None:
            parts["details"] = mapped_details(view.section("details") or {}, self._path)
        return view.event.revised(**parts) if parts else view.event

    def _made(self, document: Mapping[str, Any], view: View) -> Mapping[str, Any]:
        made = {"_id": document["_id"]} if "_id" in document else {}
        for target, expression in self._fields.items():
            try:
                value = expression.value(view)
            except ExpressionError as error:
                raise StageError(f"{target}: {error}") from error
            made = set_in(made, target.split("."), value, target)
        return made

    def _copied(self, changed: Mapping[str, Any]) -> Mapping[str, Any]:
        """What an update set of the fields that are copied; of those that are computed nothing is known."""
        made: dict[str, Any] = {}
        for old, new in self._copies:
            for rest, value in found_at(changed, old):
                made = placed(made, new + rest, value)
        return made

    def _removed(self, removed: Sequence[str]) -> Iterator[str]:
        for path in removed:
            for old, new in self._copies:
                if path == old or path.startswith(f"{old}."):
                    yield new + path[len(old) :]
                elif old.startswith(f"{path}."):
                    yield new

    def _path(self, path: str) -> str | None:
        return next(iter(self._removed([path])), None)
