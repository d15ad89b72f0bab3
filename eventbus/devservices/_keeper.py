"""The process between us and a server: it ends the server and removes its data however we end.

It runs one server as its child, in a session of its own so that Ctrl-C in a terminal reaches neither. It
takes commands on its standard input, one JSON object a line, and answers each with one. When that pipe ends
or the process that started it is gone (SIGKILL included), it ends the server, deletes the work directory and
exits. If the keeper itself is killed, the kernel kills the server.

Started by file name with `python -I -S`, so it imports the standard library only, and is up in 20 ms.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

_PR_SET_PDEATHSIG = 1


def main(work_directory: str, log_file: str, grace_secs: str, parent: str) -> None:
    """Serve commands until the parent is gone, then leave nothing behind."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    keeper = Keeper(Path(log_file), float(grace_secs))
    try:
        for command in _commands(int(parent)):
            answer = {**keeper.obey(command), "number": command["number"]}
            os.write(sys.stdout.fileno(), json.dumps(answer).encode() + b"\n")
    except BrokenPipeError:
        pass  # the parent died while we worked for it
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        keeper.terminate()
        shutil.rmtree(work_directory, ignore_errors=True)


class Keeper:
    """One server process, which may be started again after it has ended."""

    def __init__(self, log_file: Path, grace_secs: float) -> None:
        self._log_file = log_file
        self._grace_secs = grace_secs
        self._server: subprocess.Popen[bytes] | None = None

    def obey(self, command: dict[str, Any]) -> dict[str, Any]:
        """Do one command; a failure to start is an answer, not the end of the keeper."""
        match command["do"]:
            case "start":
                return self._start(command["argv"], command["environment"], command["cwd"])
            case "signal":
                self._signal(command["signal"])
            case "kill":
                self._signal(signal.SIGKILL)
                self._wait(None)
            case "terminate":
                self.terminate()
            case "poll":
                pass
        return {"code": self._server.poll() if self._server else None}

    def terminate(self) -> None:
        """Ask the server to end, wait for the grace time, then kill it."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)  # a halted process would not hear the first
        if not self._wait(self._grace_secs):
            self._signal(signal.SIGKILL)
            self._wait(None)

    def _start(self, argv: list[str], environment: dict[str, str], cwd: str) -> dict[str, Any]:
        try:
            with self._log_file.open("ab") as log:
                self._server = subprocess.Popen(  # noqa: S603  words of the parent, no shell
                    argv,
                    env=environment,
                    cwd=cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    preexec_fn=_die_with_the_keeper,  # noqa: PLW1509  this process has one thread
                )
        except OSError as error:
            return {"error": str(error)}
        return {"pid": self._server.pid}

    def _signal(self, number: int) -> None:
        if self._server is not None:
            self._server.send_signal(number)  # does nothing once the server has been waited for

    def _wait(self, timeout_secs: float | None) -> bool:
        if self._server is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._server.wait(timeout_secs)
            return self._server.returncode is not None
        return True


def _commands(parent: int) -> Iterator[dict[str, Any]]:
    """Yield the parent's commands until it closes the pipe or is gone.

    The pipe alone is not enough: a process forked from the parent holds its end open too.
    """
    pipe, buffer = sys.stdin.fileno(), b""
    watched = [pipe, *_death_of(parent)]
    while True:
        ready, _, _ = select.select(watched, [], [])
        if pipe not in ready:
            return
        chunk = os.read(pipe, 65536)
        if not chunk:
            return
        *lines, buffer = (buffer + chunk).split(b"\n")
        yield from (json.loads(line) for line in lines)


def _death_of(parent: int) -> list[int]:
    """Return a descriptor that becomes readable when the parent ends, where the kernel has such a thing."""
    try:
        descriptor = os.pidfd_open(parent)
    except (AttributeError, OSError):
        return []
    if os.getppid() != parent:  # it died before we looked, and the number may be another's
        sys.exit(0)
    return [descriptor]


def _die_with_the_keeper() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for number in (signal.SIGINT, signal.SIGHUP):  # an ignored signal is inherited by a new program
        signal.signal(number, signal.SIG_DFL)


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
