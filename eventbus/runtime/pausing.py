"""Pauses that nobody but a sink asked for: stored as an operator's are, so they hold until one lifts them."""

from __future__ import annotations

from functools import partial

import structlog

from eventbus.core.backoff import until_reachable
from eventbus.core.signal import Signal
from eventbus.errors import Unreachable
from eventbus.state.store import ControlStore
from eventbus.telemetry import metrics

__all__ = ["Pausing"]

log = structlog.get_logger("eventbus.pausing")


class Pausing:
    """Stores the pauses that the routes of one subscription need.

    Args:
        subscription: Name of the subscription.
        store: Where operators find them.
    """

    def __init__(self, subscription: str, store: ControlStore) -> None:
        self._subscription = subscription
        self._store = store
        self._asked: dict[str, str] = {}
        self._changed = Signal()
        self._log = log.bind(subscription=subscription)

    def ask(self, route: str, reason: str) -> None:
        """Have a route paused."""
        self._log.warning("route_paused_by_sink", route=route, reason=reason)
        metrics.route_paused_by_sink(self._subscription, route)
        self._asked[route] = reason
        self._changed.notify()

    def asked(self, route: str) -> str | None:
        """Why a route is to be paused, while that is not stored yet."""
        return self._asked.get(route)

    async def run(self) -> None:
        """Store what is asked for, however long it takes, until cancelled."""
        while True:
            while not self._asked:
                await self._changed.wait()
            for route, reason in list(self._asked.items()):
                store = partial(self._store.set_paused, self._subscription, route, reason)
                await until_reachable(store, on_failure=self._report_waiting)
                del self._asked[route]

    def _report_waiting(self, error: Unreachable) -> None:
        self._log.debug("pause_not_stored", reason=str(error))
