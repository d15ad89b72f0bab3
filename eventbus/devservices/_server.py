"""What a server of ours can do, be it a process or a container, and how we wait for it to be ready."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from eventbus.devservices._errors import PortTaken, ServerFailed

_POLL_SECS = 0.02
_LAST_LINES = 15


class Server(Protocol):
    """One server that is ours. Every method blocks until the thing has happened."""

    @property
    def directory(self) -> Path:
        """Its work directory, with `data` in it; gone after `close`."""

    @property
    def pid(self) -> int:
        """The process id of the server itself, new after each start."""

    @property
    def running(self) -> bool:
        """Whether the process is there; a paused one is."""

    def log(self) -> str:
        """Return all that the server has printed."""

    def start(self) -> None:
        """Start it, for the first time or again, and wait until it takes connections.

        Raises:
            PortTaken: its port is somebody else's by now.
            ServerFailed: it ended, or was not ready in time.
        """

    def kill(self) -> None:
        """SIGKILL it and wait for its end; its data stays."""

    def terminate(self) -> None:
        """SIGTERM it and wait for its end, SIGKILL it after a grace time; its data stays."""

    def pause(self) -> None:
        """Halt it: connections stay open and nobody answers."""

    def resume(self) -> None:
        """Let a halted server go on."""

    def close(self) -> None:
        """End it and remove its data; calling it again does nothing."""


def wait_until(true: Callable[[], bool], *, timeout_secs: float, failure: Callable[[], str]) -> None:
    """Wait for something a server does outside this process, where nothing can wake us.

    Raises:
        ServerFailed: with the failure's words, when the time is over.
    """
    deadline = time.monotonic() + timeout_secs
    while not true():
        if time.monotonic() > deadline:
            raise ServerFailed(failure())
        time.sleep(_POLL_SECS)


def wait_until_ready(server: Server, name: str, ready: str, *, said_before: int, timeout_secs: float) -> None:
    """Wait until a server that has just been started says that it takes connections.

    Its log decides and not its port, because somebody else may answer there.

    Args:
        server: what has been started.
        name: its name, for messages.
        ready: what it prints when it is ready.
        said_before: the length of its log before this start.
        timeout_secs: how long it may take.

    Raises:
        PortTaken: it ended because its port is somebody else's by now.
        ServerFailed: it ended, or was not ready in time.
    """

    def said() -> str:
        return server.log()[said_before:]

    def is_ready() -> bool:
        if ready in said():
            return True
        if not server.running:
            words = said()
            failure = PortTaken if "address already in use" in words.lower() else ServerFailed
            raise failure(f"{name} ended while starting; its last words:\n{_tail(words)}")
        return False

    late = f"{name} was not ready within {timeout_secs:.0f} s; its last words:\n"
    wait_until(is_ready, timeout_secs=timeout_secs, failure=lambda: late + _tail(said()))


def _tail(text: str) -> str:
    return "\n".join(line[:500] for line in text.splitlines()[-_LAST_LINES:])
