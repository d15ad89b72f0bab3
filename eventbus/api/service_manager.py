"""Tells systemd, or whatever speaks its protocol, that we are ready, alive, waiting or stopping.

The protocol is sd_notify(3): a datagram of lines `NAME=value` to the socket that NOTIFY_SOCKET names. Without
that variable nobody is told anything. A manager that does not listen never holds the process up, nor ends it.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping

import anyio
import structlog

from eventbus.api.server import Health

__all__ = ["ServiceManager"]

log = structlog.get_logger("eventbus.service_manager")


class ServiceManager:
    """Who started us, if it wants to hear from us.

    Args:
        environ: The environment: NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are read.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self._watchdog_secs = _watchdog_secs(environ)
        self._failed = False

    def ready(self, status: str) -> None:
        """Say that the start is over, and what is done from now on."""
        self._tell("READY=1", f"STATUS={_line(status)}")

    def reloading(self) -> None:
        """Say that another configuration is being put in force; `ready` says that it is over."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def waiting(self, reason: str) -> None:
        """Say why the start is not over yet."""
        self._tell(f"STATUS={_line(reason)}")

    def stopping(self) -> None:
        """Say that we end; not for a fault, so we are not to be started again."""
        self._tell("STOPPING=1", "STATUS=draining")

    async def keep_alive(self, live: Callable[[], Health]) -> None:
        """Say that we are alive, twice as often as is asked for, for as long as we are.

        A loop that stands still says nothing by itself; one whose saver does not move must not say it.

        Args:
            live: What `/livez` answers.
        """
        if self._address is None or self._watchdog_secs is None:
            return
        while True:
            if live().ok:
                self._tell("WATCHDOG=1")
            await anyio.sleep(self._watchdog_secs / 2)

    def _tell(self, *lines: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as end:
                end.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            if not self._failed:
                log.warning("service_manager_not_told", reason=str(error))
            self._failed = True
        else:
            self._failed = False


def _address(name: str) -> str | None:
    """A path, or a name in the abstract namespace, whose `@` stands for a zero byte."""
    if name.startswith("@"):
        return "\0" + name[1:]
    return name if name.startswith("/") else None


def _watchdog_secs(environ: Mapping[str, str]) -> float | None:
    """How often we must be heard of; None if nobody waits for it, or for another process."""
    meant = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    microseconds = environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if meant and microseconds.isdigit() and int(microseconds) else None


def _line(text: str) -> str:
    return " ".join(text.split())
