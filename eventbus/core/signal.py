"""A wake-up that many may give and many may wait for; giving it costs nothing while nobody waits."""

from __future__ import annotations

from collections.abc import Callable

import anyio

__all__ = ["Signal"]


class Signal:
    """Wakes everybody who waits now. Look at the condition first, then wait, with no await in between.

    Args:
        then: Called with each `notify`, after those who wait were woken.
    """

    def __init__(self, then: Callable[[], None] | None = None) -> None:
        self._event: anyio.Event | None = None
        self._then = then

    def notify(self) -> None:
        """Wake all who wait."""
        if self._event is not None:
            self._event.set()
            self._event = None
        if self._then is not None:
            self._then()

    async def wait(self) -> None:
        """Wait for the next `notify`."""
        if self._event is None:
            self._event = anyio.Event()
        await self._event.wait()
