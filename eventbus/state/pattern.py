"""A regular expression that matches in time linear in the text, and the same on every store.

Patterns come from people and run against the texts of a hundred thousand rows, beside a daemon's checkpoints:
a backtracking engine could be kept busy for years by one of them. So the usual parts of the language are read
into a tree, and the tree becomes an automaton whose steps are remembered, and a pattern for the server's
engine (PCRE) in which everything is explicit: no option, no class and no letter is left to interpretation.
That engine does backtrack, and gives up after a bounded number of steps: with a repeated group of overlapping
parts it may find less in a long text, which docs/queries.md tells users.
Look-around, back references and word boundaries are not supported, since no automaton has them.
"""

from __future__ import annotations

from typing import Final

from eventbus.state.pattern_syntax import Anchor, Branches, Chars, Node, Repeat, Sequence, parse_pattern

__all__ = ["Pattern"]

_REMEMBERED_STEPS: Final = 20_000

_BEGIN: Final = 1
_AFTER_LINE: Final = 2
_END: Final = 4
_BEFORE_LINE: Final = 8
_BEFORE_LAST_LINE: Final = 16

_HOLDS: Final = {
    Anchor.TEXT_START: _BEGIN,
    Anchor.LINE_START: _BEGIN | _AFTER_LINE,
    Anchor.TEXT_END: _END | _BEFORE_LAST_LINE,
    Anchor.LINE_END: _END | _BEFORE_LINE,
}
_MATCH: Final = 0


class Pattern:
    """A pattern, ready to search.

    Args:
        source: What the user wrote.
        options: Letters of ``imsx``: ignore case, lines have their own ends, a dot is any character at all,
            blanks and comments are no part of the pattern.

    Raises:
        ValueError: It is not in the supported language; the text says what is wrong.
    """

    __slots__ = ("_program", "_start", "_steps", "pcre")

    def __init__(self, source: str, options: str = "") -> None:
        tree = parse_pattern(source, options)
        self.pcre = tree.pcre()
        """The same pattern for the server, which needs no options."""
        self._program = _Program()
        self._start = self._program.add(tree, _MATCH)
        self._steps: dict[tuple[frozenset[int], int, str], frozenset[int] | None] = {}

    def search(self, text: str) -> bool:
        """Whether the pattern is found anywhere in a text."""
        waiting: frozenset[int] | None = frozenset()
        for index in range(len(text) + 1):
            assert waiting is not None
            waiting = self._step(waiting, _place(text, index), text[index : index + 1])
            if waiting is None:
                return True
        return False

    def _step(self, waiting: frozenset[int], place: int, char: str) -> frozenset[int] | None:
        """Where the automaton can be after a character; None once it has found what it looks for."""
        step = (waiting, place, char)
        if step not in self._steps:
            if len(self._steps) >= _REMEMBERED_STEPS:
                self._steps.clear()
            self._steps[step] = self._program.advance({*waiting, self._start}, place, char)
        return self._steps[step]


class _Program:
    """The automaton: what each state consumes or leads to, by number; number 0 is the end."""

    __slots__ = ("_leads",)

    def __init__(self) -> None:
        self._leads: list[tuple[Chars | Anchor | None, tuple[int, ...]]] = [(None, ())]

    def add(self, node: Node, then: int) -> int:
        """Add a node that leads to `then`; return where it begins."""
        match node:
            case Chars() | Anchor():
                return self._state(node, (then,))
            case Sequence(parts):
                for part in reversed(parts):
                    then = self.add(part, then)
                return then
            case Branches(branches):
                return self._state(None, tuple(self.add(branch, then) for branch in branches))
            case Repeat():
                return self._repeated(node, then)

    def advance(self, states: set[int], place: int, char: str) -> frozenset[int] | None:
        reached = self._reached(states, place)
        if _MATCH in reached:
            return None
        consuming = [self._leads[state] for state in reached]
        return frozenset(
            then[0] for consumed, then in consuming if isinstance(consumed, Chars) and char in consumed
        )

    def _reached(self, states: set[int], place: int) -> set[int]:
        """These states and all that can be reached from them without a character."""
        reached: set[int] = set()
        open_ends = list(states)
        while open_ends:
            state = open_ends.pop()
            if state in reached:
                continue
            reached.add(state)
            needed, then = self._leads[state]
            if needed is None or (isinstance(needed, Anchor) and place & _HOLDS[needed]):
                open_ends += then
        return reached

    def _repeated(self, node: Repeat, then: int) -> int:
        if node.most is None:
            loop = self._state(None, ())
            self._leads[loop] = (None, (self.add(node.node, loop), then))
            start = loop
        else:
            start = then
            for _ in range(node.most - node.least):
                start = self._state(None, (self.add(node.node, start), then))
        for _ in range(node.least):
            start = self.add(node.node, start)
        return start

    def _state(self, consumed: Chars | Anchor | None, then: tuple[int, ...]) -> int:
        self._leads.append((consumed, then))
        return len(self._leads) - 1


def _place(text: str, index: int) -> int:
    """What anchors see between two characters. A newline that ends the text begins no line after it."""
    last = len(text)
    place = _BEGIN if index == 0 else 0
    if index == last:
        return place | _END
    if index and text[index - 1] == "\n":
        place |= _AFTER_LINE
    if text[index] == "\n":
        place |= _BEFORE_LINE | (_BEFORE_LAST_LINE if index == last - 1 else 0)
    return place
