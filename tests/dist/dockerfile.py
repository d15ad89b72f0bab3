"""What a Dockerfile says, read as far as ours goes: stages, their instructions, arguments and variables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Copy", "Instruction", "Stage", "expanded", "stages"]

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction.

    Args:
        line: Where it begins.
        word: What is to be done, in capitals.
        rest: With what; continued lines joined as Docker joins them.
    """

    line: int
    word: str
    rest: str

    @property
    def words(self) -> list[str]:
        """A list in JSON's form, as of `CMD`."""
        written: list[str] = json.loads(self.rest)
        return written


@dataclass(frozen=True, slots=True)
class Copy:
    """What a `COPY` takes and where it puts it.

    Args:
        sources: Paths, in the context or in a stage.
        target: Where to.
        stage: The stage that has them; None for the context.
        owner: Whose they become.
    """

    sources: tuple[str, ...]
    target: str
    stage: str | None
    owner: str | None

    @classmethod
    def of(cls, instruction: Instruction) -> Copy:
        """The copy that an instruction asks for."""
        words = instruction.rest.split()
        flags = dict(word[2:].split("=", 1) for word in words if word.startswith("--"))
        *sources, target = [word for word in words if not word.startswith("--")]
        return cls(tuple(sources), target, flags.get("from"), flags.get("chown"))


@dataclass(frozen=True, slots=True)
class Stage:
    """One image of those that are made on the way.

    Args:
        name: How others call it.
        base: What it begins with.
        instructions: What is done then.
    """

    name: str
    base: str
    instructions: tuple[Instruction, ...]

    def all(self, word: str) -> list[Instruction]:
        """Those of one kind."""
        return [instruction for instruction in self.instructions if instruction.word == word]

    def one(self, word: str) -> Instruction:
        """The only one of a kind."""
        (instruction,) = self.all(word)
        return instruction


def stages(path: Path) -> dict[str, Stage]:
    """The stages of a file by name, in their order; arguments before the first are put into the bases."""
    arguments: dict[str, str] = {}
    found: list[tuple[str, str, list[Instruction]]] = []
    for instruction in _instructions(path.read_text()):
        if instruction.word == "FROM":
            base, _, name = expanded(instruction.rest, arguments).partition(" AS ")
            found.append((name, base, []))
        elif found:
            found[-1][2].append(instruction)
        else:
            arguments |= _default(instruction)
    return {name: Stage(name, base, tuple(inside)) for name, base, inside in found}


def expanded(text: str, values: Mapping[str, str]) -> str:
    """A text with its variables replaced; one that is not known is an error."""
    return _VARIABLE.sub(lambda match: values[match[1] or match[2]], text)


def _default(instruction: Instruction) -> dict[str, str]:
    assert instruction.word == "ARG", f"line {instruction.line}: {instruction.word} before the first FROM"
    name, _, value = instruction.rest.partition("=")
    return {name: value}


def _instructions(text: str) -> Iterator[Instruction]:
    """Lines that end in a backslash go on in the next; comments between them are left out."""
    begun, joined = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        begun = begun or number
        if line.endswith("\\"):
            joined += line[:-1]
            continue
        word, _, rest = (joined + line).strip().partition(" ")
        yield Instruction(begun, word.upper(), rest.strip())
        begun, joined = 0, ""
