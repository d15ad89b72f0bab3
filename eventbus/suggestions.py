"""What a misspelt name was probably meant to be. A leaf: it knows names only."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["did_you_mean", "listed"]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``, did you mean 'x'?`` for the known name that is closest, or nothing if none is close."""
    matches = get_close_matches(name, list(known), n=1)
    return f", did you mean {matches[0]!r}?" if matches else ""


def listed(names: Iterable[str]) -> str:
    """The names in order, for a sentence."""
    return ", ".join(sorted(names)) or "none"
