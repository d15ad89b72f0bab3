"""Writes batches to files, off the event loop.

What the files are and how they survive faults is in `line_file` and `parquet_files`; this module only
connects them to routes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Final, Literal, Protocol, Self

import anyio
import anyio.to_thread
from pydantic import BaseModel, Field, model_validator

from eventbus.sdk import (
    DELIVERED,
    Carries,
    ConfigurationError,
    Duration,
    Encoded,
    Encoder,
    Event,
    Failure,
    Fault,
    Message,
    Options,
    Outcome,
    Rejected,
    Retry,
    SinkTraits,
    Size,
    Unreachable,
)
from eventbus.sinks.file.line_file import LineFile
from eventbus.sinks.file.parquet_files import ParquetFiles
from eventbus.sinks.jsonlines import encode_line, joined

__all__ = ["FileOptions", "FileSink"]

_CLOSE_SECS: Final = 5.0


class FileOptions(Options):
    """A file of JSON lines, or a series of Parquet files, on this machine."""

    path: Path
    """The file that is written to. Its directory must exist: a mount that is missing is waited for, and
    nothing is written beneath its mount point. At the start an unterminated last line is cut off: it is of
    a process that was killed, was never acknowledged, and comes again."""
    format: Literal["lines", "parquet"] = "lines"
    """``lines``: one JSON object a line. ``parquet``: every call makes a file of its own, complete when it
    gets its name, ``<path without .parquet>.<UTC time>-<number>.parquet``."""
    compression: Literal["zstd", "snappy", "gzip", "none"] = "zstd"
    """How the columns of a Parquet file are compressed."""
    rotate_size: Size = Field(default=128 << 20, ge=1)
    """A batch that would make the file larger goes into a new one; the old one is renamed to
    ``<path>.<UTC time>-<number>``. A file is larger only if a single batch is."""
    rotate_every: Duration | None = Field(default=None, ge=1)
    """A new file is begun with each multiple of it since 1970 in UTC, such as each hour, when the first batch
    comes. By default only `rotate_size` counts."""
    rotate_keep: int | None = Field(default=None, ge=1)
    """How many finished files are kept, the oldest being DELETED; without it all are kept."""
    fsync: Literal["batch", "never"] = "batch"
    """``batch``: delivered means on the disk. ``never``: delivered means handed to the operating system; a
    crash of the machine, though not of the daemon, may lose what it had not written yet."""

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        strange = sorted(self.model_fields_set & _OF_THE_OTHER[self.format])
        if strange:
            raise ValueError(f"format {self.format} has no {', '.join(strange)}")
        if self.format == "parquet":
            if self.path.suffix != ".parquet":
                raise ValueError("format parquet needs a path that ends with .parquet")
            if find_spec("pyarrow") is None:
                raise ValueError("format parquet needs the package pyarrow: install eventbus[parquet]")
        return self


_OF_THE_OTHER: Final[Mapping[str, frozenset[str]]] = {
    "lines": frozenset({"compression"}),
    "parquet": frozenset({"rotate_size", "rotate_every"}),
}


class _Files(Protocol):
    """What takes a batch, whole or not at all; everything blocks."""

    def open(self) -> None: ...
    def append(self, messages: Sequence[Message]) -> None: ...
    def close(self) -> None: ...


class _Lines:
    """A file of JSON lines."""

    def __init__(self, file: LineFile) -> None:
        self.open = file.open
        self.close = file.close
        self._append = file.append

    def append(self, messages: Sequence[Message]) -> None:
        self._append(joined(messages))


class FileSink:
    """Appends each batch to a file with one write, or makes a file of it.

    Args:
        name: Name of the sink in the configuration.
        options: What users wrote.
    """

    Options: ClassVar[type[BaseModel]] = FileOptions
    carries: ClassVar[Carries] = Carries(any_bytes=False)

    def __init__(self, name: str, options: FileOptions) -> None:
        self.name = name
        self._is_parquet = options.format == "parquet"
        self.traits = _PARQUET if self._is_parquet else _LINES
        self._path = options.path
        self._file = _files(options)
        # One call at a time, and none of the threads that the rest of the daemon shares: a disk that hangs
        # holds up this sink alone.
        self._turn = anyio.CapacityLimiter(1)

    async def open(self) -> None:
        """Open the file, and cut off a line that was left unfinished.

        Raises:
            Unreachable: The file cannot be opened now, or somebody else writes to it.
            ConfigurationError: The path leads to something that is no file of lines.
        """
        try:
            await anyio.to_thread.run_sync(self._file.open, limiter=self._turn)
        except OSError as error:
            raise Unreachable(self._reason(error)) from error

    async def close(self) -> None:
        """Close the file."""
        with anyio.move_on_after(_CLOSE_SECS, shield=True):
            await anyio.to_thread.run_sync(self._file.close, limiter=self._turn, abandon_on_cancel=True)

    def encode(self, event: Event, encoder: Encoder) -> Encoded:
        """The event as a line, or as a value of a column of text."""
        if not self._is_parquet:
            return encode_line(event, encoder)
        body = encoder.encode(event)
        if not _is_text(body):
            return Rejected("the encoded event is no text", Failure.ENCODING)
        return Message(event, body)

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """Append all or nothing."""
        try:
            await anyio.to_thread.run_sync(self._file.append, messages, limiter=self._turn)
        except OSError as error:
            return [Retry(Fault.UNAVAILABLE, self._reason(error))] * len(messages)
        except ConfigurationError as error:
            return [Retry(Fault.UNAVAILABLE, str(error))] * len(messages)
        return [DELIVERED] * len(messages)

    def _reason(self, error: OSError) -> str:
        return f"{self._path}: {error.strerror or type(error).__name__}"


_LINES: Final = SinkTraits(lanes=1, max_batch=1000, max_batch_bytes=4 << 20, keeps_order=True, concurrency=1)
_PARQUET: Final = replace(_LINES, max_batch=10_000, max_batch_bytes=64 << 20)
"""Small files are slow to read: a route decides with `batch` how large they get."""


def _files(options: FileOptions) -> _Files:
    fsync = options.fsync == "batch"
    if options.format == "parquet":
        return ParquetFiles(
            options.path, compression=options.compression, keep=options.rotate_keep, fsync=fsync
        )
    return _Lines(
        LineFile(
            options.path,
            rotate_size=options.rotate_size,
            rotate_secs=options.rotate_every,
            rotate_keep=options.rotate_keep,
            fsync=fsync,
        )
    )


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
