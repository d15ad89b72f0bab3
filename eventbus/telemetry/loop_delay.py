"""How late the event loop wakes a task that has slept: a process with too much to do is late."""

from __future__ import annotations

from typing import Final

import anyio

from eventbus.telemetry import metrics

__all__ = ["keep_measuring"]

_EVERY_SECS: Final = 1.0


async def keep_measuring() -> None:
    """Sleep a little, again and again, and tell by how much it was too long; until cancelled."""
    while True:
        due_at = anyio.current_time() + _EVERY_SECS
        await anyio.sleep_until(due_at)
        metrics.loop_delayed(max(0.0, anyio.current_time() - due_at))
