"""The records of snapshots, as those ask for them who have a position that carries one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from eventbus.model import Position
from eventbus.state.operations import Operation
from eventbus.state.store import ControlStore

__all__ = ["record_of", "without_ended"]


async def record_of(store: ControlStore, snapshot_id: str) -> Operation | None:
    """The record of a snapshot; None if there is none yet.

    Raises:
        Unreachable: The store is away.
    """
    return next(iter(await store.find_operations(operation_id=snapshot_id)), None)


async def without_ended(store: ControlStore, positions: Mapping[str, Position]) -> Mapping[str, Position]:
    """Positions without snapshots that were ended when their routes had no time to forget them.

    Raises:
        Unreachable: The store is away.
    """
    found = {position.snapshot.id for position in positions.values() if position.snapshot is not None}
    records = [await record_of(store, snapshot_id) for snapshot_id in sorted(found)]
    ended = {record.id for record in records if record is not None and record.status.is_over}
    return {
        name: replace(position, snapshot=None)
        if position.snapshot is not None and position.snapshot.id in ended
        else position
        for name, position in positions.items()
    }
