"""What the three services have in common: ending, halting and restarting the servers that are ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from eventbus.devservices._errors import NotOurs
from eventbus.devservices._server import Server


class Service:
    """A running service; leave its `with` block, or call `stop`, to end it and remove its data."""

    def __init__(self, servers: Sequence[Server], *, variable: str) -> None:
        """Take over servers that have been started.

        Args:
            servers: what is ours; none when the service is at an address from the environment.
            variable: the environment variable that could name such an address, for the message.
        """
        self._all_servers = tuple(servers)
        self._variable = variable

    @property
    def external(self) -> bool:
        """Whether somebody else runs it, so that kill, pause, restart and the like raise NotOurs."""
        return not self._all_servers

    @property
    def pid(self) -> int:
        """The process id of the (first) server, new after each restart."""
        return self._servers[0].pid

    @property
    def data_dir(self) -> Path:
        """The (first) server's data directory, removed by `stop`."""
        return self._servers[0].directory / "data"

    @property
    def running(self) -> bool:
        """Whether every server process is there; paused ones are."""
        return all(server.running for server in self._servers)

    def log(self) -> str:
        """Return what the servers have printed so far."""
        return "\n".join(server.log() for server in self._servers)

    def kill(self) -> None:
        """SIGKILL; the data stays, and `restart` brings it back."""
        for server in self._servers:
            server.kill()

    def terminate(self) -> None:
        """SIGTERM and wait for a clean end; the data stays, and `restart` brings it back."""
        _all_at_once([server.terminate for server in self._servers])

    def pause(self) -> None:
        """SIGSTOP: connections stay open, and nobody answers."""
        for server in self._servers:
            server.pause()

    def resume(self) -> None:
        """SIGCONT."""
        for server in self._servers:
            server.resume()

    def restart(self) -> None:
        """Start it again on the same port and data, after a clean end if it is running still."""
        self.terminate()
        for server in self._servers:
            server.start()
        self._wait_until_usable()

    def stop(self) -> None:
        """End it for good and remove its data; an external one is left alone."""
        _all_at_once([server.close for server in self._all_servers])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _servers(self) -> tuple[Server, ...]:
        if self.external:
            name = type(self).__name__
            raise NotOurs(f"This {name} is the one {self._variable} names; unset it to have one of our own.")
        return self._all_servers

    def _wait_until_usable(self) -> None:
        """Wait for what a client needs beyond a listening port; nothing by default."""


def _all_at_once(actions: Sequence[Callable[[], None]]) -> None:
    """Do what takes each member of a set its second, once for all of them."""
    if len(actions) < 2:
        for action in actions:
            action()
        return
    with ThreadPoolExecutor(len(actions)) as threads:
        for done in [threads.submit(action) for action in actions]:
            done.result()
