"""Random documents and updates of them, and what users are promised of ``fields`` and ``match``.

The promises are written here once more, from the page and not from the code: over what the server told of a
change (`passes`), and over the operators that made it (`must_pass`, `may_pass`), which know nothing of that.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = [
    "Change",
    "Scenario",
    "matches",
    "may_pass",
    "must_pass",
    "passes",
    "random_fields",
    "random_match",
]

Document: TypeAlias = dict[str, Any]

PATHS = (
    *("status", "payment", "payment.status", "payment.card", "payment.card.number", "kind"),
    *(
        "items",
        "items.quantity",
        "items.tags",
        "items.0",
        "items.0.quantity",
        "items.1.price",
        "items.tags.0",
    ),
    *("totals", "totals.2024", "totals.2024.paid", "totals.paid", "home", "home.town", "7", "7.status"),
)
"""What filters ask for: some of it never changes, some lies within arrays, some looks like a place in one."""


@dataclass(frozen=True)
class Change:
    """One write that changed something.

    Args:
        number: The ``_id`` of the document.
        operation: What the server calls it, as far as it is known here: an update may become a replace.
        paths: What the operators of an update name.
        before: The document before.
        after: The document after.
    """

    number: int
    operation: str
    paths: tuple[str, ...]
    before: Document
    after: Document


class Scenario:
    """Draws documents and writes.

    Args:
        seed: The same one draws the same.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def document(self, number: int) -> Document:
        """A document with arrays whose elements are large enough to be told one by one."""
        draw = self._random
        whole = {
            "_id": number,
            "kind": draw.choice(["a", "b"]),
            "status": self._word(),
            "payment": {"status": self._word(), "card": {"number": draw.randrange(5), "kind": self._word()}},
            "items": [self._item() for _ in range(draw.randrange(5))],
            "totals": {"2024": {"paid": draw.randrange(5)}, "2025": {"paid": 1}},
            "7": {"status": 1},
        }
        return {name: value for name, value in whole.items() if name == "_id" or draw.random() < 0.85}

    def update(self) -> tuple[Document | list[Document], tuple[str, ...]]:  # noqa: PLR0911 - one for each form
        """An update, and the paths that it names."""
        draw = self._random
        match draw.randrange(9):
            case 0:
                path = draw.choice(["items", "items.0.tags", "items.1.tags"])
                value = self._item() if path == "items" else self._word()
                return {"$push": {path: value}}, (path,)
            case 1:
                return {"$pop": {"items": draw.choice([1, -1])}}, ("items",)
            case 2:
                return {"$pull": {"items": {"quantity": draw.randrange(3)}}}, ("items",)
            case 3:
                kept = {"$slice": [{"$ifNull": ["$items", []]}, draw.randrange(1, 3)]}
                return [{"$set": {"items": kept}}], ("items",)
            case 4:
                town = {"field": {"$literal": "home.town"}, "input": "$$ROOT", "value": draw.randrange(9)}
                return [{"$replaceWith": {"$setField": town}}], ("home.town",)
            case 5:
                paths = self._paths()
                return {"$unset": dict.fromkeys(paths, 1)}, paths
            case _:
                paths = self._paths()
                return {"$set": {path: self._value(path) for path in paths}}, paths

    def chance(self, share: float) -> bool:
        """Whether something happens that happens so often."""
        return self._random.random() < share

    def number(self, below: int) -> int:
        """A number."""
        return self._random.randrange(below)

    def _paths(self) -> tuple[str, ...]:
        leaves = [
            "status",
            "payment",
            "payment.status",
            "payment.card.number",
            "kind",
            "home.town",
            "7.status",
        ]
        leaves += [
            "items.0",
            "items.0.quantity",
            "items.1.price",
            "items.2.quantity",
            "totals.2024.paid",
            "totals",
        ]
        chosen: list[str] = []
        for path in self._random.sample(leaves, self._random.randrange(1, 4)):
            if not any(
                f"{path}.".startswith(f"{one}.") or f"{one}.".startswith(f"{path}.") for one in chosen
            ):
                chosen.append(path)
        return tuple(chosen)

    def _value(self, path: str) -> Any:
        draw = self._random
        match path.rpartition(".")[2]:
            case "payment":
                return {"status": self._word(), "card": draw.choice([None, {"number": 1}])}
            case "totals":
                return {"2024": {"paid": draw.randrange(5)}}
            case "0":
                return self._item()
            case "kind":
                return draw.choice(["a", "b"])
            case _:
                return draw.choice([self._word(), draw.randrange(5), None])

    def _item(self) -> Document:
        draw = self._random
        return {
            "quantity": draw.randrange(3),
            "price": draw.randrange(9),
            "tags": [self._word()],
            "pad": "x" * 80,
        }

    def _word(self) -> str:
        return self._random.choice(["open", "paid", "gone"])


