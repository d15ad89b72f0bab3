"""Reloads for whoever may stop waiting, such as an HTTP client: one that has begun goes on to its end."""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio

from eventbus.core.signal import Signal
from eventbus.reloading.outcome import ReloadOutcome, Reloads

__all__ = ["ReloadsBeside"]


@dataclass(slots=True, eq=False)
class _Wish:
    done: anyio.Event = field(default_factory=anyio.Event)
    outcome: ReloadOutcome | None = None


class ReloadsBeside:
    """Has a daemon reload in a task of its own.

    Args:
        daemon: Reloads.
    """

    def __init__(self, daemon: Reloads) -> None:
        self._daemon = daemon
        self._wishes: list[_Wish] = []
        self._news = Signal()

    async def run(self) -> None:
        """Reload whenever somebody asks, until cancelled; what is asked for meanwhile is one more reload."""
        while True:
            while not self._wishes:
                await self._news.wait()
            wishes, self._wishes = self._wishes, []
            outcome = await self._daemon.reload()
            for wish in wishes:
                wish.outcome = outcome
                wish.done.set()

    async def reload(self) -> ReloadOutcome:
        """See `eventbus.reloading.outcome.Reloads`. To cancel it ends the waiting, not the reload."""
        wish = _Wish()
        self._wishes.append(wish)
        self._news.notify()
        await wish.done.wait()
        assert wish.outcome is not None
        return wish.outcome
