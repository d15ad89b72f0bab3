"""What a check finds, as values. Programs and people's notes refer to codes, so none changes its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Problem", "Verdict", "well"]


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    """As it should be."""
    WARN = "warn"
    """It works, or may work; something is worse than it could be, or will be soon."""
    FAIL = "fail"
    """It does not work."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that can be wrong.

    Args:
        code: Names it, for ever: the check, a dot, what is wrong.
        verdict: How bad it is.
        meaning: What it means.
        mend: What to do about it, in general.
    """

    code: str
    verdict: Verdict
    meaning: str
    mend: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check has found.

    Args:
        code: That of the problem; the name of the check where all is well.
        verdict: How bad it is.
        about: What it is about, such as a subscription, a sink or a collection; empty for the whole.
        text: What was seen.
        mend: What to type or to do; empty where nothing needs to be done.
    """

    code: str
    verdict: Verdict
    about: str
    text: str
    mend: str = ""

    def row(self) -> Mapping[str, str | None]:
        """The same for programs."""
        return {
            "code": self.code,
            "verdict": self.verdict.value,
            "about": self.about or None,
            "found": self.text,
            "mend": self.mend or None,
        }


def well(check: str, text: str, about: str = "") -> Finding:
    """All is well."""
    return Finding(check, Verdict.OK, about, text)
