"""The files of the configuration, read as often as is asked for; and whether they changed since."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from eventbus.config import Config, load
from eventbus.config.content import content_of
from eventbus.errors import ConfigurationError
from eventbus.registry import Registry

__all__ = ["ConfigFiles"]

_FILE_REFERENCE = re.compile(rb"\$\{file:([^{}]+)\}")


class ConfigFiles:
    """What a daemon was started with.

    Args:
        paths: The files.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self.loaded = b""
        """What `digest` said before they were read last."""

    def load(self) -> Config:
        """Read and check them.

        Raises:
            ConfigurationError: With every problem; or one of them can be read only once.
        """
        self._refuse_what_is_read_once()
        self.loaded = self.digest()
        return self.read()

    def read(self) -> Config:
        """The same for a look: what was loaded stays what it is."""
        self._refuse_what_is_read_once()
        return load(self._paths, Registry.from_entry_points())

    def _refuse_what_is_read_once(self) -> None:
        """Not even standard input will do: it is empty the second time, or nobody writes there."""
        pipes = [path for path in self._paths if path.exists() and not path.is_file()]
        if pipes:
            why = "not a regular file, and a daemon reads its configuration more than once"
            raise ConfigurationError(*(f"{path}:1:1: cannot be read: {why}" for path in pipes))

    def digest(self) -> bytes:
        """What changes with the content of the files, and of those that ``${file:…}`` in them names.

        By content: where a directory is mounted, another one may have taken its place, with any times.
        """
        hashed = hashlib.blake2b(digest_size=16)
        for path in self._paths:
            content = _content(path)
            hashed.update(b"%d:" % len(content) + content)
            for reference in _FILE_REFERENCE.findall(content):
                inner = _content(path.parent / reference.decode(errors="surrogateescape"))
                hashed.update(b"%d:" % len(inner) + inner)
        return hashed.digest()


def _content(path: Path) -> bytes:
    """What is in a file; something else where there is none, or where it is no file to be read twice."""
    try:
        return content_of(path)
    except OSError as error:
        return b"\0%d" % (error.errno or 0)
    except ValueError:  # no path at all
        return b"\0"
