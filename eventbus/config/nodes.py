"""The tree of what was written, each part with its place. It knows neither YAML nor models."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

__all__ = [
    "MappingNode",
    "Node",
    "Path",
    "Place",
    "Scalar",
    "ScalarNode",
    "SequenceNode",
    "Substitution",
    "descend",
    "described",
    "is_broken",
    "scalars",
    "written",
]

Scalar: TypeAlias = str | int | float | bool | None
Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something was written; lines and columns count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Substitution:
    """That a scalar's text came, in whole or in part, from variables or files.

    Args:
        label: How messages show the scalar instead of its text.
        parts: Each value that was put in, and how messages show it.
        untyped: What a place that takes anything gets.
        retyped: The text as YAML would read it, for places that take no text.
    """

    label: str
    parts: tuple[tuple[str, str], ...]
    untyped: Scalar
    retyped: Scalar


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """A single value.

    Args:
        place: Where it begins.
        value: What was written; the whole text where variables were put in.
        plain: Whether it was written without quotes.
        substitution: Set where variables were put in.
        broken: Whether its value could not be found out. That is reported already; say no more about it.
    """

    place: Place
    value: Scalar
    plain: bool = True
    substitution: Substitution | None = None
    broken: bool = False


@dataclass(frozen=True, slots=True)
class SequenceNode:
    """A list."""

    place: Place
    items: Sequence[Node]


@dataclass(frozen=True, slots=True)
class MappingNode:
    """A mapping from text to nodes.

    Args:
        place: Where it begins.
        values: The entries.
        keys: The place of each entry's key.
    """

    place: Place
    values: Mapping[str, Node] = field(default_factory=dict)
    keys: Mapping[str, Place] = field(default_factory=dict)

    def without(self, key: str) -> MappingNode:
        """The same mapping less one entry."""
        return replace(self, values={k: node for k, node in self.values.items() if k != key})

    def split(self, keys: Collection[str]) -> tuple[MappingNode, MappingNode]:
        """The entries with such keys, and the others."""
        chosen = {key: node for key, node in self.values.items() if key in keys}
        others = {key: node for key, node in self.values.items() if key not in keys}
        return replace(self, values=chosen), replace(self, values=others)


Node: TypeAlias = ScalarNode | SequenceNode | MappingNode


def descend(node: Node, step: object) -> Node | None:
    """The part of `node` under a key or an index, if there is one."""
    if isinstance(node, MappingNode) and isinstance(step, str):
        return node.values.get(step)
    if isinstance(node, SequenceNode) and isinstance(step, int) and 0 <= step < len(node.items):
        return node.items[step]
    return None


def scalars(node: Node) -> Iterator[ScalarNode]:
    """Every scalar of the tree."""
    match node:
        case ScalarNode():
            yield node
        case SequenceNode():
            for item in node.items:
                yield from scalars(item)
        case MappingNode():
            for value in node.values.values():
                yield from scalars(value)


def is_broken(node: Node | None) -> bool:
    """Whether `node` is a value that could not be found out."""
    return isinstance(node, ScalarNode) and node.broken


def described(node: Node) -> str:
    """What kind of thing was written, without its value."""
    match node:
        case MappingNode():
            return "a mapping"
        case SequenceNode():
            return "a list"
        case ScalarNode(value=None):
            return "nothing"
        case ScalarNode(value=bool()):
            return "true or false"
        case ScalarNode(value=str()):
            return "text"
        case _:
            return "a number"


def written(node: Node) -> str:
    """How a message shows what was written: its value, or the name of the variable it came from."""
    if not isinstance(node, ScalarNode):
        return described(node)
    if node.substitution is not None:
        return f"'{node.substitution.label}'"
    match node.value:
        case None:
            return "nothing"
        case bool():
            return str(node.value).lower()
        case str():
            return repr(node.value if len(node.value) <= 80 else f"{node.value[:77]}...")
        case _:
            return str(node.value)[:80]
