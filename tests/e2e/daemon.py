"""The daemon as a process of its own, as an operator runs it: started, asked, killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

DEADLINE_SECS = 60.0
"""How long a thing that must come is waited for before the test says that it did not."""


class DaemonProcess:
    """One daemon with one configuration; started as often as a test likes.

    Args:
        directory: Where its configuration and its log go.
        config: The configuration; the server's port is filled in.
        env: Further environment.
        command: What runs it, up to where the configuration is named; by default this Python.
        cwd: Where it runs.
    """

    def __init__(
        self,
        directory: Path,
        config: Mapping[str, Any],
        env: Mapping[str, str] | None = None,
        *,
        command: Sequence[str] = (sys.executable, "-m", "eventbus"),
        cwd: Path | None = None,
    ) -> None:
        self.config_path = directory / "eventbus.yaml"
        self.log_path = directory / "daemon.log"
        self.config_path.write_text(
            yaml.safe_dump({**config, "server": {**config.get("server", {}), "port": 0}})
        )
        self._env = {**os.environ, **(env or {})}
        self._command = [*command, "run", "-c", str(self.config_path)]
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    def start(self, *, wait: bool = True) -> Self:
        """Start it, and wait until it is ready."""
        self._log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=log,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,
            )
        if wait:
            self.wait_until_ready()
        return self

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process that runs or ran last."""
        assert self._process is not None
        return self._process

    def wait_until_ready(self) -> None:
        """Wait for /readyz to be true."""
        self.wait_for(lambda: self.get("/readyz")[0] == 200, "readiness")

    def wait_for(self, condition: Any, what: str) -> None:
        """Wait for a condition, as long as the process lives."""
        deadline = time.monotonic() + DEADLINE_SECS
        while not condition():
            if self.process.poll() is not None:
                raise AssertionError(
                    f"the daemon ended with {self.process.returncode}:\n{self.log()[-3000:]}"
                )
            if time.monotonic() > deadline:
                raise AssertionError(f"no {what} in time: {self.get('/readyz')}\n{self.log()[-3000:]}")
            time.sleep(0.02)

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of an admin request; status 0 while nobody answers."""
        port = self._port()
        if port is None:
            return 0, ""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """SIGSTOP: it lives and does nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT: it goes on as if no time had passed."""
        self.process.send_signal(signal.SIGCONT)

    def terminate(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_SECS)

    def wait(self) -> int:
        """Wait for it to end by itself; the exit code."""
        return self.process.wait(DEADLINE_SECS)

    def log(self) -> str:
        """What it wrote, over all its lives."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def events(self, name: str) -> list[dict[str, Any]]:
        """Log lines of this life with this event name."""
        lines = self.log_path.read_bytes()[self._log_start :].decode(errors="replace").splitlines()
        parsed = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in parsed if line.get("event") == name]

    @property
    def port(self) -> int:
        """Where it listens."""
        port = self._port()
        assert port is not None, "it does not listen yet"
        return port

    def _port(self) -> int | None:
        started = self.events("admin_server_started")
        return int(started[-1]["port"]) if started else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
