"""Endpoints about operations: what is sent beside the changes that come, and where routes go on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import Field

from eventbus.administration import moving, replaying, snapshotting
from eventbus.administration.names import check_route, check_subscription
from eventbus.administration.operation_rows import operation_row
from eventbus.administration.positions import written
from eventbus.administration.replaying import OVERWRITES, waits_for_resume
from eventbus.api import answers
from eventbus.api.endpoints import Call, Endpoint, Params, Wish
from eventbus.api.named import there
from eventbus.api.problems import Refused
from eventbus.api.running import Limit, OfRoute, OfSubscription
from eventbus.state.operations import Operation
from eventbus.state.store import Store
from eventbus.units import Rate

__all__ = ["ENDPOINTS", "Name", "WishedRate", "stored", "told"]

Name = Annotated[str, Field(min_length=1, max_length=200)]
WishedRate = Annotated[Rate, Field(gt=0)]
_Moment = Annotated[str, Field(min_length=1, max_length=2000)]


class _Operations(Params):
    subscription: str | None = None
    """Only of this subscription."""
    limit: Limit = 100
    """At most so many."""


class _OfOperation(Params):
    operation: str
    """Id of the operation."""


class _Move(Wish):
    """A route that is to go on from another position."""

    to: _Moment
    """Go on from here: now, oldest, -2h, a time, seconds.increment or a token."""
    dry_run: bool = False
    """Only say what would come of it."""


class _Replay(Wish):
    """A stretch of the source's history that is to be sent once more."""

    from_: Annotated[_Moment, Field(alias="from")]
    """Begin here: -2h, a time, seconds.increment or a token."""
    to: _Moment | None = None
    """End here; by default at the present moment."""
    rate: WishedRate | None = None
    """The most events a second, minute or hour, such as 50/s."""
    dry_run: bool = False
    """Only say what would be sent."""


class _Snapshot(Wish):
    """Documents that are to be sent to live routes."""

    routes: Annotated[list[Name], Field(max_length=100, default_factory=list)]
    """Only to these routes; by default to all."""
    collections: Annotated[list[Name], Field(max_length=100, default_factory=list)]
    """Only documents of these collections."""
    match: Annotated[dict[str, Any], Field(default_factory=dict)]
    """Only documents that this MQL matches, in Extended JSON."""
    dry_run: bool = False
    """Only say how much there is."""


def told(operation: Operation) -> answers.Operation:
    """An operation as it is answered."""
    return answers.Operation(**operation_row(operation, datetime.now(UTC)))


async def stored(store: Store, operation: Operation) -> answers.Operation:
    """Store an operation; how it lies in the store."""
    await store.add_operation(operation)
    return told(await _named(store, operation.id))


async def _operations(call: Call, among: _Operations, _: None) -> answers.Operations:
    store = await call.reach.store()
    found = await store.find_operations(subscription=among.subscription, limit=among.limit)
    return answers.Operations(operations=[told(operation) for operation in found])


async def _operation(call: Call, which: _OfOperation, _: None) -> answers.Operation:
    return told(await _named(await call.reach.store(), which.operation))


async def _cancel(call: Call, which: _OfOperation, _: None) -> answers.Operation:
    store = await call.reach.store()
    await _named(store, which.operation)
    cancelled = await store.cancel_operation(which.operation)
    operation = await _named(store, which.operation)
    if not cancelled:
        raise Refused("conflict", f"{operation.id} is over: {operation.status.value}")
    return told(operation)


async def _move(call: Call, which: OfRoute, wish: _Move) -> answers.Move:
    there(check_route, call.config, which.subscription, which.route)
    async with call.reach.source(which.subscription) as source:
        wanted = await moving.target(source, "to", wish.to)
    store = await call.reach.store()
    before = (await store.positions(which.subscription)).get(which.route)
    operation = moving.move(which.subscription, which.route, wanted, by=call.by)
    return answers.Move.model_validate(
        {
            "from": written(before),
            "to": written(wanted.position),
            "consequences": list(moving.consequences(before, wanted)),
            "operation": None if wish.dry_run else await stored(store, operation),
        }
    )


async def _replay(call: Call, which: OfRoute, wish: _Replay) -> answers.Replay:
    there(check_route, call.config, which.subscription, which.route)
    async with call.reach.source(which.subscription) as source:
        between = await replaying.stretch(source, ("from", wish.from_), ("to", wish.to))
    store = await call.reach.store()
    operation = replaying.replay(which.subscription, which.route, between, rate=wish.rate, by=call.by)
    waits = await waits_for_resume(store, which.subscription, which.route)
    return answers.Replay.model_validate(
        {
            "from": written(between.start),
            "to": written(between.until),
            "remarks": [OVERWRITES, *([waits] if waits else [])],
            "operation": None if wish.dry_run else await stored(store, operation),
        }
    )


async def _snapshot(call: Call, which: OfSubscription, wish: _Snapshot) -> answers.Snapshot:
    there(check_subscription, call.config, which.subscription)
    wanted = snapshotting.snapshot(
        call.config, which.subscription, wish.routes, wish.collections, wish.match, by=call.by
    )
    async with call.reach.source(which.subscription) as source:
        operation = await snapshotting.counted(source, wanted)
    store = await call.reach.store()
    remarks = [await waits_for_resume(store, which.subscription, route) for route in operation.routes]
    return answers.Snapshot(
        total=operation.progress.total,
        routes=list(operation.routes),
        remarks=[remark for remark in remarks if remark],
        operation=None if wish.dry_run else await stored(store, operation),
    )


async def _named(store: Store, operation_id: str) -> Operation:
    found = await store.find_operations(operation_id=operation_id)
    if not found:
        raise Refused("not_found", f"no operation has the id {operation_id}")
    return found[0]


_ROUTE: Final = "/subscriptions/{subscription}/routes/{route}"
ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/operations",
        "list_operations",
        "Operations, those that are over included.",
        _operations,
        answers.Operations,
        _Operations,
        refusals=["unavailable"],
    ),
    Endpoint(
        "GET",
        "/operations/{operation}",
        "show_operation",
        "One operation.",
        _operation,
        answers.Operation,
        _OfOperation,
        refusals=["not_found", "unavailable"],
    ),
    Endpoint(
        "POST",
        "/operations/{operation}/cancel",
        "cancel_operation",
        "End it; what it sent stays sent.",
        _cancel,
        answers.Operation,
        _OfOperation,
        refusals=["not_found", "conflict", "unavailable"],
    ),
    Endpoint(
        "POST",
        f"{_ROUTE}/position",
        "move_position",
        "Have a route go on from another position.",
        _move,
        answers.Move,
        OfRoute,
        _Move,
        status=202,
        refusals=["not_found", "unavailable"],
    ),
    Endpoint(
        "POST",
        f"{_ROUTE}/replay",
        "replay",
        "Send a stretch of the source's history once more.",
        _replay,
        answers.Replay,
        OfRoute,
        _Replay,
        status=202,
        refusals=["not_found", "unavailable"],
    ),
    Endpoint(
        "POST",
        "/subscriptions/{subscription}/snapshot",
        "snapshot",
        "Send what is there already.",
        _snapshot,
        answers.Snapshot,
        OfSubscription,
        _Snapshot,
        status=202,
        refusals=["not_found", "unavailable"],
    ),
)
