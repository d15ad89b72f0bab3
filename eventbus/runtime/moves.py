"""Positions that operators moved: carried out before the routes of a subscription are made.

A route that runs is not touched. The subscription ends its life in good order and begins anew, so that a
moved route begins like any other: from a stored position, with nothing of its own under way.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import structlog

from eventbus.model import Origin, Position
from eventbus.runtime.recovery import record_gap
from eventbus.runtime.saver import Saver
from eventbus.state.gaps import Gap
from eventbus.state.operations import Control, Operation, OperationKind, OperationStatus
from eventbus.state.store import Lease, Store

__all__ = ["POSITION_SET", "carry_out_moves", "moves_of"]

log = structlog.get_logger("eventbus.route")

POSITION_SET = "position set"
"""The policy of a gap that an operator wanted."""


def moves_of(control: Control) -> list[Operation]:
    """What is wanted of positions, the oldest wish first."""
    return [operation for operation in control.operations if operation.kind is OperationKind.MOVE]


async def carry_out_moves(
    control: Control, routes: Collection[str], store: Store, saver: Saver, lease: Lease
) -> None:
    """Move positions as operators want, one after the other; a crash in between does the last one again.

    Args:
        control: What is wanted.
        routes: Names of the routes that there are.
        store: Where the wishes are, and gaps.
        saver: Who writes positions.
        lease: What every write is conditional on.

    Raises:
        Unreachable: The store is away.
        LeaseLost: Somebody else runs the subscription now.
    """
    for operation in moves_of(control):
        problem = ""
        if operation.route in routes:
            await _move(operation, await store.positions(lease.subscription), store, saver, lease)
        else:
            problem = f"the subscription has no route {operation.route!r}"
        status = OperationStatus.FAILED if problem else OperationStatus.DONE
        await store.move_operation(operation.moved(status, operation.progress, problem), lease)


async def _move(
    operation: Operation, positions: Mapping[str, Position], store: Store, saver: Saver, lease: Lease
) -> None:
    route, before, position = operation.route, positions.get(operation.route), operation.start
    assert position is not None
    if operation.only_forward and before is not None and before.token >= position.token:
        log.info("position_kept", subscription=operation.subscription, route=route, token=before.token)
        return
    if before is not None and position.token > before.token:
        reason = f"an operator moved the position: {operation.requested_by or operation.id}"
        gap = Gap(operation.subscription, route, before, position, POSITION_SET, reason)
        await record_gap(store, gap)
    await saver.begin(lease, {route: replace(position, origin=Origin.SET, committed="")})
    log.info(
        "position_moved",
        subscription=operation.subscription,
        route=route,
        before=before.token if before is not None else None,
        token=position.token,
        requested_by=operation.requested_by,
    )
