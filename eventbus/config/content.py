"""What is in a file of the configuration, without ever waiting for somebody to write it.

The read of a pipe lasts until somebody writes and closes it, and that of a device may last for ever: whoever
reads on behalf of a running daemon would hang with it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

__all__ = ["content_of", "is_given_by_the_shell"]

_GIVEN: Final = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")
_NOT_REGULAR: Final = "not a regular file"


def content_of(file: Path, *, also_from_the_shell: bool = False) -> bytes:
    """The content of a regular file.

    Args:
        file: The file, or a link to one.
        also_from_the_shell: Whether a pipe is read, too, if the shell has given it to this very process.

    Raises:
        OSError: It cannot be read, or is no regular file; the `strerror` says so.
        ValueError: It is no path at all.
    """
    if also_from_the_shell and is_given_by_the_shell(file):
        return file.read_bytes()
    _check(file.stat())
    with open(file, "rb", opener=_without_waiting) as opened:
        _check(os.fstat(opened.fileno()))  # what was looked at may not be what is opened
        return opened.read()


def is_given_by_the_shell(file: Path) -> bool:
    """Whether it is the standard input, or what ``<(command)`` stands for."""
    return str(file).startswith(_GIVEN)


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _check(status: os.stat_result) -> None:
    """That of a folder passes: the system says what it is."""
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise OSError(0, _NOT_REGULAR)
