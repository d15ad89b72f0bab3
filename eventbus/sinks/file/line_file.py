"""A file of lines with one writer, in which no half line is ever left in front of another.

The rules that give this:

- A batch is appended by one write. If it fails, the file is cut back to where it ended before, and opened
  anew: after a failed fsync the kernel may call pages clean that never reached the disk.
- On opening, an unterminated last line is cut off. It is of a process that was killed in the middle of a
  write, so nobody was told that it was delivered.
- A lock on the file keeps a second writer out, whose cutting would hurt the first.

Everything here blocks: it is for threads.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from eventbus.errors import ConfigurationError
from eventbus.sinks.file.rotation import next_name, rotated_names

__all__ = ["LineFile", "lock", "sync_directory"]

_BLOCK_BYTES: Final = 64 << 10
_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOCTTY | os.O_NONBLOCK
_MODE: Final = 0o640


class LineFile:
    """Appends to `path`, which others may rename or remove at any time.

    Args:
        path: The file; its directory must exist.
        rotate_size: Bytes beyond which a new file is begun.
        rotate_secs: A new file is begun with each multiple of so many seconds since 1970; None for never.
        rotate_keep: How many rotated files are left; None leaves all.
        fsync: Whether an append has reached the disk when it returns.
    """

    def __init__(
        self,
        path: Path,
        *,
        rotate_size: int,
        rotate_secs: float | None = None,
        rotate_keep: int | None,
        fsync: bool,
    ) -> None:
        self._path = path
        self._rotate_size = rotate_size
        self._rotate_secs = rotate_secs
        self._rotate_keep = rotate_keep
        self._fsync = fsync
        self._fd: int | None = None

    def open(self) -> None:
        """Open the file unless it is open.

        Raises:
            OSError: It cannot be opened now; BlockingIOError if it has another writer.
            ConfigurationError: The path leads to something that is no file of lines.
        """
        self._current()

    def append(self, lines: bytes) -> None:
        """Append whole lines, all or none.

        Raises:
            OSError: None are there.
            ConfigurationError: The path leads to something that is no file of lines any more.
        """
        fd = self._current()
        end = os.fstat(fd).st_size
        if end > 0 and (end + len(lines) > self._rotate_size or self._is_of_an_earlier_time(fd)):
            self._rotate()
            fd = self._current()
            end = os.fstat(fd).st_size
        try:
            _write_all(fd, lines)
            if self._fsync:
                os.fsync(fd)
        except OSError:
            with suppress(OSError):  # if even this fails, opening cuts off the half line
                os.ftruncate(fd, end)
            self.close()
            raise

    def close(self) -> None:
        """Close the file if it is open."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)

    def _current(self) -> int:
        """The open file that the path leads to."""
        if self._fd is not None and not _leads_to(self._path, self._fd):
            self.close()
        if self._fd is None:
            self._fd = _open_for_one_writer(self._path)
            if self._fsync:
                sync_directory(self._path.parent)
        return self._fd

    def _is_of_an_earlier_time(self, fd: int) -> bool:
        """Judged by the last write, which a restart does not forget."""
        every = self._rotate_secs
        return every is not None and os.fstat(fd).st_mtime // every != time.time() // every

    def _rotate(self) -> None:
        directory, name = self._path.parent, self._path.name
        present = [entry.name for entry in directory.iterdir()]
        new_name = next_name(name, present, datetime.now(UTC))
        self._path.rename(directory / new_name)
        self.close()
        if self._rotate_keep is not None:
            for old in rotated_names(name, [*present, new_name])[: -self._rotate_keep]:
                (directory / old).unlink(missing_ok=True)


def _open_for_one_writer(path: Path) -> int:
    while True:
        try:
            fd = os.open(path, _FLAGS, _MODE)
        except IsADirectoryError:
            raise ConfigurationError(f"{path}: not a regular file") from None
        try:
            _check_regular(path, fd)
            lock(fd)
            if _leads_to(path, fd):
                _cut_off_half_line(path, fd)
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # renamed or removed before it was locked


def _check_regular(path: Path, fd: int) -> None:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise ConfigurationError(f"{path}: not a regular file")


def lock(fd: int) -> None:
    """Be the only writer.

    Raises:
        BlockingIOError: Somebody else is.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BlockingIOError(errno.EWOULDBLOCK, "another process or sink writes to it") from None


def _leads_to(path: Path, fd: int) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(fd))


def _cut_off_half_line(path: Path, fd: int) -> None:
    end = os.fstat(fd).st_size
    good = _end_of_last_line(fd, end)
    if good == end:
        return
    if os.pread(fd, 1, good) != b"{":
        raise ConfigurationError(f"{path}: its last line is not the beginning of a JSON object; not touched")
    os.ftruncate(fd, good)


def _end_of_last_line(fd: int, end: int) -> int:
    """How long the file is without an unterminated last line."""
    while end > 0:
        start = max(0, end - _BLOCK_BYTES)
        newline = os.pread(fd, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:  # a write is short when the disk is about to be full; the next one says so
        rest = rest[os.write(fd, rest) :]


def sync_directory(directory: Path) -> None:
    """Make the name of a new file durable, where the file system knows how."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise
    finally:
        os.close(fd)
