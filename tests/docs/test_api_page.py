"""docs/api.md says for every command which paths it has, or why none; and no path is left out."""

from __future__ import annotations

import re

from eventbus.api.application import ENDPOINTS
from tests.docs.pages import ROOT, tables
from tests.docs.test_cli_page import COMMANDS

ROWS = tables(ROOT / "docs/api.md")["Commands and paths"]
NO_COMMAND = {"GET /version", "GET /configuration", "GET /sinks"}


def test_every_command_has_a_path_or_a_reason() -> None:
    """A new command or path is not forgotten: whoever adds one says what it is over HTTP, or at a prompt."""
    assert [command.strip("`") for command, _ in ROWS] == sorted(COMMANDS)
    there = {f"{one.method} {one.path}" for one in ENDPOINTS}
    named: set[str] = set()
    for command, said in ROWS:
        paths = set(re.findall(r"`((?:GET|POST) [^`]+)`", said))
        assert paths <= there, command
        assert paths or said.startswith("None: "), command
        if not said.startswith("None: "):
            named |= paths
    assert named == there - NO_COMMAND
