"""YAML text to a tree with places.

Plain values are read by the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema): only
``true`` and ``false`` are truth values, so that a country ``no`` stays text, and keys are always text. Merge
keys (``<<``) work. Messages show no text of the file beyond keys, since any value may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Any, Final

import yaml

from eventbus.config.content import content_of
from eventbus.config.nodes import MappingNode, Node, Path, Place, Scalar, ScalarNode, SequenceNode
from eventbus.config.problems import Problems

__all__ = ["read_file", "yaml_scalar"]

_PREFIX: Final = "tag:yaml.org,2002:"
_MERGE: Final = f"{_PREFIX}merge"
_MOST_NODES: Final = 100_000


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


_CORE: Final[tuple[tuple[str, str, Callable[[str], Scalar]], ...]] = (
    ("null", r"(?:~|null|Null|NULL|)", lambda _: None),
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)", _truth),
    ("int", r"[-+]?[0-9]{1,300}", int),
    ("int", r"0o[0-7]{1,300}", lambda text: int(text, 8)),
    ("int", r"0x[0-9a-fA-F]{1,300}", lambda text: int(text, 16)),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", float),
    ("float", r"[-+]?\.(?:inf|Inf|INF)", lambda text: float(text.replace(".", ""))),
    ("float", r"\.(?:nan|NaN|NAN)", lambda _: float("nan")),
)


class _CoreLoader(yaml.SafeLoader):
    """PyYAML's own parser with the tags of YAML 1.2 instead of 1.1."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - PyYAML's way: a class attribute that it copies on write


for _tag, _pattern, _ in _CORE:
    _CoreLoader.add_implicit_resolver(_PREFIX + _tag, re.compile(rf"(?:{_pattern})\Z"), None)
_CoreLoader.add_implicit_resolver(_MERGE, re.compile(r"<<\Z"), ["<"])


def yaml_scalar(text: str) -> Scalar:
    """What YAML reads where `text` stands without quotes."""
    for _, pattern, convert in _CORE:
        if re.fullmatch(pattern, text):
            return convert(text)
    return text


def read_file(
    file: FilePath, problems: Problems, such_as: str = "sections, such as mongodb, sinks and subscriptions"
) -> MappingNode | None:
    """What one file holds; None if it cannot be read or parsed, which is then noted.

    Args:
        file: The file.
        problems: Takes what is wrong.
        such_as: What it should be a mapping of, for people.
    """
    start = Place(str(file), 1, 1)
    try:
        text = content_of(file, also_from_the_shell=True).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problems.add(start, (), f"not UTF-8 text (byte {error.start})")
        return None
    except (OSError, ValueError) as error:
        problems.add(start, (), f"cannot be read: {getattr(error, 'strerror', None) or error}")
        return None
    try:
        root = _composed(text, start.file)
        node = _Reading(start.file, problems).root(root, start)
    except _SyntaxProblem as problem:
        problems.add(problem.place, (), problem.message)
        return None
    except RecursionError:
        problems.add(start, (), "nested too deeply")
        return None
    if not isinstance(node, MappingNode):
        problems.add(start, (), f"expected a mapping of {such_as}")
        return None
    return node


class _SyntaxProblem(Exception):
    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place
        self.message = message


def _composed(text: str, file: str) -> yaml.Node | None:
    loader = None
    try:
        loader = _CoreLoader(text)
        return loader.get_single_node()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position)
        column = error.position - (text.rfind("\n", 0, error.position) + 1)
        message = "a control character, which YAML allows only escaped in double quotes"
        raise _SyntaxProblem(Place(file, line + 1, column + 1), message) from None
    except yaml.MarkedYAMLError as error:
        raise _SyntaxProblem(
            _mark_place(file, error.problem_mark or error.context_mark), _syntax(error, text)
        ) from None
    except (ValueError, OverflowError):  # PyYAML lets escapes beyond Unicode and overlong numbers through
        mark = loader.get_mark() if loader is not None else None
        raise _SyntaxProblem(_mark_place(file, mark), "an escape or a number that is out of range") from None
    finally:
        if loader is not None:
            loader.dispose()


def _mark_place(file: str, mark: Any) -> Place:
    return Place(file, mark.line + 1, mark.column + 1) if mark is not None else Place(file, 1, 1)


