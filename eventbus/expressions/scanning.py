"""What an expression names, and where: paths into the event, and functions.

The compiler tells names without their places and paths not at all. This scanner reads texts that have been
compiled already, so it need not find mistakes of syntax.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

__all__ = ["Call", "Mention", "Scan", "place_in", "scanned", "with_doubles"]

MACROS: Final = frozenset({"all", "exists", "exists_one", "filter", "map"})
"""Each binds its first argument within its parentheses."""
NAMESPACES: Final = frozenset({"base64", "lists", "math", "sets", "strings"})
_WORDS: Final = frozenset({"false", "in", "null", "true"})
_ARITHMETIC: Final = frozenset("+-*/%")
_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
    |(?P<string>(?:[rR][bB]?|[bB][rR])(?:\"\"\".*?\"\"\"|\'\'\'.*?\'\'\'|"[^"\n]*"|'[^'\n]*')
        |[bB]?(?:\"\"\"(?:\\.|.)*?\"\"\"|\'\'\'(?:\\.|.)*?\'\'\'|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'))
    |(?P<number>0[xX][0-9a-fA-F]+[uU]?|(?:\d+\.\d+|\.\d+|\d+)(?:[eE][+-]?\d+)?[uU]?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign>==|!=|<=|>=|&&|\|\||.)""",
    re.VERBOSE | re.DOTALL,
)
_PLAIN_STRING: Final = re.compile(r"""(['"])[^\\]*\1""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Mention:
    """A path into the event, such as ``document.payment.status``.

    Args:
        names: Its names, from the outermost.
        place: Where it begins in the text.
        is_compared_with_null: Whether it stands beside ``null`` in a comparison.
    """

    names: tuple[str, ...]
    place: int
    is_compared_with_null: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A function, with its namespace if it has one."""

    name: str
    place: int


@dataclass(slots=True)
class Scan:
    """All that an expression names.

    Args:
        mentions: Paths, in the order of the text.
        calls: Functions, in the order of the text.
        has_null: Whether it has the word null anywhere.
        is_path: Whether it is one path and nothing else.
    """

    mentions: list[Mention] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    has_null: bool = False
    is_path: bool = False


class _Token(NamedTuple):
    kind: str
    text: str
    place: int


_END: Final = _Token("end", "", -1)


def scanned(text: str) -> Scan:
    """What a text names that compiles."""
    tokens = list(_tokens(text))
    scan = Scan(has_null=any(token.text == "null" for token in tokens))
    bound: list[tuple[str, int]] = []  # names that macros bind, each with the depth at which it ends
    depth, index = 0, 0
    while index < len(tokens):
        token = tokens[index]
        if token.text in {"(", "[", "{"}:
            depth += 1
        elif token.text in {")", "]", "}"}:
            depth -= 1
            bound = [(name, inside) for name, inside in bound if inside <= depth]
        elif token.kind == "name":
            name = _bound_by(tokens, index)
            if name is not None:
                bound.append((name, depth + 1))
            index = _take_name(tokens, index, scan, {name for name, _ in bound})
            continue
        index += 1
    scan.is_path = len(scan.mentions) == 1 and not scan.calls and _is_one_path(tokens)
    return scan


def place_in(text: str, place: int) -> str:
    """A place as people say it: the column, and the line where there are several."""
    line, column = text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place)
    return f"column {column}" if "\n" not in text else f"line {line}, column {column}"


def with_doubles(text: str) -> str:
    """The same text with whole numbers that stand beside an arithmetic sign written as doubles."""
    tokens, pieces, at = list(_tokens(text)), [], 0
    for index, token in enumerate(tokens):
        around = {_at(tokens, index - 1).text, _at(tokens, index + 1).text}
        if token.kind == "number" and token.text.isdecimal() and around & _ARITHMETIC:
            end = token.place + len(token.text)
            pieces.append(text[at:end] + ".0")
            at = end
    return "".join([*pieces, text[at:]])


def _tokens(text: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text):
        if match.lastgroup != "space":
            yield _Token(match.lastgroup or "", match.group(), match.start())


def _at(tokens: list[_Token], index: int) -> _Token:
    return tokens[index] if 0 <= index < len(tokens) else _END


def _bound_by(tokens: list[_Token], index: int) -> str | None:
    """The name that a macro binds whose own name stands here."""
    follows_dot = _at(tokens, index - 1).text == "."
    if not follows_dot or tokens[index].text not in MACROS or _at(tokens, index + 1).text != "(":
        return None
    first, then = _at(tokens, index + 2), _at(tokens, index + 3)
    return first.text if first.kind == "name" and then.text == "," else None


def _take_name(tokens: list[_Token], index: int, scan: Scan, bound: set[str]) -> int:
    """Note what the name at an index is; the index of what comes after it."""
    token = tokens[index]
    is_called = _at(tokens, index + 1).text == "("
    if is_called and not (_at(tokens, index - 1).text == "." and token.text in MACROS):
        scan.calls.append(Call(token.text, token.place))
    if is_called or _at(tokens, index - 1).text == "." or token.text in _WORDS:
        return index + 1
    names, end = _chain(tokens, index)
    if token.text in NAMESPACES and len(names) == 1 and _at(tokens, end).text == ".":
        function = _at(tokens, end + 1)
        scan.calls.append(Call(f"{token.text}.{function.text}", token.place))
        return end + 2
    if token.text not in bound:
        beside_null = _is_comparison_with_null(tokens, index - 1, -1) or _is_comparison_with_null(
            tokens, end, 1
        )
        scan.mentions.append(Mention(tuple(names), token.place, beside_null))
    return end


def _chain(tokens: list[_Token], index: int) -> tuple[list[str], int]:
    """The names of a path that begins here, and the index of what comes after it."""
    names, end = [tokens[index].text], index + 1
    while True:
        sign, name, after = (_at(tokens, end + step) for step in range(3))
        if sign.text == "." and name.kind == "name" and after.text != "(":
            names.append(name.text)
            end += 2
        elif sign.text == "[" and _PLAIN_STRING.fullmatch(name.text) and after.text == "]":
            names.append(ast.literal_eval(name.text))
            end += 3
        else:
            return names, end


def _is_comparison_with_null(tokens: list[_Token], index: int, step: int) -> bool:
    return _at(tokens, index).text in {"==", "!="} and _at(tokens, index + step).text == "null"


def _is_one_path(tokens: list[_Token]) -> bool:
    return tokens[0].kind == "name" and _chain(tokens, 0)[1] == len(tokens)
