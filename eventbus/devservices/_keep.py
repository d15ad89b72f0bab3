"""A temporary directory with a keeper: it, and the server started in it, end when we do, however we end."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from eventbus.devservices._errors import ServerFailed

_KEEPER = Path(__file__).with_name("_keeper.py")
_GRACE_SECS = 10.0  # between SIGTERM and SIGKILL


class KeptDirectory:
    """A server's directory: `data` for the server, `server.log` for what it prints, room for its files."""

    def __init__(self, name: str) -> None:
        """Make the directory and start its keeper.

        Args:
            name: the server's name, part of the directory's name and of messages.
        """
        self.name = name
        self.path = Path(tempfile.mkdtemp(prefix=f"eventbus-{name}-"))
        self.data = self.path / "data"
        self.data.mkdir()
        self.log_file = self.path / "server.log"
        self._lock = threading.Lock()
        self._closed = False
        self._numbers = itertools.count()
        self._keeper = self._start_keeper()

    def ask(self, **command: Any) -> dict[str, Any]:
        """Have the keeper do one command and return its answer; blocks until it is done.

        Raises:
            ServerFailed: the keeper is gone, and with it the server.
        """
        with self._lock:
            if self._closed:
                raise ServerFailed(f"{self.name} has been stopped, and its data removed.")
            keeper = self._keeper
            assert keeper.stdin is not None
            assert keeper.stdout is not None
            number = next(self._numbers)
            try:
                keeper.stdin.write(json.dumps({**command, "number": number}).encode() + b"\n")
                keeper.stdin.flush()
                for line in keeper.stdout:
                    answer: dict[str, Any] = json.loads(line)
                    if answer.pop("number") == number:  # else of a command that Ctrl-C kept from its answer
                        return answer
            except BrokenPipeError:
                pass
        raise ServerFailed(f"The keeper of {self.name} is gone, and so is {self.name}.")

    def close(self) -> None:
        """End the server and its keeper and remove the directory; calling it again does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            try:
                self._keeper.communicate(timeout=3 * _GRACE_SECS)  # closes the pipe, the keeper's sign to end
            except subprocess.TimeoutExpired:
                self._keeper.kill()  # the kernel then kills the server
                self._keeper.communicate()
        shutil.rmtree(self.path, ignore_errors=True)

    def _start_keeper(self) -> subprocess.Popen[bytes]:
        with (self.path / "keeper.log").open("ab") as complaints:
            return subprocess.Popen(  # noqa: S603  our interpreter and our file
                [
                    *(sys.executable, "-I", "-S", str(_KEEPER)),
                    *(str(self.path), str(self.log_file), str(_GRACE_SECS), str(os.getpid())),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                start_new_session=True,  # Ctrl-C reaches every process of the terminal's foreground group
            )
