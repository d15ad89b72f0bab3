"""A wake-up that many may give and many may wait for; giving it costs nothing while nobody waits."""

from __future__ import annotations

import anyio

__all__ = ["Signal"]


class Signal:
    """Wakes everybody who waits now. Look at the condition first, then wait, with no await in between."""

    def __init__(self) -> None:
        self._event: anyio.Event | None = None

    def notify(self) -> None:
        """Wake all who wait."""
        if self._event is not None:
            self._event.set()
            self._event = None

    async def wait(self) -> None:
        """Wait for the next `notify`."""
        if self._event is None:
            self._event = anyio.Event()
        await self._event.wait()
