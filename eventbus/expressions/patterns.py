"""Regular expressions as conditions have them: the engine of the expression library, linear in the text."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

from eventbus.expressions.library import compiled

__all__ = ["is_found", "wrong_with"]

_SAID: Final = re.compile(r"error: (?P<what>[^\n]*?)\.? Check function arguments")


def is_found(pattern: str, text: str) -> bool:
    """Whether a pattern is found anywhere in a text."""
    return bool(_program().execute({"text": text, "pattern": pattern}))


def wrong_with(pattern: str) -> str | None:
    """What is wrong with a pattern; None if it is a good one."""
    try:
        is_found(pattern, "")
    except Exception as error:  # noqa: BLE001 - the library raises what it likes
        found = list(_SAID.finditer(str(error)))
        return found[-1]["what"] if found else "the engine refuses it"
    return None


@cache
def _program() -> Any:
    return compiled("text.matches(pattern)")
