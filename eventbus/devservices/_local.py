"""Runs a server's program on this machine, under a keeper that outlives us just long enough."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from eventbus.devservices._errors import PortTaken, ServerFailed

_KEEPER = Path(__file__).with_name("_keeper.py")
_GRACE_SECS = 10.0
_POLL_SECS = 0.02
_TAKEN = ("Address already in use", "address already in use")


class WorkDirectory:
    """A temporary directory for one server, removed by the keeper, or by us if it never got that far."""

    def __init__(self, name: str) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=f"eventbus-{name}-"))
        self.data = self.path / "data"
        self.data.mkdir()

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


class LocalServer:
    """One server process: what its keeper is told to do with it.

    Every method blocks until the thing has happened. Methods may be called from any thread.
    """

    def __init__(
        self,
        name: str,
        work: WorkDirectory,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        ready: str,
        start_timeout_secs: float = 60.0,
    ) -> None:
        """Prepare a server; nothing runs yet.

        Args:
            name: the server's name, for messages.
            work: its directory, which is its to remove from now on.
            argv: the program and its arguments.
            environment: added to ours.
            ready: what its log says once it takes connections. The log and not the port decides, because
                somebody else may answer on the port.
            start_timeout_secs: how long it may take to say so.
        """
        self.name = name
        self.work = work
        self._argv = list(argv)
        self._environment = {**os.environ, **environment}
        self._ready = ready
        self._start_timeout_secs = start_timeout_secs
        self._log_file = work.path / "server.log"
        self._lock = threading.Lock()
        self._keeper: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None

    @property
    def pid(self) -> int:
        """The process id of the server itself, new after each start."""
        if self._pid is None:
            raise ServerFailed(f"{self.name} has not been started.")
        return self._pid

    @property
    def running(self) -> bool:
        """Whether the process is there; a paused one is."""
        return self._pid is not None and self._keeper is not None and self._ask(do="poll")["code"] is None

    def log(self) -> str:
        """Return all that the server has printed."""
        return self._log_file.read_text(errors="replace") if self._log_file.exists() else ""

    def start(self) -> None:
        """Start the process, for the first time or again, and wait until it takes connections.

        Raises:
            PortTaken: its port is somebody else's by now.
            ServerFailed: it ended, or was not ready in time.
        """
        if self.running:
            raise ServerFailed(f"{self.name} is running already.")
        said_before = len(self.log())
        answer = self._ask(
            do="start", argv=self._argv, environment=self._environment, cwd=str(self.work.path)
        )
        if "error" in answer:
            raise ServerFailed(f"{self.name} could not be started: {answer['error']}")
        self._pid = int(answer["pid"])
        self._wait_until_ready(lambda: self.log()[said_before:])

    def kill(self) -> None:
        """SIGKILL the process and wait for its end."""
        self._ask(do="kill")

    def terminate(self) -> None:
        """SIGTERM the process and wait for its end; SIGKILL it if that takes longer than 10 s."""
        self._ask(do="terminate")

    def pause(self) -> None:
        """SIGSTOP the process: connections stay open and nobody answers."""
        self._ask(do="signal", number=int(signal.SIGSTOP))

    def resume(self) -> None:
        """SIGCONT the process."""
        self._ask(do="signal", number=int(signal.SIGCONT))

    def close(self) -> None:
        """End the server and its keeper and remove the data; calling it again does nothing."""
        with self._lock:
            keeper, self._keeper = self._keeper, None
        if keeper is not None:
            assert keeper.stdin is not None
            assert keeper.stdout is not None
            keeper.stdin.close()
            keeper.wait(_GRACE_SECS + 30)
            keeper.stdout.close()
        self.work.remove()

    def _wait_until_ready(self, said: Callable[[], str]) -> None:
        deadline = time.monotonic() + self._start_timeout_secs
        while self._ready not in said():
            if not self.running:
                words = said()
                failure = PortTaken if any(sign in words for sign in _TAKEN) else ServerFailed
                raise failure(f"{self.name} ended while starting; its last words:\n{_tail(words)}")
            if time.monotonic() > deadline:
                late = f"{self.name} was not ready within {self._start_timeout_secs:.0f} s"
                raise ServerFailed(f"{late}; its last words:\n{_tail(said())}")
            time.sleep(_POLL_SECS)

    def _ask(self, **command: Any) -> dict[str, Any]:
        with self._lock:
            if self._keeper is None:
                if command["do"] != "start":
                    return {"code": 0}
                self._keeper = self._start_keeper()
            keeper = self._keeper
            assert keeper.stdin is not None
            assert keeper.stdout is not None
            keeper.stdin.write(json.dumps(command).encode() + b"\n")
            keeper.stdin.flush()
            answer = keeper.stdout.readline()
        if not answer:
            raise ServerFailed(f"The keeper of {self.name} is gone, and so is {self.name}.")
        return dict(json.loads(answer))

    def _start_keeper(self) -> subprocess.Popen[bytes]:
        with (self.work.path / "keeper.log").open("ab") as complaints:
            return subprocess.Popen(  # noqa: S603  our interpreter and our file
                [
                    *(sys.executable, "-I", "-S", str(_KEEPER)),
                    *(str(self.work.path), str(self._log_file), str(_GRACE_SECS), str(os.getpid())),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                start_new_session=True,
            )


def _tail(text: str, lines: int = 15) -> str:
    return "\n".join(line[:500] for line in text.splitlines()[-lines:])
