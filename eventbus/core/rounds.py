"""Rounds that everybody makes at the same moments, so that a hundred of them wake the process once."""

from __future__ import annotations

import anyio

__all__ = ["next_round"]


async def next_round(every_secs: float) -> None:
    """Sleep until the clock shows the next multiple of a time.

    Args:
        every_secs: Seconds; also the longest sleep.
    """
    rounds = anyio.current_time() // every_secs
    await anyio.sleep_until((rounds + 1) * every_secs)
