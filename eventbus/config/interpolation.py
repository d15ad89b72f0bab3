"""``${VAR}``, ``${VAR:-default}`` and ``${file:/path}`` in text, replaced by what they stand for.

A default is used where the variable is unset or empty, as in a shell, and may hold references itself. What a
variable or a file holds is taken as it is: references inside it are not followed. Keys are left alone.
``$${`` stands for ``${``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Final

from eventbus.config.content import content_of
from eventbus.config.nodes import MappingNode, Node, Path, ScalarNode, SequenceNode, Substitution
from eventbus.config.problems import Problems
from eventbus.config.reading import yaml_scalar

__all__ = ["interpolated"]

_VARIABLE: Final = re.compile(
    r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<has_default>:-(?P<default>.*))?", re.DOTALL
)
_BRACE: Final = re.compile(r"\$\{|\}")
_MOST_DEPTH: Final = 20
_FORMS: Final = "write ${VAR}, ${VAR:-default} or ${file:/path}, or $${ for a literal ${"


def interpolated(node: Node, environ: Mapping[str, str], problems: Problems, path: Path = ()) -> Node:
    """The tree with all references replaced; those that cannot be are noted and marked as broken."""
    match node:
        case MappingNode():
            values = {k: interpolated(v, environ, problems, (*path, k)) for k, v in node.values.items()}
            return MappingNode(node.place, values, node.keys)
        case SequenceNode():
            items = [interpolated(v, environ, problems, (*path, i)) for i, v in enumerate(node.items)]
            return SequenceNode(node.place, items)
        case ScalarNode(value=str() as text) if "${" in text:
            return _replaced(node, text, environ, problems, path)
        case _:
            return node


def _replaced(
    node: ScalarNode, text: str, environ: Mapping[str, str], problems: Problems, path: Path
) -> ScalarNode:
    expansion = _Expansion(environ, FilePath(node.place.file).parent)
    try:
        value, label = expansion.expand(text)
    except _BadReference as bad:
        problems.add(node.place, path, str(bad))
        return ScalarNode(node.place, None, broken=True)
    if not expansion.parts:
        return ScalarNode(node.place, value, plain=node.plain)
    retyped = yaml_scalar(value)
    alone = node.plain and expansion.parts[-1][1] == label
    parts = tuple(expansion.parts)
    return ScalarNode(
        node.place,
        value,
        node.plain,
        Substitution(label, parts, untyped=retyped if alone else value, retyped=retyped),
    )


class _BadReference(Exception):
    pass


class _Expansion:
    """One text under replacement, and the parts that were put into it."""

    def __init__(self, environ: Mapping[str, str], folder: FilePath) -> None:
        self._environ = environ
        self._folder = folder
        self.parts: list[tuple[str, str]] = []

    def expand(self, text: str) -> tuple[str, str]:
        """The text with references replaced, and how messages show it."""
        value = label = ""
        at = 0
        while (dollar := text.find("${", at)) >= 0:
            if text[dollar - 1 : dollar] == "$" and dollar > at:
                value, label = value + text[at:dollar] + "{", label + text[at:dollar] + "{"
                at = dollar + 2
                continue
            end = _end_of_reference(text, dollar)
            found, name = self._reference(text[dollar + 2 : end])
            value, label = value + text[at:dollar] + found, label + text[at:dollar] + name
            at = end + 1
        return value + text[at:], label + text[at:]

    def _reference(self, inner: str) -> tuple[str, str]:
        if inner.startswith("file:"):
            return self._put_in(self._file(inner.removeprefix("file:")), f"${{{inner}}}")
        match = _VARIABLE.fullmatch(inner)
        if match is None:
            raise _BadReference(f"not a reference: {_FORMS}")
        return self._put_in(self._variable(match), f"${{{match['name']}}}")

    def _put_in(self, value: str, label: str) -> tuple[str, str]:
        self.parts.append((value, label))
        return value, label

    def _variable(self, match: re.Match[str]) -> str:
        name = match["name"]
        value = self._environ.get(name)
        if match["has_default"]:
            return value or self.expand(match["default"])[0]
        if value is None:
            raise _BadReference(f"variable {name} is not set (${{{name}:-default}} gives it a default)")
        return value

    def _file(self, written: str) -> str:
        name = self.expand(written)[0]
        try:
            text = content_of(self._folder / name).decode()
        except UnicodeDecodeError:
            raise _BadReference(f"file {written} is not UTF-8 text") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not a path"
            raise _BadReference(f"file {written} cannot be read: {reason}") from None
        return text.removesuffix("\n").removesuffix("\r")


def _end_of_reference(text: str, start: int) -> int:
    """Index of the brace that closes the reference beginning at `start`, past those inside it."""
    depth = 0
    for match in _BRACE.finditer(text, start):
        depth += 1 if match.group() == "${" else -1
        if depth > _MOST_DEPTH:
            raise _BadReference("references inside references, too deep")
        if depth == 0:
            return match.start()
    raise _BadReference(f"a reference that is not closed: {_FORMS}")
