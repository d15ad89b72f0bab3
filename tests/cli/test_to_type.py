"""What people are told to type can be copied: it has the configuration that they have given."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

import eventbus
from eventbus.cli.commands import app
from eventbus.cli.to_type import COMMANDS, naming

SOURCE = Path(eventbus.__file__).parent
TELLING = ("administration", "doctor", "preview")
"""Who tells what to type, and knows of no files."""


def test_files_stand_behind_each_command_as_they_were_given() -> None:
    """Quoted for a shell, in their order; a text that is no command stays as it is."""
    name = naming([Path("a.yaml"), Path("my shop/b.yaml")])
    assert name("eventbus resume orders") == "eventbus resume -c a.yaml -c 'my shop/b.yaml' orders"
    assert naming([Path("a.yaml")])("eventbus position set orders: then eventbus snapshot orders") == (
        "eventbus position set -c a.yaml orders: then eventbus snapshot -c a.yaml orders"
    )
    for text in ("eventbus needs a folder", 'db.getSiblingDB("eventbus").stats()', "eventbus runs", ""):
        assert name(text) == text


@pytest.mark.parametrize("text", COMMANDS)
def test_what_takes_files_is_a_command_with_that_option(text: str, tmp_path: Path) -> None:
    """Or whoever copies it would be told so."""
    file = tmp_path / "eventbus.yaml"
    file.touch()
    _, *words = shlex.split(naming([file])(f"eventbus {text}"))
    command = typer.main.get_command(app)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    assert any("-c" in option.opts for option in command.params)
    assert words == ["-c", str(file)]


def test_every_command_that_is_told_takes_files() -> None:
    """A new one belongs into the list."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # it is a group
    told = {
        match[0]
        for folder in TELLING
        for path in (SOURCE / folder).rglob("*.py")
        for match in re.finditer(r"(?<=\beventbus )([a-z]+)(?: [a-z]+)?", path.read_text())
        if match[1] in commands
    }
    named = naming([Path("a.yaml")])
    assert len(told) > 5
    assert [one for one in told if named(f"eventbus {one}") == f"eventbus {one}"] == []
