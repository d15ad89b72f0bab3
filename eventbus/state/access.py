"""What a process wants with a state that a daemon may have."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Access"]


class Access(StrEnum):
    """What for, where the state is a file."""

    DAEMON = "daemon"
    """Run: one process at a time, which makes the file if it is missing."""
    OPERATE = "operate"
    """Write what operators want, beside a daemon or while none runs."""
    READ = "read"
    """Look, and change nothing."""