def _syntax(error: yaml.MarkedYAMLError, text: str) -> str:
    """What the parser says, without the text that it may quote."""
    if isinstance(error, yaml.composer.ComposerError) and "alias" in str(error.problem):
        return "YAML syntax: an alias whose anchor is not defined (quote a text that begins with *)"
    mark = error.problem_mark
    before = (
        text.splitlines()[mark.line][: mark.column] if mark and mark.line < len(text.splitlines()) else ""
    )
    said = " ".join(part for part in (error.problem, error.context) if part)
    said = re.sub(r"(['\"])(.*?)\1", _short_quotation, said)
    if before.endswith("$"):
        return f"YAML syntax: {said}; inside {{ }} or [ ] a ${{...}} must be quoted"
    return f"YAML syntax: {said}"


def _short_quotation(match: re.Match[str]) -> str:
    """Punctuation and names of the grammar may be quoted, anything longer may be a secret."""
    return match.group() if len(match[2]) <= 2 or match[2].startswith("<") else "a text"


class _Reading:
    """Turns PyYAML's nodes of one file into ours."""

    def __init__(self, file: str, problems: Problems) -> None:
        self._file = file
        self._problems = problems
        self._count = 0
        self._open: set[int] = set()

    def root(self, root: yaml.Node | None, start: Place) -> Node:
        if root is None or (isinstance(root, yaml.ScalarNode) and root.tag == f"{_PREFIX}null"):
            return MappingNode(start)
        return self._node(root, ())

    def _node(self, node: yaml.Node, path: Path) -> Node:
        place = self._place(node)
        self._count += 1
        if self._count > _MOST_NODES:
            raise _SyntaxProblem(place, f"more than {_MOST_NODES:,} values, aliases counted in full")
        if id(node) in self._open:
            raise _SyntaxProblem(place, "an alias inside the anchor that it names")
        self._open.add(id(node))
        try:
            return self._by_kind(node, place, path)
        finally:
            self._open.discard(id(node))

    def _by_kind(self, node: yaml.Node, place: Place, path: Path) -> Node:
        tag = node.tag.removeprefix(_PREFIX)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, tag, place, path)
        if isinstance(node, yaml.SequenceNode) and tag == "seq":
            return SequenceNode(place, [self._node(item, (*path, i)) for i, item in enumerate(node.value)])
        if isinstance(node, yaml.MappingNode) and tag == "map":
            return self._mapping(node, place, path)
        return self._bad_tag(place, path)

    def _scalar(self, node: yaml.ScalarNode, tag: str, place: Place, path: Path) -> Node:
        plain = node.style is None
        if tag in ("str", "merge"):
            return ScalarNode(place, node.value, plain)
        for known, pattern, convert in _CORE:
            if tag == known and re.fullmatch(pattern, node.value):
                return ScalarNode(place, convert(node.value), plain)
        return self._bad_tag(place, path)

    def _bad_tag(self, place: Place, path: Path) -> Node:
        self._problems.add(place, path, "a YAML tag that does not fit here (quote a text that begins with !)")
        return ScalarNode(place, None, broken=True)

    def _mapping(self, node: yaml.MappingNode, place: Place, path: Path) -> MappingNode:
        values: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        merged: list[MappingNode] = []
        for key_node, value_node in node.value:
            key_place = self._place(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self._problems.add(key_place, path, "a key must be text")
            elif key_node.tag == _MERGE:
                merged += self._merged(value_node, path)
            elif key_node.value in keys:
                first = keys[key_node.value]
                message = f"key {key_node.value!r} is already set at {first.line}:{first.column}"
                self._problems.add(key_place, path, message)
            else:
                keys[key_node.value] = key_place
                values[key_node.value] = self._node(value_node, (*path, key_node.value))
        for base in merged:
            values = {**base.values, **values}
            keys = {**base.keys, **keys}
        return MappingNode(place, values, keys)

    def _merged(self, node: yaml.Node, path: Path) -> list[MappingNode]:
        """What ``<<`` brings in; of several mappings the first wins, as everywhere with merge keys."""
        value = self._node(node, path)
        several = value.items if isinstance(value, SequenceNode) else [value]
        if all(isinstance(base, MappingNode) for base in several):
            return [base for base in several if isinstance(base, MappingNode)]
        self._problems.add(value.place, path, "<< takes a mapping or a list of mappings")
        return []

    def _place(self, node: yaml.Node) -> Place:
        return _mark_place(self._file, node.start_mark)
