"""Counts the dead letters of each route that runs here, no further than it matters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import anyio
import structlog

from eventbus.errors import said
from eventbus.notices.outbox import Outbox
from eventbus.state.store import LetterStore
from eventbus.telemetry import progress
from eventbus.telemetry.notices import Notice, NoticeKind

__all__ = ["LetterWatch"]

log = structlog.get_logger("eventbus.notices")

_LOOK_SECS = 2.0
"""Between two looks at routes that got dead letters, or had too many."""
_WHOLE_LOOK_SECS = 300.0
"""Between two looks at all: others may park, too."""


class LetterWatch:
    """Has it noticed when a route has more dead letters than users want, and when it has no more.

    Args:
        store: Where they are.
        outbox: Who knows what users want, and is told.
        running: The routes that run here, by name of the subscription.
    """

    def __init__(
        self, store: LetterStore, outbox: Outbox, running: Callable[[], Mapping[str, Sequence[str]]]
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._running = running
        self._looked: dict[tuple[str, str], float] = {}

    async def run(self) -> None:
        """Look, until cancelled."""
        with progress.reported("the look at dead letters"):
            while True:
                progress.expected(_LOOK_SECS)
                try:
                    await self._look()
                except Exception as error:  # noqa: BLE001 - whatever it is, no subscription must end for it
                    log.debug("dead_letters_not_counted", reason=said(error))
                await anyio.sleep(_LOOK_SECS)

    async def _look(self) -> None:
        for subscription, route in self._due():
            section = self._outbox.section
            if section is None:
                return
            most = section.dead_letters_above
            self._outbox.parked_routes.discard((subscription, route))
            try:
                found = await self._store.count_parked(subscription, route, most=most + 1)
            except Exception:
                self._outbox.parked(subscription, route)
                raise
            self._looked[subscription, route] = anyio.current_time()
            self._outbox.noticed(_notice(subscription, route, found, most))

    def _due(self) -> Iterator[tuple[str, str]]:
        if self._outbox.section is None:
            self._looked.clear()
            return
        now = anyio.current_time()
        running = [(name, route) for name, routes in self._running().items() for route in routes]
        for gone in self._looked.keys() - set(running):
            del self._looked[gone]
        for one in running:
            is_old = now - self._looked.get(one, -_WHOLE_LOOK_SECS) >= _WHOLE_LOOK_SECS
            if is_old or one in self._outbox.parked_routes or self._outbox.has_many_letters(*one):
                yield one


def _notice(subscription: str, route: str, found: int, most: int) -> Notice:
    if found > most:
        reason = f"more than {most} dead letters are parked"
        return Notice(NoticeKind.DEAD_LETTERS_ABOVE, reason, subscription, route, details={"more_than": most})
    return Notice(NoticeKind.DEAD_LETTERS_BELOW, "", subscription, route, details={"dead_letters": found})
