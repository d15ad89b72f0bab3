"""Reads the supported part of the language of regular expressions into a tree."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NoReturn, TypeAlias, cast

__all__ = ["Anchor", "Branches", "Chars", "Node", "Repeat", "Sequence", "parse_pattern"]

MAX_LENGTH: Final = 500
_MAX_STATES: Final = 1000
_MAX_PCRE: Final = 16_000
_MAX_DEPTH: Final = 20
_LAST: Final = 0x10FFFF
_SURROGATES: Final = (0xD800, 0xDFFF)
_LAST_RANGE_LETTER: Final = 0x24F
"""The case of letters within a range counts up to here, which is the end of extended Latin."""

_Range: TypeAlias = tuple[int, int]


class Anchor(StrEnum):
    """A place in the text; the value is how PCRE writes it."""

    TEXT_START = r"\A"
    LINE_START = "(?m:^)"
    TEXT_END = r"\Z"
    LINE_END = "(?m:$)"

    def pcre(self) -> str:
        """For the server."""
        return self.value


@dataclass(frozen=True, slots=True)
class Chars:
    """One character of a set, kept as sorted ranges of code points that do not touch."""

    ranges: tuple[_Range, ...]

    def __contains__(self, char: str) -> bool:
        """Whether a character, if it is one, is in the set."""
        if not char:
            return False
        point = ord(char)
        index = bisect_right(self.ranges, (point, _LAST)) - 1
        return index >= 0 and point <= self.ranges[index][1]

    def inverted(self) -> Chars:
        """All other characters."""
        edges = [-1, *(edge for lowest, highest in self.ranges for edge in (lowest, highest)), _LAST + 1]
        gaps = zip(edges[::2], edges[1::2], strict=True)
        return Chars(tuple((before + 1, after - 1) for before, after in gaps if after - before > 1))

    def pcre(self) -> str:
        """For the server."""
        parts = [rf"\x{{{low:x}}}-\x{{{high:x}}}" for low, high in _without_surrogates(self.ranges)]
        return f"[{''.join(parts)}]" if parts else "(?!)"


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after the other."""

    parts: tuple[Node, ...]

    def pcre(self) -> str:
        """For the server."""
        return "".join(part.pcre() for part in self.parts)


@dataclass(frozen=True, slots=True)
class Branches:
    """One of several."""

    branches: tuple[Node, ...]

    def pcre(self) -> str:
        """For the server."""
        return f"(?:{'|'.join(branch.pcre() for branch in self.branches)})"


@dataclass(frozen=True, slots=True)
class Repeat:
    """At least and at most so many times; None for no bound."""

    node: Node
    least: int
    most: int | None

    def pcre(self) -> str:
        """For the server."""
        most = "" if self.most is None else self.most
        return f"(?:{self.node.pcre()}){{{self.least},{most}}}"


Node: TypeAlias = Chars | Anchor | Sequence | Branches | Repeat


def parse_pattern(source: str, options: str) -> Node:
    """The tree of a pattern; see `eventbus.state.pattern.Pattern`."""
    if unknown := set(options) - set("imsx"):
        raise ValueError(f"there is no option {min(unknown)!r}: i, m, s and x are supported")
    if len(source) > MAX_LENGTH:
        raise ValueError(f"the pattern is longer than {MAX_LENGTH} characters")
    if any(_SURROGATES[0] <= ord(char) <= _SURROGATES[1] for char in source):
        raise ValueError("the pattern holds half a surrogate pair")
    tree = _Parser(source, options).parse()
    if _states(tree) > _MAX_STATES or len(tree.pcre()) > _MAX_PCRE:
        raise ValueError("the pattern is too large once its repetitions are written out")
    return tree


