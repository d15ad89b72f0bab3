"""A sink that discards as `discard` does, and notes when each event came and when it had been sent.

It is a plugin: the daemon under measurement loads it by its entry point, as it would load anybody's.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Sequence
from pathlib import Path

from benchmarks.throughput.workload import sent_at
from eventbus.sdk import DELIVERED, Encoded, Encoder, Event, Message, Options, Outcome, SinkTraits

__all__ = ["TimedSink", "read_times"]


class TimedOptions(Options):
    """Where it notes."""

    path: Path
    """The file that is written when the sink is closed."""


class TimedSink:
    """Encodes, notes the time, and forgets."""

    Options = TimedOptions
    traits = SinkTraits(lanes=1, max_batch=1000, max_batch_bytes=16 << 20, keeps_order=True)

    def __init__(self, name: str, options: TimedOptions) -> None:
        self.name = name
        self._path = options.path
        self._times = array("q")

    async def open(self) -> None:
        """There is nothing to connect to."""

    async def close(self) -> None:
        self._path.write_bytes(self._times.tobytes())

    def encode(self, event: Event, encoder: Encoder) -> Encoded:
        return Message(event, encoder.encode(event))

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        now = time.time_ns()
        for message in messages:
            document = message.event.document
            self._times.extend((sent_at(document) if isinstance(document, bytes) else 0, now))
        return [DELIVERED] * len(messages)


def read_times(path: Path) -> list[tuple[int, int]]:
    """When each event had been sent and when it came, in nanoseconds since 1970."""
    times = array("q")
    times.frombytes(path.read_bytes())
    return list(zip(times[::2], times[1::2], strict=True))
