"""The library that computes expressions: loaded with the first one, for a daemon may have none.

It comes without its command line, which would cost every daemon 8 MB.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import cache
from types import ModuleType
from typing import Any

__all__ = ["compiled", "standard_functions"]

_COMMAND_LINE = "cel.cli"
"""Imported by the package itself, with an editor of lines and a highlighter; nothing of it is used here."""


def compiled(text: str) -> Any:
    """A program, which the library can execute.

    Raises:
        ValueError: It is no expression; the text is the library's.
    """
    return _library().compile(text)


def standard_functions() -> Mapping[str, Callable[..., Any]]:
    """Functions that the library brings beside those of the language, by name."""
    _library()
    from cel.stdlib import STDLIB_FUNCTIONS  # noqa: PLC0415 - as the package itself

    return STDLIB_FUNCTIONS


@cache
def _library() -> Any:
    sys.modules.setdefault(_COMMAND_LINE, ModuleType(_COMMAND_LINE))
    import cel  # noqa: PLC0415 - only now without it

    return cel