def random_fields(draw: random.Random) -> list[str] | None:
    """What a user might write under ``fields``."""
    return draw.sample(PATHS, draw.randrange(1, 4)) if draw.random() < 0.9 else None


def random_match(draw: random.Random) -> Document | None:
    """What a user might write under ``match``, of what `matches` knows."""
    simple: list[Document] = [
        {"operationType": {"$in": draw.sample(["insert", "update", "replace", "delete"], 2)}},
        {"fullDocument.kind": draw.choice(["a", "b"])},
        {"fullDocument.payment.status": {"$exists": draw.choice([True, False])}},
        {"documentKey._id": {"$in": draw.sample(range(12), 6)}},
        {"updateDescription.removedFields": draw.choice(["status", "payment.status"])},
        {"updateDescription.updatedFields.status": {"$exists": draw.choice([True, False])}},
    ]
    chosen = draw.choice(simple)
    match draw.randrange(4):
        case 0:
            return None
        case 1:
            return {"$or": [chosen, draw.choice(simple)]}
        case 2:
            return {"$nor": [chosen]}
        case _:
            return chosen


def matches(match: Mapping[str, Any] | None, change: Mapping[str, Any]) -> bool:
    """What MongoDB's language of queries says of a change as it was told without any filter."""
    return all(_holds(name, wanted, change) for name, wanted in (match or {}).items())


def _holds(name: str, wanted: Any, change: Mapping[str, Any]) -> bool:
    match name:
        case "$or":
            return any(matches(one, change) for one in wanted)
        case "$nor":
            return not any(matches(one, change) for one in wanted)
    value: Any = change
    for part in name.split("."):
        value = value.get(part, ...) if isinstance(value, Mapping) else ...
    match wanted:
        case {"$in": values}:
            return any(value == one for one in values)
        case {"$exists": there}:
            return bool(there) == (value is not ...)
    return bool(value == wanted or (isinstance(value, list) and wanted in value))


def passes(fields: list[str] | None, change: Mapping[str, Any]) -> bool:
    """Whether ``fields`` lets a change through, by what the server told of it."""
    if fields is None or change["operationType"] != "update":
        return True
    told = change["updateDescription"]
    paths = [
        *told["updatedFields"],
        *told["removedFields"],
        *(one["field"] for one in told["truncatedArrays"]),
    ]
    return any(_touches(path.split("."), field.split(".")) for path in paths for field in fields)


def must_pass(fields: list[str], change: Change) -> bool:
    """Whether the value of a field is another one than before."""
    return any(_values(change.before, field) != _values(change.after, field) for field in fields)


def may_pass(fields: list[str], change: Change) -> bool:
    """Whether an operator named a field, or what is around it or in it, or set all around it."""
    reached = [_reached(change.before, path.split(".")) for path in change.paths]
    return any(_touches(path, field.split(".")) for path in reached for field in fields)


def _touches(path: list[str], field: list[str], *, inside: bool = False) -> bool:
    """Whether they go along up to the end of one; numbers of the path count only where the field has one."""
    if not path or not field:
        return True
    if path[0] == field[0]:
        return _touches(path[1:], field[1:], inside=True)
    return (
        inside and path[0].isdecimal() and not field[0].isdecimal() and _touches(path[1:], field, inside=True)
    )


def _reached(before: Document, path: list[str]) -> list[str]:
    """The part of a path up to what the server may tell as a whole: an array, or what was not there."""
    at: Any = before
    for length, name in enumerate(path, start=1):
        at = at.get(name, ...) if isinstance(at, dict) else ...
        if not isinstance(at, dict):
            return path[:length]
    return path


def _values(document: Document, field: str) -> list[Any]:
    """Whatever is at a path, through arrays if it does not say where in them; null is as good as nothing.

    For MongoDB fills an array with null up to a place that is set, and tells of the place alone.
    """
    found = [*_at(document, field.split(".")), document.get(field) if "." in field else None]
    return [value for value in found if value is not None]


def _at(value: Any, names: list[str]) -> Iterator[Any]:
    if not names:
        yield value
    elif isinstance(value, dict):
        if names[0] in value:
            yield from _at(value[names[0]], names[1:])
    elif isinstance(value, list):
        if names[0].isdecimal():
            yield from _at(value[int(names[0])], names[1:]) if int(names[0]) < len(value) else ()
        else:
            for item in value:
                yield from _at(item, names)
