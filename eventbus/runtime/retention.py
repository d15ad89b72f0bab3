"""Removes dead letters that have expired. Any daemon may: the store knows which, by its own clock."""

from __future__ import annotations

import anyio
import structlog

from eventbus.errors import said
from eventbus.state.store import LetterStore
from eventbus.telemetry import metrics, progress

__all__ = ["keep_purging"]

log = structlog.get_logger("eventbus.retention")


async def keep_purging(store: LetterStore, *, every_secs: float = 60.0) -> None:
    """Remove what has expired, until cancelled.

    A store that is away, or refuses, is asked again at the next turn: whoever needs it more says so.

    Args:
        store: Where the dead letters are.
        every_secs: How long to rest once nothing is left that has expired.
    """
    with progress.reported("the removal of dead letters that have expired"):
        while True:
            progress.expected(every_secs)
            if not await _purged(store):
                await anyio.sleep(every_secs)


async def _purged(store: LetterStore) -> int:
    """How many were removed at once; 0 if none could be."""
    try:
        removed = await store.purge_letters()
    except Exception as error:  # noqa: BLE001 - whatever it is, no subscription must end for it
        log.debug("letters_not_purged", reason=said(error))
        return 0
    metrics.dead_letters_purged(removed)
    return removed
