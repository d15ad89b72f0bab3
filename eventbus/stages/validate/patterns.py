"""Regular expressions among the options."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from eventbus.expressions.patterns import wrong_with

__all__ = ["PatternText"]


def _checked(pattern: str) -> str:
    wrong = wrong_with(pattern)
    if wrong is not None:
        raise ValueError(f"is no regular expression: {wrong}")
    return pattern


PatternText = Annotated[str, AfterValidator(_checked)]
"""In the syntax of conditions: https://docs.rs/regex/latest/regex/#syntax"""
