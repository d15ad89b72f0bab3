"""Runs a server's program on this machine, as the child of its directory's keeper."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from eventbus.devservices._errors import ServerFailed
from eventbus.devservices._finding import Program
from eventbus.devservices._keep import KeptDirectory
from eventbus.devservices._server import wait_until_ready


class LocalServer:
    """One server process. Its methods may be called from any thread."""

    def __init__(
        self,
        directory: KeptDirectory,
        program: Program,
        arguments: Sequence[str],
        *,
        ready: str,
        start_timeout_secs: float,
    ) -> None:
        """Prepare a server; nothing runs yet.

        Args:
            directory: where it lives; its to close from now on.
            program: what runs it.
            arguments: what follows the program's own words.
            ready: what it prints once it takes connections.
            start_timeout_secs: how long it may take to say so.
        """
        self._directory = directory
        self._argv = [*program.argv, *arguments]
        self._environment = {**os.environ, **program.environment}
        self._ready = ready
        self._start_timeout_secs = start_timeout_secs
        self._pid: int | None = None

    @property
    def directory(self) -> Path:
        return self._directory.path

    @property
    def pid(self) -> int:
        if self._pid is None:
            raise ServerFailed(f"{self._directory.name} has not been started.")
        return self._pid

    @property
    def running(self) -> bool:
        return self._pid is not None and self._directory.ask(do="poll")["code"] is None

    def log(self) -> str:
        file = self._directory.log_file
        return file.read_text(errors="replace") if file.exists() else ""

    def start(self) -> None:
        name = self._directory.name
        if self.running:
            raise ServerFailed(f"{name} is running already.")
        said_before = len(self.log())
        cwd = str(self._directory.path)
        answer = self._directory.ask(do="start", argv=self._argv, environment=self._environment, cwd=cwd)
        if "error" in answer:
            raise ServerFailed(f"{name} could not be started: {answer['error']}")
        self._pid = int(answer["pid"])
        wait_until_ready(
            self, name, self._ready, said_before=said_before, timeout_secs=self._start_timeout_secs
        )

    def kill(self) -> None:
        self._directory.ask(do="kill")

    def terminate(self) -> None:
        self._directory.ask(do="terminate")

    def pause(self) -> None:
        self._directory.ask(do="signal", signal=int(signal.SIGSTOP))
        _wait_until_halted(self.pid)

    def resume(self) -> None:
        self._directory.ask(do="signal", signal=int(signal.SIGCONT))

    def close(self) -> None:
        self._directory.close()


def _wait_until_halted(pid: int) -> None:
    """The signal takes a moment to reach every thread; where the system does not tell, nobody waits."""
    threads = Path(f"/proc/{pid}/task")
    deadline = time.monotonic() + _LONGEST_HALT_SECS
    while time.monotonic() < deadline and threads.is_dir() and not all(map(_is_halted, threads.iterdir())):
        time.sleep(0.001)


def _is_halted(thread: Path) -> bool:
    try:
        status = (thread / "stat").read_text()
    except OSError:
        return True  # it has ended
    return status.rpartition(")")[2].split()[0] in "Tt"


_LONGEST_HALT_SECS = 5.0
