"""One SQLite file that one daemon holds: connection, worker thread, lock and errors. It knows no table.

SQLite blocks, so everything runs on a worker thread, one piece of work at a time. The right to write is a
lock on a file beside the database: the kernel takes it from a process that ends, however it ends, and people
can still read the database meanwhile, which SQLite's own exclusive mode would not let them.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote

import anyio
import anyio.to_thread

from eventbus.errors import ConfigurationError, Unreachable
from eventbus.state.access import Access

__all__ = ["SqliteFile", "make_durable", "transaction"]

_T = TypeVar("_T")

_BUSY_SECS: Final = 4.0
"""How long to wait for a person who holds the database in a transaction of their own."""

_PASSING: Final = frozenset(
    [
        *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL),
        *(sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM),
        *(sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY),
    ]
)
_HOPELESS: Final = frozenset([sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_PERM])
_REFUSED_AT_OPEN: Final = _HOPELESS | {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}


class SqliteFile:
    """A SQLite database and the lock on it.

    Args:
        path: The database file; a daemon makes it if it is missing, for its owner's eyes only.
        access: What for. Only a daemon takes the lock; others wait for SQLite's own, which nobody holds long.
    """

    def __init__(self, path: Path, *, access: Access) -> None:
        self.path = path
        self._access = access
        self._limiter = anyio.CapacityLimiter(1)
        self._connection: sqlite3.Connection | None = None
        self._lock: int | None = None

    async def open(self, prepare: Callable[[sqlite3.Connection], None]) -> None:
        """Take the lock, connect, and let `prepare` make what is missing.

        Raises:
            ConfigurationError: Another daemon has it, or the file cannot be used.
        """
        await anyio.to_thread.run_sync(self._open, prepare, limiter=self._limiter)

    async def close(self) -> None:
        """Give up connection and lock, even when cancelled."""
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._close, limiter=self._limiter)

    async def run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do one piece of work with the connection; once begun, it is not cancelled.

        Raises:
            Unreachable: The disk is full or fails, or somebody else has the database locked.
            ConfigurationError: The file is damaged.
        """
        return await anyio.to_thread.run_sync(self._run, work, limiter=self._limiter)

    def _run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        assert self._connection is not None, "the store is not open"
        with self._errors_mapped(_HOPELESS):
            return work(self._connection)

    def _open(self, prepare: Callable[[sqlite3.Connection], None]) -> None:
        if self._connection is not None:
            return
        try:
            with self._errors_mapped(_REFUSED_AT_OPEN):
                if self._access is Access.DAEMON:
                    self._lock = self._locked()
                else:
                    self._check_there()
                self._connection = self._connected()
                prepare(self._connection)
        except BaseException:
            self._close()
            raise

    def _check_there(self) -> None:
        if not self.path.exists():
            raise ConfigurationError(
                f"there is no state file {self.path} yet: a daemon makes it when it first runs"
            )

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        lock, self._lock = self._lock, None
        if connection is not None:
            connection.close()
        if lock is not None:
            os.close(lock)

    def _connected(self) -> sqlite3.Connection:
        if self._access is Access.DAEMON:
            with suppress(FileExistsError):
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL, 0o600))
        mode = "ro" if self._access is Access.READ else "rw"
        return sqlite3.connect(
            f"file:{quote(str(self.path.absolute()))}?mode={mode}",
            uri=True,
            timeout=_BUSY_SECS,
            isolation_level=None,
            check_same_thread=False,
        )

    def _locked(self) -> int:
        path = self.path.resolve()
        file = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(file, 20).decode(errors="replace").strip()
            os.close(file)
            raise ConfigurationError(
                f"the state file {self.path} is in use by another daemon (process {holder}): "
                "state.type sqlite is for one daemon, state.type mongodb for several"
            ) from None
        os.ftruncate(file, 0)
        os.write(file, str(os.getpid()).encode())
        return file

    @contextmanager
    def _errors_mapped(self, hopeless: frozenset[int]) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", -1) & 0xFF
            if code in hopeless:
                raise ConfigurationError(f"the state file {self.path} cannot be used: {error}") from error
            if code in _PASSING:
                raise Unreachable(f"the state file {self.path} cannot be used now: {error}") from error
            raise
        except OSError as error:
            raise ConfigurationError(
                f"the state file {self.path} cannot be used: {error.strerror}"
            ) from error


def make_durable(connection: sqlite3.Connection) -> None:
    """Have every commit on disk before it returns, and let others read meanwhile."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the body or nothing, on disk by the time it ends."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # some failures have rolled it back already
            connection.execute("ROLLBACK")
        raise
