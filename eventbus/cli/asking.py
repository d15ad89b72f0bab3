"""What every request carries that is stored for others to obey: who asks, and a name for it."""

from __future__ import annotations

import getpass
import secrets
import socket

__all__ = ["new_operation_id", "requester"]


def requester() -> str:
    """Who types the command, for people: user@host."""
    try:
        user = getpass.getuser()
    except (ImportError, KeyError, OSError):  # a container may run under a number without a name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def new_operation_id() -> str:
    """Ten characters that no operation has: short enough to be typed, no @ and no dot."""
    return secrets.token_hex(5)
