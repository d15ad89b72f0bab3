"""Chooses loopback ports that stay free while a server is down.

A port the kernel hands out for port 0 lies in the range it also takes for outgoing connections. A client
that keeps trying such a port while its server is killed can be given that very port as its own, connect to
itself, and keep the server from coming back. So we choose below that range, at random, and try it.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from eventbus.devservices._errors import PortTaken

_LOWEST = 15_000
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_TRIES = 20

_T = TypeVar("_T")


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now; somebody may take it before you do."""
    highest = _ephemeral_start() - 1
    for _ in range(_TRIES if highest > _LOWEST else 0):
        port = random.randint(_LOWEST, highest)
        if _can_bind(port):
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def on_a_free_port(start: Callable[[int], _T]) -> _T:
    """Call `start` with a free port, and again with another one if that was taken meanwhile."""
    for _ in range(_TRIES):
        try:
            return start(free_port())
        except PortTaken:
            continue
    return start(free_port())


def _ephemeral_start() -> int:
    try:
        return int(_EPHEMERAL.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 32_768


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
