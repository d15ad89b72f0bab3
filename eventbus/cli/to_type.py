"""Commands that people are told to type: with the configuration that they have given themselves."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

__all__ = ["COMMANDS", "naming"]

COMMANDS: Final = (
    *("dlq discard", "dlq list", "dlq replay", "doctor", "gaps", "operation list"),
    *("position forget", "position set", "position show"),
    *("resume", "run", "sink test", "snapshot", "status"),
)
"""What somebody may be told to type."""

_COMMAND: Final = re.compile(rf"\beventbus (?:{'|'.join(COMMANDS)})\b")


def naming(files: Sequence[Path]) -> Callable[[str], str]:
    """What puts files of a configuration into each command of a text.

    Args:
        files: As they were given.
    """
    options = "".join(f" -c {shlex.quote(str(file))}" for file in files)
    return lambda text: _COMMAND.sub(lambda command: command[0] + options, text)
