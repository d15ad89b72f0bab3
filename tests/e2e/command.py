"""The command line as a process of its own, as people call it: what it prints, how it ends, what it takes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import anyio
import orjson

from eventbus.config import load
from eventbus.registry import Registry
from eventbus.servers import open_store
from eventbus.state.access import Access
from eventbus.state.store import Store
from tests.e2e.daemon import DaemonProcess

T = TypeVar("T")

_PATIENCE_SECS = 600.0 if os.environ.get("EVENTBUS_PROOF") == "full" else 60.0
_LOOK_EVERY_SECS = 0.01


class Operator:
    """A person with a shell beside a daemon.

    Args:
        daemon: Whose configuration is used.
    """

    def __init__(self, daemon: DaemonProcess) -> None:
        self._daemon = daemon
        self._directory = daemon.config_path.parent
        self._config = daemon.config_path

    def begin(self, *words: str) -> Command:
        """Type a command, and do not wait for it."""
        return Command(self._directory, *words, "-c", str(self._config))

    def do(self, *words: str, code: int = 0) -> Command:
        """Type a command, and wait for its end."""
        with self.begin(*words) as command:
            return command.end(code)

    def count(self, *words: str) -> int:
        """How many there are."""
        (row,) = self.do("dlq", "count", "--json", *words).rows
        return int(row["letters"])

    def operation_of(self, command: Command) -> str:
        """The id of the one operation that a command stores, as soon as it says so."""
        self._daemon.wait_for(lambda: ": orders/" in command.out, "operation")
        return command.out.partition("operation ")[2].partition(":")[0]

    def on_store(self, body: Callable[[Store], Awaitable[T]], access: Access = Access.READ) -> T:
        """Look at what is stored, without any command."""
        config = load([self._config], Registry.from_entry_points(), {})

        async def opened() -> T:
            async with open_store(config, access=access) as store:
                return await body(store)

        return anyio.run(opened)


class Command:
    """One call, begun at once.

    Args:
        directory: Where what it prints goes, however much it is.
        words: What is typed after the program's name.
    """

    def __init__(self, directory: Path, *words: str) -> None:
        self.peak_bytes = 0
        self._words = words
        self._out, self._err = (directory / f"{uuid.uuid4().hex}.{end}" for end in ("out", "err"))
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "eventbus", *words], stdin=subprocess.DEVNULL, stdout=out, stderr=err
            )

    @property
    def out(self) -> str:
        """What it has printed."""
        return self._out.read_text()

    @property
    def err(self) -> str:
        """What it has said beside that."""
        return self._err.read_text()

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The objects that it printed, one a line."""
        return [orjson.loads(line) for line in self._out.read_bytes().splitlines()]

    def end(self, code: int = 0) -> Self:
        """Wait for its end, which is this one, and see how much memory it took."""
        deadline = time.monotonic() + _PATIENCE_SECS
        while time.monotonic() < deadline:
            self.peak_bytes = peak_bytes(self.process.pid) or self.peak_bytes
            try:
                found = self.process.wait(_LOOK_EVERY_SECS)
            except subprocess.TimeoutExpired:
                continue
            assert found == code, f"{self._words} ended with {found}: {self.out[-2000:]}\n{self.err[-2000:]}"
            return self
        raise AssertionError(f"{self._words} did not end in time: {self.out[-2000:]}\n{self.err[-2000:]}")

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.kill()


def peak_bytes(pid: int) -> int:
    """The most memory that a process has had resident since its program began; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    peaks = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return 1024 * int(peaks[0]) if peaks else 0
