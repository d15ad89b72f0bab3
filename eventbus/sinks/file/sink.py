"""Appends batches of lines to a file, off the event loop.

What a line file is and how it survives faults is in `line_file`; this module only connects it to routes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final, Literal

import anyio
import anyio.to_thread
from pydantic import BaseModel, Field

from eventbus.sdk import (
    DELIVERED,
    Carries,
    ConfigurationError,
    Encoded,
    Encoder,
    Event,
    Fault,
    Message,
    Options,
    Outcome,
    Retry,
    SinkTraits,
    Size,
    Unreachable,
)
from eventbus.sinks.file.line_file import LineFile
from eventbus.sinks.jsonlines import encode_line, joined

__all__ = ["FileOptions", "FileSink"]

_CLOSE_SECS: Final = 5.0


class FileOptions(Options):
    """A file of JSON lines on this machine."""

    path: Path
    """The file that is written to. Its directory must exist: a mount that is missing is waited for, and
    nothing is written beneath its mount point. At the start an unterminated last line is cut off: it is of
    a process that was killed, was never acknowledged, and comes again."""
    rotate_size: Size = Field(default=128 << 20, ge=1)
    """A batch that would make the file larger goes into a new one; the old one is renamed to
    ``<path>.<UTC time>-<number>``. A file is larger only if a single batch is."""
    rotate_keep: int | None = Field(default=None, ge=1)
    """How many rotated files are kept, the oldest being DELETED; without it all are kept."""
    fsync: Literal["batch", "never"] = "batch"
    """``batch``: delivered means on the disk. ``never``: delivered means handed to the operating system; a
    crash of the machine, though not of the daemon, may lose what it had not written yet."""


class FileSink:
    """Appends each batch to a file with one write.

    Args:
        name: Name of the sink in the configuration.
        options: What users wrote.
    """

    Options: ClassVar[type[BaseModel]] = FileOptions
    carries: ClassVar[Carries] = Carries(any_bytes=False)

    def __init__(self, name: str, options: FileOptions) -> None:
        self.name = name
        self.traits = SinkTraits(
            lanes=1, max_batch=1000, max_batch_bytes=4 << 20, keeps_order=True, concurrency=1
        )
        self._path = options.path
        self._file = LineFile(
            options.path,
            rotate_size=options.rotate_size,
            rotate_keep=options.rotate_keep,
            fsync=options.fsync == "batch",
        )
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
        """The event as a line."""
        return encode_line(event, encoder)

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """Append all or nothing."""
        try:
            await anyio.to_thread.run_sync(self._append, messages, limiter=self._turn)
        except OSError as error:
            return [Retry(Fault.UNAVAILABLE, self._reason(error))] * len(messages)
        except ConfigurationError as error:
            return [Retry(Fault.UNAVAILABLE, str(error))] * len(messages)
        return [DELIVERED] * len(messages)

    def _append(self, messages: Sequence[Message]) -> None:
        self._file.append(joined(messages))

    def _reason(self, error: OSError) -> str:
        return f"{self._path}: {error.strerror or type(error).__name__}"
