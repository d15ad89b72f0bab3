"""What `dead_letters` says reaches the store."""

from __future__ import annotations

import pytest

from eventbus.errors import Unreachable
from tests.cli.command_line import CommandLine
from tests.state.letters import letter


@pytest.mark.parametrize("when_full", ["stop", "drop_oldest"])
def test_a_full_store_does_as_it_is_told(command: CommandLine, when_full: str) -> None:
    """One more is refused, or takes the place of the oldest."""
    limit = f"dead_letters: {{max_letters: 2, when_full: {when_full}}}\n"
    command.config_path.write_text(command.text + limit)
    command.park(letter(1), letter(2))
    if when_full == "stop":
        with pytest.raises(Unreachable):
            command.park(letter(3))
    else:
        command.park(letter(3))
    left = [row["document_key"]["_id"] for row in command("dlq", "list", "--json").rows]
    assert left == ([1, 2] if when_full == "stop" else [2, 3])
