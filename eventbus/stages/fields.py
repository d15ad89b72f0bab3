"""What most stages that change values are: something that is done to a field, wherever an event has it.

A field is changed in place, in ``document`` and ``before`` and where an update touched it; or what is made of
it goes to a target, and the field stays.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, WithJsonSchema

from eventbus.sdk import Event, StageContext, View
from eventbus.stages.changes import MISSING, found_at, has_sides, placed, value_in
from eventbus.stages.each import EachEvent, StageError
from eventbus.stages.targets import FieldPath, put, set_in

__all__ = [
    "Around",
    "FieldPaths",
    "FieldStage",
    "OnInvalid",
    "UnfitValue",
    "Way",
    "has_one_field",
    "in_changed",
    "reached",
]

Way: TypeAlias = Callable[[Any], Any]

OnInvalid = Annotated[
    Literal["fail", "null", "keep"],
    BeforeValidator(lambda value: "null" if value is None else value),
    WithJsonSchema({"enum": ["fail", "null", "keep", None]}),
]
"""What becomes of a value that does not fit: the event is an error, or it becomes null, or it stays."""


FieldPaths = Annotated[list[FieldPath], Field(min_length=1)]
"""Paths of the fields that a stage is about."""


def has_one_field(fields: Sequence[str], target: str | None) -> None:
    """A target takes what is made of one field.

    Raises:
        ValueError: There are several.
    """
    if target is not None and len(fields) > 1:
        raise ValueError("a target takes one field: write a stage for each")


class UnfitValue(Exception):
    """Nothing can be made of a value; the text says what is wrong, and does not show it."""


@dataclass(frozen=True, slots=True)
class Around:
    """Where a value was found.

    Args:
        path: The field.
        view: The event.
        document: The document that it belongs to, as far as the event has it.
        side: Of what an update changed: the ``new`` value, or the ``old`` one.
    """

    path: str
    view: View
    document: Mapping[str, Any] | None
    side: Literal["new", "old"] = "new"

    def beside(self, path: str) -> Any:
        """What another field of the document has; None if it has none, or the event does not tell."""
        if self.document is not None:
            return _or_none(value_in(self.document, path.split(".")))
        for rest, value in found_at(self.view.section("changed") or {}, path):
            if not rest:
                return value.get(self.side) if has_sides(value) else value
        return _or_none(value_in(self.view.section("document"), path.split(".")))


class FieldStage(EachEvent):
    """A stage that makes something of fields, and of each item of an array. What is null stays so.

    Args:
        context: What every stage is given.
        fields: Paths of the fields.
        target: Where it goes, if there is one field; None for its own place.
        on_invalid: What becomes of a value that does not fit.
    """

    def __init__(
        self, context: StageContext, fields: Sequence[str], target: str | None, on_invalid: OnInvalid
    ) -> None:
        super().__init__(context)
        self._fields = fields
        self._target = target
        self._on_invalid = on_invalid

    @abstractmethod
    def made(self, value: Any, around: Around) -> Any:
        """What becomes of a value that is neither null nor an array.

        Raises:
            UnfitValue: Nothing can be made of it.
        """

    def is_itemwise(self, path: str) -> bool:  # noqa: ARG002 - it is so for most fields
        """Whether an array at a path is looked at item by item."""
        return True

    def change(self, view: View) -> Event:
        """See `EachEvent`."""
        if self._target is not None:
            return _Aside(view, self._fields[0], self._target, self._way).event()
        sections = {name: view.section(name) for name in ("document", "before", "changed")}
        made = dict(sections)
        for path in self._fields:
            for name, section in made.items():
                if section is not None:
                    made[name] = self._in_place(path, name, section, view)
        parts = {name: section for name, section in made.items() if section is not sections[name]}
        return view.event.revised(**parts) if parts else view.event

    def _in_place(self, path: str, name: str, section: Mapping[str, Any], view: View) -> Mapping[str, Any]:
        names = path.split(".")
        if name == "changed":
            new, old = self._way(_new(path, view)), self._way(_old(path, view))
            return in_changed(section, names, new, old, is_itemwise=self.is_itemwise(path))
        found: Mapping[str, Any] = reached(section, names, self._way(Around(path, view, section)))
        return found

    def _way(self, around: Around) -> Way:
        is_itemwise = self.is_itemwise(around.path)

        def done(value: Any) -> Any:
            if value is None:
                return None
            if is_itemwise and isinstance(value, list):
                return [done(item) for item in value]
            try:
                return self.made(value, around)
            except UnfitValue as error:
                return self._judged(around.path, value, error)

        return done

    def _judged(self, path: str, value: Any, error: UnfitValue) -> Any:
        match self._on_invalid:
            case "null":
                return None
            case "keep":
                return value
            case _:
                raise StageError(f"{path}: {error}") from error


class _Aside:
    """What is made of a field, at a target: a field of the documents, or a name of the event.

    Args:
        view: The event.
        path: The field; it is not looked for in arrays.
        target: Where it goes.
        way: What is done to a value, by where it was found.
    """

    def __init__(self, view: View, path: str, target: str, way: Callable[[Around], Way]) -> None:
        self._view = view
        self._path = path
        self._names = path.split(".")
        self._target = target
        self._way = way

    def event(self) -> Event:
        """The event with it."""
        if not self._target.startswith("document."):
            document = self._view.section("document")
            value = value_in(document, self._names)
            way = self._way(Around(self._path, self._view, document))
            return put(self._view, {self._target: None if value is MISSING else way(value)})
        to = self._target.partition(".")[2]
        parts: dict[str, Any] = {}
        for name in ("document", "before"):
            section = self._view.section(name)
            value = value_in(section, self._names)
            if section is not None and value is not MISSING:
                result = self._way(Around(self._path, self._view, section))(value)
                parts[name] = set_in(section, to.split("."), result, self._target)
        changed = self._view.section("changed")
        if changed is not None:
            parts["changed"] = self._changed(changed, to, value_in(parts.get("document"), to.split(".")))
        if self._is_removed() and to not in self._view.event.removed:
            parts["removed"] = [*self._view.event.removed, to]
        return self._view.event.revised(**parts) if parts else self._view.event

    def _changed(self, changed: Mapping[str, Any], to: str, now: Any) -> Mapping[str, Any]:
        """What an update set, and what is made of it; where it was set in part, as the document has it."""
        new, old = (self._way(around(self._path, self._view)) for around in (_new, _old))
        for rest, value in list(found_at(changed, self._path)):
            if not rest:
                changed = placed(changed, to, _both(value, new, old))
            elif now is not MISSING:
                changed = placed(changed, to, now)
        return changed

    def _is_removed(self) -> bool:
        return any(
            self._path == path or self._path.startswith(f"{path}.") for path in self._view.event.removed
        )


def reached(value: Any, names: Sequence[str], way: Way) -> Any:
    """A value with something done to what is at a path in it, within arrays too; itself if nothing is new.

    In an array a name leads into each item, and one of digits to the item at that place as well.
    """
    if not names:
        return way(value)
    if isinstance(value, Mapping):
        if names[0] not in value:
            return value
        inner = reached(value[names[0]], names[1:], way)
        return value if inner is value[names[0]] else {**value, names[0]: inner}
    if isinstance(value, list):
        items = [_in_item(place, item, names, way) for place, item in enumerate(value)]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    return value


def _in_item(place: int, item: Any, names: Sequence[str], way: Way) -> Any:
    if names[0] != str(place):
        return reached(item, names, way)
    if isinstance(item, Mapping):  # it may have a field that is called so
        item = reached(item, names, way)
    return reached(item, names[1:], way)


def in_changed(
    changed: Mapping[str, Any], names: Sequence[str], new: Way, old: Way, *, is_itemwise: bool = True
) -> Mapping[str, Any]:
    """What an update set, with something done to a field: above it, at it, and in arrays by their indexes.

    Args:
        changed: Values by path.
        names: The field's path.
        new: What is done to a new value.
        old: What is done to an old one, where values have two sides.
        is_itemwise: Whether items of an array at the path itself are meant as well.
    """
    made: dict[str, Any] = {}
    for path, value in changed.items():
        rest = _rest(path.split("."), names, is_itemwise=is_itemwise)
        if rest is None:
            made[path] = value
        elif has_sides(value, rest[0] if rest else None):
            made[path] = {
                side: reached(one, rest, old if side == "old" else new) for side, one in value.items()
            }
        else:
            made[path] = reached(value, rest, new)
    is_same = all(made[path] is changed[path] for path in made)
    return changed if is_same else made


def _rest(path: Sequence[str], names: Sequence[str], *, is_itemwise: bool) -> Sequence[str] | None:
    """What is left of a field's path below a path of an update; None if they do not meet."""
    at = 0
    for step in path:
        if at < len(names) and step == names[at]:
            at += 1
        elif not (step.isdecimal() and at and (is_itemwise or at < len(names))):
            return None
    return names[at:]


def _new(path: str, view: View) -> Around:
    return Around(path, view, view.section("document"))


def _old(path: str, view: View) -> Around:
    return Around(path, view, view.section("before"), "old")


def _or_none(value: Any) -> Any:
    return None if value is MISSING else value


def _both(value: Any, new: Way, old: Way) -> Any:
    if has_sides(value):
        return {side: (old if side == "old" else new)(one) for side, one in value.items()}
    return new(value)
