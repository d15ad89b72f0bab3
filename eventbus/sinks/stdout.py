"""The stdout sink: one JSON object a line, for pipes and for looking on.

A reader that stops reading must stop nothing but this sink, and never the end of the process: so no write
is begun that could wait, neither on the event loop nor in a thread.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Sequence
from typing import ClassVar, Final

import anyio
import anyio.to_thread
from pydantic import BaseModel

from eventbus.sdk import (
    DELIVERED,
    Carries,
    ConfigurationError,
    Encoded,
    Encoder,
    Event,
    Failure,
    Fault,
    Message,
    Options,
    Outcome,
    Retry,
    SinkTraits,
    Unreachable,
)
from eventbus.sinks.jsonlines import encode_line, joined

__all__ = ["StdoutOptions", "StdoutSink"]

_STDOUT: Final = 1


class StdoutOptions(Options):
    """Standard output has no options."""


class StdoutSink:
    """Writes each batch to standard output, unbuffered. Delivered means: the pipe or terminal has it.

    Args:
        name: Name of the sink in the configuration.
        options: What users wrote.
    """

    Options: ClassVar[type[BaseModel]] = StdoutOptions
    carries: ClassVar[Carries] = Carries(any_bytes=False)

    def __init__(self, name: str, options: StdoutOptions) -> None:  # noqa: ARG002 - every sink is made so
        self.name = name
        self.traits = SinkTraits(lanes=1, max_batch=1000, keeps_order=True, concurrency=1)
        self._fd: int | None = None
        self._turn = anyio.Lock()
        self._owed = b""

    async def open(self) -> None:
        """Take a handle of its own on standard output.

        Raises:
            ConfigurationError: The process was started without standard output; its descriptor may be
                anything by now, the event loop's own for instance.
            Unreachable: There is no free file descriptor.
        """
        if self._fd is not None:
            return
        if sys.__stdout__ is None:
            raise ConfigurationError("standard output is closed")
        try:
            self._fd = os.dup(_STDOUT)
        except OSError as error:
            raise Unreachable(f"standard output: {error.strerror}") from error

    async def close(self) -> None:
        """Give the handle back; standard output itself stays open."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def encode(self, event: Event, encoder: Encoder) -> Encoded:
        """The event as a line."""
        return encode_line(event, encoder)

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """Write the lines in order."""
        assert self._fd is not None, "open comes first"
        try:
            async with self._turn:
                await self._write(self._fd, joined(messages))
        except OSError as error:
            reason = f"standard output: {error.strerror}"
            return [Retry(Fault.UNAVAILABLE, reason, kind=_kind(error))] * len(messages)
        return [DELIVERED] * len(messages)

    async def _write(self, fd: int, lines: bytes) -> None:
        """Write all; if that is cut short in the middle of a line, the next call begins with its rest."""
        data = self._owed + lines
        written = 0
        try:
            while written < len(data):
                count = await anyio.to_thread.run_sync(_write_what_fits, fd, memoryview(data)[written:])
                written += count
                if count == 0:
                    await anyio.wait_writable(fd)
        finally:
            self._owed = _rest_of_line(data, written, within_line=bool(self._owed))


def _kind(error: OSError) -> Failure:
    """A reader that left is a target that cannot be reached; all else is the device's own trouble."""
    return Failure.NETWORK if isinstance(error, BrokenPipeError) else Failure.SERVER


def _write_what_fits(fd: int, data: memoryview) -> int:
    """Write for as long as that cannot block.

    A pipe that reports room takes PIPE_BUF bytes at once (pipe(7)).
    """
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    written = 0
    while written < len(data) and poll.poll(0):
        try:
            written += os.write(fd, data[written : written + select.PIPE_BUF])
        except BlockingIOError:  # somebody who shares the terminal made it non-blocking
            break
    return written


def _rest_of_line(data: bytes, written: int, *, within_line: bool) -> bytes:
    """What is missing of the line in which writing stopped; nothing if it stopped between lines."""
    if written:
        within_line = not data.endswith(b"\n", 0, written)
    return data[written : data.index(b"\n", written) + 1] if within_line else b""