class _Parser:
    """One pass from left to right."""

    def __init__(self, source: str, options: str) -> None:
        self._source = source
        self._at = 0
        self._depth = 0
        self._ignore_case = "i" in options
        self._verbose = "x" in options
        lines = "m" in options
        self._plain: dict[str, Node] = {
            ".": _set([(0, _LAST)] if "s" in options else [(0, 9), (11, _LAST)]),
            "^": Anchor.LINE_START if lines else Anchor.TEXT_START,
            "$": Anchor.LINE_END if lines else Anchor.TEXT_END,
        }

    def parse(self) -> Node:
        tree = self._branches()
        if self._at < len(self._source):
            self._refuse("there is no group to close here")
        return tree

    def _branches(self) -> Node:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            self._refuse("groups are nested too deeply")
        branches = [self._sequence()]
        while self._took("|"):
            branches.append(self._sequence())
        self._depth -= 1
        return Branches(tuple(branches)) if len(branches) > 1 else branches[0]

    def _sequence(self) -> Node:
        parts: list[Node] = []
        self._skip_blanks()
        while self._at < len(self._source) and self._source[self._at] not in "|)":
            parts.append(self._repeated(self._atom()))
            self._skip_blanks()
        return Sequence(tuple(parts))

    def _atom(self) -> Node:
        char = self._next()
        if char in "*+?":
            self._refuse(f"there is nothing that {char} could repeat")
        plain = self._plain.get(char)
        if plain is not None:
            return plain
        read = {"(": self._group, "[": self._class, "\\": self._escaped}.get(char)
        return read() if read else self._cased([(ord(char), ord(char))])

    def _group(self) -> Node:
        if self._took("?") and not self._took(":"):
            self._refuse("of groups with a ? only (?:...) is supported")
        inner = self._branches()
        if not self._took(")"):
            self._refuse("a group is not closed")
        return inner

    def _repeated(self, node: Node) -> Node:
        self._skip_blanks()
        counted = _COUNT.match(self._source, self._at)
        if counted is None:
            return node
        if isinstance(node, Anchor):
            self._refuse("a place cannot be repeated")
        self._at = counted.end()
        least, most = _bounds(counted)
        if most is not None and most < least:
            self._refuse("a repetition has its bounds the wrong way round")
        self._skip_blanks()
        self._took("?")  # whether it would rather be short is no question when only asked whether it matches
        if _COUNT.match(self._source, self._at) or self._source[self._at : self._at + 1] == "+":
            self._refuse("a repetition is repeated: put it into a group")
        return Repeat(node, least, most)

    def _escaped(self) -> Chars:
        char = self._next("the pattern ends in a \\")
        if char in _CLASSES:
            return _CLASSES[char]
        return self._cased([(self._literal(char),) * 2])

    def _literal(self, char: str) -> int:
        """The code point that an escaped character stands for."""
        if char in _CONTROLS:
            return ord(_CONTROLS[char])
        if char.isalnum() or not char.isascii():
            self._refuse(f"\\{char} is not supported")
        return ord(char)

    def _class(self) -> Chars:
        inverted = self._took("^")
        if self._source.startswith("]", self._at):
            self._refuse("a set is empty: write \\] for a ] in it")
        ranges: list[_Range] = []
        plain: list[_Range] = []
        while not self._took("]"):
            item = self._class_item()
            if isinstance(item, Chars):
                plain += item.ranges
            else:
                ranges.append((item, self._range_end(item)))
        found = _set([*self._cased(ranges).ranges, *plain])
        return found.inverted() if inverted else found

    def _class_item(self) -> int | Chars:
        char = self._next("a set is not closed")
        if char == "[" and self._source[self._at : self._at + 1] in {":", ".", "="}:
            self._refuse("named sets such as [:alpha:] are not supported")
        if char != "\\":
            return ord(char)
        char = self._next("a set is not closed")
        return _CLASSES[char] if char in _CLASSES else self._literal(char)

    def _range_end(self, first: int) -> int:
        if self._source[self._at : self._at + 1] != "-" or self._source[self._at + 1 : self._at + 2] == "]":
            return first
        self._at += 1
        last = self._class_item()
        if isinstance(last, Chars) or last < first:
            self._refuse("a range in a set has no proper end")
        return last

    def _cased(self, ranges: Iterable[_Range]) -> Chars:
        given = list(ranges)
        return _set([*given, *_other_cases(given)] if self._ignore_case else given)

    def _skip_blanks(self) -> None:
        if self._verbose:
            self._at = cast("re.Match[str]", _BLANKS.match(self._source, self._at)).end()

    def _took(self, char: str) -> bool:
        took = self._source.startswith(char, self._at)
        self._at += took
        return took

    def _next(self, missing: str = "the pattern ends too early") -> str:
        if self._at >= len(self._source):
            self._refuse(missing)
        self._at += 1
        return self._source[self._at - 1]

    def _refuse(self, why: str) -> NoReturn:
        raise ValueError(f"at character {self._at}: {why}")


def _set(ranges: Iterable[_Range]) -> Chars:
    """The set of these ranges, joined where they touch."""
    joined: list[_Range] = []
    for lowest, highest in sorted(ranges):
        if joined and lowest <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], highest))
        else:
            joined.append((lowest, highest))
    return Chars(tuple(joined))


def _other_cases(ranges: Iterable[_Range]) -> Iterable[_Range]:
    for lowest, highest in ranges:
        last = highest if lowest == highest else min(highest, _LAST_RANGE_LETTER)
        for char in map(chr, range(lowest, last + 1)):
            for other in (char.lower(), char.upper()):
                if len(other) == 1:
                    yield (ord(other),) * 2


def _bounds(counted: re.Match[str]) -> tuple[int, int | None]:
    """The numbers of ``*``, ``+``, ``?``, ``{2}``, ``{2,}`` or ``{2,3}``."""
    if counted["sign"]:
        return _SIGNS[counted["sign"]]
    least = int(counted["least"])
    if counted["more"] is None:
        return least, least
    return least, int(counted["most"]) if counted["most"] else None


def _states(node: Node) -> int:
    """How large the automaton becomes."""
    match node:
        case Chars() | Anchor():
            return 1
        case Sequence(parts):
            return sum(map(_states, parts))
        case Branches(branches):
            return 1 + sum(map(_states, branches))
        case Repeat(inner, least, most):
            return 1 + (_states(inner) + 1) * (least + 1 if most is None else most)


def _without_surrogates(ranges: Iterable[_Range]) -> Iterable[_Range]:
    """The server takes no end of a range that is no character."""
    first, last = _SURROGATES
    for lowest, highest in ranges:
        low = last + 1 if first <= lowest <= last else lowest
        high = first - 1 if first <= highest <= last else highest
        if low <= high:
            yield low, high


_COUNT: Final = re.compile(r"(?P<sign>[*+?])|\{(?P<least>[0-9]{1,3})(?P<more>,(?P<most>[0-9]{1,3})?)?\}")
_SIGNS: Final = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_BLANKS: Final = re.compile(r"(?:[ \t\n\r\f\v]|#[^\n]*)*")
_CONTROLS: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f"}
_DIGITS: Final = _set([(0x30, 0x39)])
_WORD: Final = _set([(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)])
_SPACE: Final = _set([(0x09, 0x0D), (0x20, 0x20)])
_CLASSES: Final = {
    "d": _DIGITS,
    "w": _WORD,
    "s": _SPACE,
    "D": _DIGITS.inverted(),
    "W": _WORD.inverted(),
    "S": _SPACE.inverted(),
}
