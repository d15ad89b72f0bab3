"""What /proc tells of processes, to see that none is left behind."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


def started_with(variable: str, value: str) -> list[int]:
    """Processes that run and have this in their environment, as every descendant of one that had it."""
    wanted = f"{variable}={value}".encode()
    return [pid for pid in _running() if wanted in _read(pid, "environ").split(b"\0")]


def words_of(pid: int) -> list[str]:
    """A process's command line."""
    return _read(pid, "cmdline").decode().split("\0")


def wait_for(condition: Callable[[], object], what: str, *, secs: float = 60) -> None:
    """Wait for another process to get somewhere, which nothing here could be woken by."""
    deadline = time.monotonic() + secs
    while not condition():
        assert time.monotonic() < deadline, f"no {what} within {secs:g} s"
        time.sleep(0.02)


def _running() -> list[int]:
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    return [pid for pid in pids if _state(pid) not in {"", "Z"}]


def _state(pid: int) -> str:
    return _read(pid, "stat").decode().rpartition(")")[2][1:2]


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:  # gone by now, or somebody else's
        return b""
