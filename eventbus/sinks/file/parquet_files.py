"""Parquet files, one for each batch: a reader finds whole files, or none.

A Parquet file can be read only once its end is written, so that a batch is delivered when its file is
complete, on the disk, and has its name. Until then it is a hidden file, which a writer that was killed leaves
behind, and the next one removes. A lock keeps a second writer out, whose removing would hurt the first.

Everything here blocks: it is for threads.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from eventbus.canonical import canonical_json
from eventbus.sdk import Event, Message
from eventbus.sinks.file.line_file import lock, sync_directory
from eventbus.sinks.file.rotation import next_name, rotated_names

__all__ = ["ParquetFiles"]

_MODE: Final = 0o640


class ParquetFiles:
    """Writes ``<stem>.<UTC time>-<number>.parquet`` beside `path`, whose own name is not used.

    Args:
        path: A name with the suffix ``.parquet``; its directory must exist.
        compression: How columns are compressed.
        keep: How many files are left; None leaves all.
        fsync: Whether a file has reached the disk when it has its name.
    """

    def __init__(self, path: Path, *, compression: str, keep: int | None, fsync: bool) -> None:
        self._directory, self._name, self._suffix = path.parent, path.stem, path.suffix
        self._part = path.parent / f".{path.name}.part"
        self._compression = compression
        self._keep = keep
        self._fsync = fsync
        self._lock: int | None = None

    def open(self) -> None:
        """Become the only writer, and remove what a killed one has left.

        Raises:
            OSError: Not now; BlockingIOError if there is another writer.
        """
        if self._lock is None:
            fd = os.open(self._directory / f".{self._name}{self._suffix}.lock", os.O_RDWR | os.O_CREAT, _MODE)
            try:
                lock(fd)
                self._part.unlink(missing_ok=True)
            except BaseException:
                os.close(fd)
                raise
            self._lock = fd

    def append(self, messages: Sequence[Message]) -> None:
        """Write one file of all messages.

        Raises:
            OSError: There is none.
        """
        self.open()
        try:
            self._write(messages)
            present = [entry.name for entry in self._directory.iterdir()]
            name = next_name(self._name, present, datetime.now(UTC), self._suffix)
            self._part.rename(self._directory / name)
        except OSError:
            with suppress(OSError):
                self._part.unlink(missing_ok=True)
            self.close()
            raise
        if self._fsync:
            sync_directory(self._directory)
        self._remove_old([*present, name])

    def close(self) -> None:
        """Let another writer write."""
        if self._lock is not None:
            fd, self._lock = self._lock, None
            os.close(fd)

    def _write(self, messages: Sequence[Message]) -> None:
        from pyarrow import parquet  # noqa: PLC0415 - an extra, and slow to import

        with self._part.open("wb") as file:
            os.fchmod(file.fileno(), _MODE)
            parquet.write_table(_table(messages), file, compression=self._compression)
            file.flush()
            if self._fsync:
                os.fsync(file.fileno())

    def _remove_old(self, present: Sequence[str]) -> None:
        if self._keep is not None:
            for old in rotated_names(self._name, present, self._suffix)[: -self._keep]:
                (self._directory / old).unlink(missing_ok=True)


def _table(messages: Sequence[Message]) -> Any:
    """The columns by which one looks for events, and the events as they were encoded."""
    import pyarrow as pa  # noqa: PLC0415 - as above

    types = {"time": pa.timestamp("ms", tz="UTC")}
    columns: Mapping[str, list[Any]] = {
        "id": [message.event.id for message in messages],
        "operation": [message.event.operation for message in messages],
        "database": [message.event.database or None for message in messages],
        "collection": [message.event.collection or None for message in messages],
        "document_key": [_key(message.event) for message in messages],
        "time": [message.event.time_ms or None for message in messages],
        "clustertime": [_cluster_time(message.event) for message in messages],
        "event": [message.body.decode() for message in messages],
    }
    schema = pa.schema([(name, types.get(name, pa.string())) for name in columns])
    return pa.table(columns, schema=schema)


def _key(event: Event) -> str | None:
    return None if event.document_key is None else canonical_json(event.document_key).decode()


def _cluster_time(event: Event) -> str | None:
    return None if event.cluster_time is None else "{}.{}".format(*event.cluster_time)
