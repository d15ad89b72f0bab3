"""A gate before every attempt of a route: closed while somebody wants it paused."""

from __future__ import annotations

from eventbus.core.signal import Signal

__all__ = ["Gate"]


class Gate:
    """Open, or closed with a reason."""

    def __init__(self) -> None:
        self.reason: str | None = None
        """Why it is closed, for people; None while it is open."""
        self._moved = Signal()

    def close(self, reason: str) -> None:
        """Let nobody pass from now on."""
        self.reason = reason

    def open(self) -> None:
        """Let everybody pass."""
        self.reason = None
        self._moved.notify()

    async def passed(self) -> None:
        """Wait until it is open; at once if it is."""
        while self.reason is not None:
            await self._moved.wait()
