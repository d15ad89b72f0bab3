"""Lets held keys go: once what they waited behind is replayed or discarded, and nothing of them is left.

What waits behind a dead letter that is no more is sent in order by an operation of its own. Only when a key
has no dead letter left at all is it released, and its next event delivered: so none overtakes another.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import structlog

from eventbus.core.rounds import next_round
from eventbus.errors import Unreachable
from eventbus.runtime.route import Route
from eventbus.state.operations import Operation, OperationKind
from eventbus.state.store import Store

__all__ = ["Holding"]

log = structlog.get_logger("eventbus.route")

_ROUND_SECS = 2.0


class Holding:
    """The held keys of one subscription's live routes.

    Args:
        subscription: Name of the subscription.
        store: Where dead letters are.
        routes: The routes that run.
    """

    def __init__(self, subscription: str, store: Store, routes: Mapping[str, Route]) -> None:
        self._subscription = subscription
        self._store = store
        self._routes = routes

    async def run(self) -> None:
        """Look after held keys until cancelled."""
        while True:
            await next_round(_ROUND_SECS)
            for route in list(self._routes.values()):
                if route.held and not route.is_replay:
                    try:
                        await self._look_after(route)
                    except Unreachable as error:
                        log.debug("held_keys_not_read", route=route.name, reason=str(error))

    async def _look_after(self, route: Route) -> None:
        asked = route.parks
        left = await self._store.held_keys(self._subscription, route.name)
        route.release(route.held.keys() - {key.key for key in left}, asked)
        if any(key.held and not key.dead for key in left):
            await self._ask_for_release(route)

    async def _ask_for_release(self, route: Route) -> None:
        control = (await self._store.controls({self._subscription})).get(self._subscription)
        operations = control.operations if control is not None else ()
        if any(one.kind is OperationKind.RELEASE and one.route == route.name for one in operations):
            return
        await self._store.add_operation(
            Operation(
                uuid.uuid4().hex[:8],
                OperationKind.RELEASE,
                self._subscription,
                route.name,
                routes=(route.name,),
                requested_by="eventbus",
            )
        )
