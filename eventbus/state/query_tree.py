"""Queries over dead letters as trees, and what they select: the meaning that every store has to give them.

MongoDB gets a tree as a filter (see `eventbus.state.mongodb_query`), SQLite's rows are held against it here.
A row has no lists but its errors, of which one must match, and what is null is absent: so the corners in
which MongoDB's language surprises do not occur.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt
from typing import Any, Final, NamedTuple, TypeAlias, assert_never

from eventbus.state.pattern import Pattern
from eventbus.state.query_values import Kind, comparable

__all__ = [
    "DOCUMENT_KEY",
    "FIELDS",
    "All",
    "Compare",
    "Exists",
    "Field",
    "Matches",
    "Node",
    "Not",
    "OneOf",
    "Some",
    "field_named",
    "fields_of",
    "selects",
]

DOCUMENT_KEY: Final = "document_key."


class Field(NamedTuple):
    """A field of the row.

    Args:
        kind: What it holds.
        nullable: Whether it may be absent, which is the same as null.
        default: What a row has that was written before the field was known.
    """

    kind: Kind
    nullable: bool = False
    default: Any = None


_TEXT: Final = Field(Kind.TEXT)

FIELDS: Final[Mapping[str, Field]] = {
    **dict.fromkeys(("id", "event_id", "subscription", "route", "operation"), _TEXT),
    **dict.fromkeys(("database", "collection", "reason", "status", "token"), _TEXT),
    **dict.fromkeys(("errors.reason", "errors.kind"), _TEXT),
    **dict.fromkeys(("held_behind", "superseded_by", "operation_id"), Field(Kind.TEXT, nullable=True)),
    **dict.fromkeys(("attempts", "size"), Field(Kind.NUMBER)),
    "kind": Field(Kind.TEXT, default="rejected"),
    "config": Field(Kind.TEXT, default=""),
    "legal_hold": Field(Kind.TRUTH, default=False),
    "created_at": Field(Kind.TIME),
    "expires_at": Field(Kind.TIME, nullable=True),
    "cluster_time": Field(Kind.CLUSTER_TIME, nullable=True),
}
"""All fields but ``document_key.<path>``, which holds anything."""

_OF_THE_KEY: Final = Field(Kind.ANY, nullable=True)


@dataclass(frozen=True, slots=True)
class Compare:
    """A field stands in a relation to a value: ``$eq``, ``$gt``, ``$gte``, ``$lt`` or ``$lte``."""

    field: str
    operator: str
    value: Any


@dataclass(frozen=True, slots=True)
class OneOf:
    """A field equals one of several values."""

    field: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Exists:
    """A field is there."""

    field: str


@dataclass(frozen=True, slots=True)
class Matches:
    """A field is a text in which a pattern is found."""

    field: str
    pattern: Pattern


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds; with no parts, always."""

    parts: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Some:
    """At least one part holds."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Node


Leaf: TypeAlias = Compare | OneOf | Exists | Matches
Node: TypeAlias = Leaf | All | Some | Not

_RELATIONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "$eq": eq,
    "$gt": gt,
    "$gte": ge,
    "$lt": lt,
    "$lte": le,
}


def field_named(name: str) -> Field | None:
    """The field of a name, if there is one."""
    return _OF_THE_KEY if name.startswith(DOCUMENT_KEY) else FIELDS.get(name)


def fields_of(node: Node) -> frozenset[str]:
    """Names of the row's own fields that a query looks at: of a path its first part."""
    match node:
        case All(parts) | Some(parts):
            return frozenset[str]().union(*map(fields_of, parts))
        case Not(part):
            return fields_of(part)
        case _:
            return frozenset([node.field.partition(".")[0]])


def selects(node: Node, row: Mapping[str, Any]) -> bool:
    """Whether a query selects a row.

    Args:
        node: The query.
        row: The row's own fields by name, as BSON has them; at least `fields_of` the query.
    """
    match node:
        case All(parts):
            return all(selects(part, row) for part in parts)
        case Some(parts):
            return any(selects(part, row) for part in parts)
        case Not(part):
            return not selects(part, row)
        case _:
            return _holds(node, list(_values(row, node.field)))


def _holds(leaf: Leaf, values: Sequence[Any]) -> bool:
    match leaf:
        case Exists():
            return bool(values)
        case Matches(_, pattern):
            return any(pattern.search(value) for value in values if type(value) is str)
        case OneOf(_, wanted):
            return any(_compares("$eq", value, values) for value in wanted)
        case Compare(_, operator, wanted):
            return _compares(operator, wanted, values)
        case _:
            assert_never(leaf)


def _compares(operator: str, wanted: Any, values: Sequence[Any]) -> bool:
    if wanted is None:
        return not values or None in values
    order = comparable(wanted)
    assert order is not None
    kind, place = order
    found = [comparable(value) for value in values]
    return any(one is not None and one[0] == kind and _RELATIONS[operator](one[1], place) for one in found)


def _values(row: Mapping[str, Any], name: str) -> Iterator[Any]:
    """What a field holds: nothing if it is absent, several values if it is a field of the errors."""
    root, _, path = name.partition(".")
    if root == "errors":
        yield from (error[path] for error in row[root])
    elif not path:
        if row[root] is not None:
            yield row[root]
    else:
        value = row[root]
        for step in path.split("."):
            if not isinstance(value, Mapping) or step not in value:
                return
            value = value[step]
        yield value
