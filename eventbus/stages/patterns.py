"""Regular expressions of users, run by RE2: in time linear in the text, whatever somebody wrote.

https://github.com/google/re2/wiki/Syntax: there are no look-around and no references back.
"""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from eventbus.stages.fields import UnfitValue

__all__ = ["LONGEST_TEXT", "Pattern", "Template"]

LONGEST_TEXT: Final = 10_000
"""In a longer text nothing is replaced: each match may look at all the rest, which takes the square of it."""

_GROUP: Final = re.compile(r"\\([0-9\\])")


class Template:
    r"""What stands instead of a match: text in which ``\1`` stands for a group, and ``\\`` for a backslash.

    Args:
        text: What the user wrote.
    """

    def __init__(self, text: str) -> None:
        pieces = _GROUP.split(text)
        self._pieces = [
            int(piece) if index % 2 and piece.isdecimal() else piece for index, piece in enumerate(pieces)
        ]

    @property
    def largest_group(self) -> int:
        """The largest group that it names."""
        return max((piece for piece in self._pieces if isinstance(piece, int)), default=0)

    def filled(self, match: Any) -> str:
        """The text for a match."""
        return "".join((match[piece] or "") if isinstance(piece, int) else piece for piece in self._pieces)


class Pattern:
    """A regular expression.

    Args:
        text: What the user wrote.

    Raises:
        ValueError: It is none, or the engine is not installed; the text says so.
    """

    def __init__(self, text: str) -> None:
        if find_spec("re2") is None:
            raise ValueError("a regular expression needs the package google-re2: install eventbus[regex]")
        re2 = import_module("re2")
        options = re2.Options()
        options.log_errors = False
        try:
            self._compiled = re2.compile(text, options)
        except (re2.error, UnicodeError) as error:
            raise ValueError(f"is no regular expression of RE2: {_said(error)}") from None
        self.text = text
        self.groups: int = self._compiled.groups

    def found(self, text: str, group: int) -> str | None:
        """What the first match in a text has in a group; 0 is the whole match."""
        match = self._compiled.search(text)
        return None if match is None else match[group]

    def replaced(self, text: str, template: Template) -> str:
        """A text with something else instead of every match.

        Raises:
            UnfitValue: It is too long.
        """
        if len(text) > LONGEST_TEXT:
            raise UnfitValue(f"a text of more than {LONGEST_TEXT} letters")
        made: str = self._compiled.sub(template.filled, text)
        return made

    def __repr__(self) -> str:
        return f"<Pattern {self.text}>"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """In options it is written as text."""
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema(strict=True))


def _said(error: Exception) -> str:
    (said, *_) = error.args or ("",)
    return said.decode(errors="replace") if isinstance(said, bytes) else "it holds what is no text"
