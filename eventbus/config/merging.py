"""Several files to one configuration: sections are joined, nothing is ever overridden silently."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from eventbus.config.nodes import MappingNode, Node, Path, Place
from eventbus.config.problems import Problems

__all__ = ["merged"]

_JOINED_BY_NAME: Final = ("sinks", "subscriptions")


def merged(files: Sequence[MappingNode], problems: Problems) -> MappingNode:
    """One mapping of all sections. What two files both give is noted with both places; the first stays."""
    values: dict[str, Node] = {}
    keys: dict[str, Place] = {}
    for file in files:
        for section, node in file.values.items():
            known = values.get(section)
            if known is None:
                values[section], keys[section] = node, file.keys[section]
            elif _are_joined(section, known, node):
                values[section] = _joined(section, known, node, problems)
            else:
                problems.add(file.keys[section], (section,), f"already given at {keys[section]}")
    return MappingNode(files[0].place, values, keys)


def _are_joined(section: str, first: Node, second: Node) -> bool:
    return section in _JOINED_BY_NAME and isinstance(first, MappingNode) and isinstance(second, MappingNode)


def _joined(section: str, first: Node, second: Node, problems: Problems) -> MappingNode:
    assert isinstance(first, MappingNode)
    assert isinstance(second, MappingNode)
    for name in first.values.keys() & second.values.keys():
        path: Path = (section, name)
        problems.add(second.keys[name], path, f"already declared at {first.keys[name]}")
    values = {**first.values, **second.values, **first.values}  # in order, and the first wins
    return MappingNode(first.place, values, {**first.keys, **second.keys, **first.keys})
