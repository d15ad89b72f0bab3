"""Reloads for whoever may stop waiting, or never waits: one that has begun goes on to its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import anyio

from eventbus.core.signal import Signal
from eventbus.reloading.outcome import ReloadOutcome

__all__ = ["ReloadsBeside"]


@dataclass(slots=True, eq=False)
class _Wish:
    done: anyio.Event = field(default_factory=anyio.Event)
    outcome: ReloadOutcome | None = None


_STOPPING: Final = ReloadOutcome("refused", problems=["the daemon is stopping: start it again"])


class ReloadsBeside:
    """Reloads in a task of its own. What is asked for before that runs waits for it.

    Args:
        reload: Does it.
    """

    def __init__(self, reload: Callable[[], Awaitable[ReloadOutcome]]) -> None:
        self._reload = reload
        self._wishes: list[_Wish] = []
        self._news = Signal()
        self._is_over = False

    async def run(self) -> None:
        """Reload whenever somebody asks, until cancelled; what is asked for meanwhile is one more reload."""
        wishes: list[_Wish] = []
        try:
            while True:
                while not self._wishes:
                    await self._news.wait()
                wishes, self._wishes = self._wishes, []
                _answer(wishes, await self._reload())
        finally:
            self._is_over = True
            _answer([*wishes, *self._wishes], _STOPPING)

    def ask(self) -> None:
        """Have it reload; nobody waits for it."""
        self._wishes.append(_Wish())
        self._news.notify()

    async def reload(self) -> ReloadOutcome:
        """See `eventbus.reloading.outcome.Reloads`. To cancel it ends the waiting, not the reload."""
        if self._is_over:
            return _STOPPING
        wish = _Wish()
        self._wishes.append(wish)
        self._news.notify()
        await wish.done.wait()
        assert wish.outcome is not None
        return wish.outcome


def _answer(wishes: Sequence[_Wish], outcome: ReloadOutcome) -> None:
    """Tell those who have not heard yet."""
    for wish in wishes:
        wish.outcome = wish.outcome or outcome
        wish.done.set()
