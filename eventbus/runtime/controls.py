"""Asks the state store what operators want of the subscriptions that run here: one question for all of them.

A verb is stored, not called, so it holds whether it came before a subscription ran or while it moved to
another daemon. What is asked here again and again is what a subscription asks once before it begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import anyio
import structlog

from eventbus.errors import Unreachable, said
from eventbus.state.operations import Control
from eventbus.state.store import ControlStore
from eventbus.telemetry import progress

__all__ = ["Controls"]

log = structlog.get_logger("eventbus.controls")


class Controls:
    """Tells subscriptions what is wanted of them.

    Args:
        store: Where it is written.
        every_secs: How often it is looked at.
    """

    def __init__(self, store: ControlStore, *, every_secs: float = 1.0) -> None:
        self._store = store
        self._every_secs = every_secs
        self._obeying: dict[str, Callable[[Control], None]] = {}
        self._is_refused = False

    async def run(self) -> None:
        """Look, and tell, until cancelled. While the store is away, or refuses, nothing changes."""
        with progress.reported("the look at what operators want"):
            while True:
                progress.expected(self._every_secs)
                await anyio.sleep(self._every_secs)
                await self._look()

    async def _look(self) -> None:
        controls = await self._read() if self._obeying else None
        if controls is not None:
            for name, obey in list(self._obeying.items()):
                obey(controls.get(name, Control()))

    async def of(self, subscription: str) -> Control:
        """What is wanted of one subscription now.

        Raises:
            Unreachable: The store is away.
        """
        controls = await self._store.controls({subscription})
        return controls.get(subscription, Control())

    async def _read(self) -> Mapping[str, Control] | None:
        """What is wanted; None if the store could not be asked.

        No failure leaves it: with it every subscription of the process would end, for want of a word that is
        asked for again in a second. Whether the store is fit to work with, leases decide.
        """
        try:
            controls = await self._store.controls(set(self._obeying))
        except Unreachable as error:
            log.debug("controls_not_read", reason=str(error))
        except Exception as error:  # noqa: BLE001 - see above
            if not self._is_refused:
                log.warning("controls_refused", reason=said(error))
            self._is_refused = True
        else:
            self._is_refused = False
            return controls
        return None

    @contextmanager
    def obeyed(self, subscription: str, obey: Callable[[Control], None]) -> Iterator[None]:
        """Tell a subscription while the body runs.

        Args:
            subscription: Its name.
            obey: Told again and again, also when nothing changed; it must not await.
        """
        self._obeying[subscription] = obey
        try:
            yield
        finally:
            del self._obeying[subscription]
