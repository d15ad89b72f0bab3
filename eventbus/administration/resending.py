"""Sending dead letters once more: what there is to send, by route, and whether somebody does it already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from eventbus.administration.asking import new_operation_id
from eventbus.administration.letters import totals_row, with_replays
from eventbus.administration.names import check_route, check_subscription, route_names
from eventbus.config import Config
from eventbus.state.operations import Operation, OperationKind, Progress
from eventbus.state.store import ControlStore, LetterQuery, LetterTotals, Store

__all__ = ["Part", "busy", "plan", "remark_on_held", "remark_on_superseded", "without_superseded"]


@dataclass(frozen=True, slots=True)
class Part:
    """The dead letters of one route, live or of a replay, that are to be sent.

    Args:
        subscription: Name of the subscription.
        route: Name of the live route whose sink gets them.
        query: Which they are, all of one route.
        totals: How many.
    """

    subscription: str
    route: str
    query: LetterQuery
    totals: LetterTotals

    @property
    def name(self) -> str:
        """Whose dead letters they are."""
        return f"{self.subscription}/{self.query.routes[0]}"

    def operation(self, *, rate: float | None, runner: str, by: str) -> Operation:
        """What is asked for."""
        return Operation(
            id=new_operation_id(),
            kind=OperationKind.DEAD_LETTERS,
            subscription=self.subscription,
            route=self.route,
            routes=self.query.routes,
            match=self.query.match,
            rate=rate,
            runner=runner,
            requested_by=by,
            progress=Progress(total=self.totals.letters - self.totals.held),
        )

    def row(self) -> dict[str, Any]:
        """It as people read it."""
        return {
            "subscription": self.subscription,
            "route": self.query.routes[0],
            **totals_row(self.totals),
        }


def without_superseded(query: LetterQuery) -> LetterQuery:
    """The same query, less those of whose key a newer event has gone out."""
    condition = {"superseded_by": {"$exists": False}}
    return replace(query, match={"$and": [query.match, condition]} if query.match else condition)


async def plan(config: Config, store: Store, query: LetterQuery) -> list[Part]:
    """What there is to be sent, by route: an operation concludes dead letters of one route only.

    Raises:
        ConfigurationError: A name is not configured, or the match is no query.
    """
    found = []
    for subscription, route in _places(config, query):
        meant = query.routes or (route,)
        whole = await with_replays(store, replace(query, subscription=subscription, routes=meant))
        for one in whole.routes:
            narrowed = replace(whole, routes=(one,))
            totals = await store.count_letters(narrowed)
            if totals.letters:
                found.append(Part(subscription, route, narrowed, totals))
    return found


async def busy(store: ControlStore, parts: Sequence[Part]) -> tuple[Operation, Part] | None:
    """Who sends some of them already, if anybody does: two at a time would send them twice."""
    for part in parts:
        for operation in await store.find_operations(subscription=part.subscription):
            sends_letters = operation.kind is OperationKind.DEAD_LETTERS and not operation.status.is_over
            if sends_letters and list(operation.routes) == list(part.query.routes):
                return operation, part
    return None


def remark_on_held(parts: Sequence[Part]) -> str | None:
    """What becomes of those that wait behind another one; None if none does."""
    held = sum(part.totals.held for part in parts)
    if not held:
        return None
    return (
        f"{held} of them wait behind another of their key: they follow by themselves, in order, as an "
        "operation of kind release ('eventbus operation list')."
    )


def remark_on_superseded(parts: Sequence[Part], way_out: str) -> str | None:
    """What a sink makes of those that are not the newest of their key; None if all are.

    Args:
        parts: All that is to be sent.
        way_out: What leaves them out.
    """
    superseded = sum(part.totals.superseded for part in parts)
    if not superseded:
        return None
    return (
        f"Of {superseded} of them a newer event of the key has gone out since: a sink that keeps the "
        f"last state it was sent would go back to an older one ({way_out} leaves them out)."
    )


def _places(config: Config, query: LetterQuery) -> list[tuple[str, str]]:
    """The subscriptions and live routes that a query is about, all of them configured."""
    if query.subscription is not None:
        check_subscription(config, query.subscription)
    among = [query.subscription] if query.subscription is not None else list(config.subscriptions)
    live = query.routes[0].partition("@")[0] if query.routes else None
    places = [(name, route) for name in among for route in route_names(config, name) if live in {None, route}]
    if not places and live is not None:
        check_route(config, among[0], live)
    return places
