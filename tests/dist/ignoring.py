"""Which files of the repository a build sees: the rules of .dockerignore, as far as ours go."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

__all__ = ["Ignoring"]


class Ignoring:
    """What is left out of the build's context.

    Args:
        path: The file of patterns; the last one that matches decides, and `!` takes a path in again.
    """

    def __init__(self, path: Path) -> None:
        lines = [line.strip() for line in path.read_text().splitlines()]
        self._patterns = [line for line in lines if line and not line.startswith("#")]

    def leaves_out(self, path: str) -> bool:
        """Whether a path, relative to the repository, or a folder that it lies in, is left out."""
        places = [path, *(str(parent) for parent in PurePosixPath(path).parents)][:-1]
        out = False
        for pattern in self._patterns:
            wanted = pattern.removeprefix("!")
            if any(_fits(place, wanted) for place in places or [path]):
                out = not pattern.startswith("!")
        return out


def _fits(place: str, pattern: str) -> bool:
    """As in Docker a star stops at a slash, and two stars do not."""
    if pattern.startswith("**/"):
        return fnmatchcase(PurePosixPath(place).name, pattern[3:])
    return place.count("/") == pattern.count("/") and fnmatchcase(place, pattern)
