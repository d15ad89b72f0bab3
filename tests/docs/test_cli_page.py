"""docs/cli.md lists every command there is, which of them print JSON, and with what they exit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

from eventbus.cli.commands import app
from tests.docs.pages import ROOT, tables

PAGE = ROOT / "docs/cli.md"
ROWS = {row[0].strip("`"): row for row in tables(PAGE)["Every command"]}


def _commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    subcommands = getattr(command, "commands", None)
    if subcommands is None:
        yield " ".join(words), command
        return
    for name, subcommand in subcommands.items():
        yield from _commands(subcommand, (*words, name))


COMMANDS = dict(_commands(typer.main.get_command(app)))


def test_every_command_is_listed() -> None:
    """In the order of their names, and none that is gone."""
    assert list(ROWS) == sorted(COMMANDS)


def test_the_page_knows_which_commands_print_json() -> None:
    """Those with an option of that name."""
    has = {
        name: any("--json" in parameter.opts for parameter in command.params)
        for name, command in COMMANDS.items()
    }
    assert {name: row[1] == "yes" for name, row in ROWS.items()} == has


def test_exit_codes_are_those_that_are_explained() -> None:
    """A command that takes a configuration may find it wrong; one that may ask or judge says what 1 means."""
    explained = {row[0] for row in tables(PAGE)["Exit codes"]}
    for name, (_, _, codes, what) in ROWS.items():
        listed = codes.split(", ")
        assert set(listed) <= explained
        assert listed == sorted(listed)
        takes_config = any(parameter.name in {"config", "files"} for parameter in COMMANDS[name].params)
        assert "2" in listed or not takes_config, name
        assert ("1" in listed) is bool(re.search(r"; 1 if ", what)), name
