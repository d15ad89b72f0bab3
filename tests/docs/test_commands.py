"""Every command on the pages exists, with these options; every target of make that they name does, too."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import typer

from eventbus.cli.commands import app
from tests.docs.pages import PAGES, ROOT, blocks, code_spans

MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))
ASSIGNMENT = re.compile(r"[A-Z_]+=\S*")


def _commands(lines: list[str]) -> dict[str, list[list[str]]]:
    """By program, the words behind it; variables before it and comments behind it are left out."""
    found: dict[str, list[list[str]]] = {"eventbus": [], "make": []}
    for line in dict.fromkeys(lines):
        if re.search(r"(^|[ /])(eventbus|make) ", line):
            words = shlex.split(line, comments=True)
            while ASSIGNMENT.fullmatch(words[0]):
                words.pop(0)
            program = words.pop(0).rpartition("/")[2]
            found.setdefault(program, []).append(words)
    return found


IN_CONSOLES = _commands(
    [line[2:] for block in blocks("console") for line in block.text.splitlines() if line.startswith("$ ")]
)
IN_SENTENCES = _commands([span for page in PAGES for span in code_spans(page)])


@pytest.mark.parametrize("words", IN_CONSOLES["eventbus"], ids=" ".join)
def test_a_command_to_copy_is_understood(words: list[str]) -> None:
    """It exists, with these options and as many arguments, and lacks nothing."""
    assert _problem(typer.main.get_command(app), _up_to_redirection(words), whole=True) is None


@pytest.mark.parametrize("words", IN_SENTENCES["eventbus"], ids=" ".join)
def test_a_command_in_a_sentence_exists(words: list[str]) -> None:
    """It may lack what it would need to run."""
    assert _problem(typer.main.get_command(app), words, whole=False) is None


@pytest.mark.parametrize(
    "line",
    [
        "dqlist",
        "dlq purge",
        "run --confg a.yaml",
        "run a.yaml",
        "validate",
        "dlq list",
        "position show a b -c c.yaml",
    ],
)
def test_a_wrong_command_would_be_found(line: str) -> None:
    """What the test above would say of mistakes."""
    assert _problem(typer.main.get_command(app), line.split(), whole=True) is not None


def _up_to_redirection(words: list[str]) -> list[str]:
    return words[: words.index(">")] if ">" in words else words


def _problem(command: Any, words: list[str], *, whole: bool) -> str | None:
    """Why a call would be refused before it does anything; None if it would not be.

    Args:
        command: A command or a group of them.
        words: What stands behind it.
        whole: Whether what is required must be there.
    """
    while subcommands := getattr(command, "commands", None):
        if not words or words[0] not in subcommands:
            return f"no command {words[:1]} (known: {sorted(subcommands)})"
        command, words = subcommands[words[0]], words[1:]
    options = {name: parameter for parameter in command.params for name in parameter.opts if name[0] == "-"}
    positional = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    given, values = set(), 0
    remaining = iter(words)
    for word in remaining:
        if not word.startswith("-"):
            values += 1
        elif word not in options:
            return f"no option {word} (known: {sorted(options)})"
        else:
            given.add(options[word])
            if not options[word].is_flag and next(remaining, None) is None:
                return f"{word} needs a value"
    if whole and (
        missing := [p.name for p in command.params if p.required and p not in given and p not in positional]
    ):
        return f"misses {missing}"
    most = float("inf") if any(p.nargs == -1 for p in positional) else len(positional)
    least = sum(p.required for p in positional) if whole else 0
    return None if least <= values <= most else f"takes no {values} arguments"


@pytest.mark.parametrize("words", IN_CONSOLES["make"] + IN_SENTENCES["make"], ids=" ".join)
def test_a_target_of_make_exists(words: list[str]) -> None:
    """With a sentence of its own in `make help`, so that both say what there is."""
    assert set(words) <= TARGETS


def test_every_target_is_phony_and_in_the_help() -> None:
    """A target that is missing in .PHONY does nothing once a file has its name."""
    (phony,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    targets = set(re.findall(r"^([a-z-]+):(?!=)", MAKEFILE, re.MULTILINE))
    assert targets == TARGETS
    assert targets <= set(phony.split())


def test_commands_are_found() -> None:
    """Else the tests above would prove nothing."""
    assert ["run", "-c", "eventbus.yaml"] in IN_CONSOLES["eventbus"]
    assert ["schema", ">", "eventbus.schema.json"] in IN_CONSOLES["eventbus"]
    assert ["dlq", "list"] in IN_SENTENCES["eventbus"]
    assert ["test"] in IN_CONSOLES["make"]
