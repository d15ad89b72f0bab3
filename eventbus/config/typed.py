"""Mappings whose key ``type`` decides what else they may hold: the state, sinks, sources."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from eventbus.config.nodes import MappingNode, Node, Path, Place, ScalarNode, described, is_broken, written
from eventbus.config.problems import Problems
from eventbus.suggestions import did_you_mean, listed

__all__ = ["Typed", "typed"]


@dataclass(frozen=True, slots=True)
class Typed:
    """A mapping whose type is known.

    Args:
        type: One of the known types.
        place: Where the type is written, or the mapping's own place where it has its default.
        options: The mapping less its type.
    """

    type: str
    place: Place
    options: MappingNode


def typed(
    node: Node,
    path: Path,
    problems: Problems,
    *,
    place: Place,
    known: Collection[str],
    default: str | None = None,
) -> Typed | None:
    """Tell the type of a mapping; None if it has none that is known, which is noted.

    Args:
        node: What was written.
        path: Where it belongs.
        problems: Takes what is wrong.
        place: Where a missing type is reported.
        known: The types that there are.
        default: The type of a mapping that names none.
    """
    if not isinstance(node, MappingNode):
        if not is_broken(node):
            problems.add(node.place, path, f"expected a mapping, got {written(node)}")
        return None
    named = node.values.get("type")
    if named is None and default is not None:
        return Typed(default, place, node)
    if named is None:
        problems.add(place, path, f"missing required key 'type' (known types: {listed(known)})")
        return None
    if isinstance(named, ScalarNode) and isinstance(named.value, str) and named.value in known:
        return Typed(named.value, named.place, node.without("type"))
    if not is_broken(named):
        problems.add(named.place, (*path, "type"), _what_is_wrong(named, known))
    return None


def _what_is_wrong(named: Node, known: Collection[str]) -> str:
    if not isinstance(named, ScalarNode) or not isinstance(named.value, str):
        return f"expected the name of a type, got {described(named)}"
    guess = "" if named.substitution else did_you_mean(named.value, known)
    return f"unknown type {written(named)}{guess} (known: {listed(known)})"
