"""The library that computes expressions, without its command line, which would cost every daemon 8 MB."""

from __future__ import annotations

import sys
from types import ModuleType

_COMMAND_LINE = "cel.cli"
"""Imported by the package itself, with an editor of lines and a highlighter; nothing of it is used here."""

sys.modules.setdefault(_COMMAND_LINE, ModuleType(_COMMAND_LINE))

import cel  # noqa: E402 - only now without it
from cel.stdlib import STDLIB_FUNCTIONS  # noqa: E402

__all__ = ["STDLIB_FUNCTIONS", "cel"]
