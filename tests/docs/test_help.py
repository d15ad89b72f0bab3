"""The help of every command has examples, and they are understood."""

from __future__ import annotations

import re
import shlex

import pytest
import typer

from eventbus.cli.commands import app
from tests.docs.test_cli_page import COMMANDS
from tests.docs.test_commands import _problem


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_that_would_work(name: str) -> None:
    """At least one, each of that command and understood."""
    text = COMMANDS[name].help or ""
    examples = re.findall(r"^Example: eventbus (.+)$", text, re.MULTILINE)
    assert examples, f"{name}: --help has no example"
    for example in examples:
        words = shlex.split(example)
        words = words[: words.index(">")] if ">" in words else words
        assert words[: len(name.split())] == name.split()
        assert _problem(typer.main.get_command(app), words, whole=True) is None, example
