"""Who types the command."""

from __future__ import annotations

import getpass
import socket

__all__ = ["requester"]


def requester() -> str:
    """Who types the command, for people: user@host."""
    try:
        user = getpass.getuser()
    except (ImportError, KeyError, OSError):  # a container may run under a number without a name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
