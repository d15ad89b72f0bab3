"""What operators ask of a running subscription, as values: pauses and operations, both durable.

A verb is stored, not called: whoever holds the subscription's lease, now or after a restart, finds it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from eventbus.model import ClusterTime, Position

__all__ = ["Control", "Operation", "OperationKind", "OperationStatus", "Progress"]


class OperationKind(StrEnum):
    """What an operation reads."""

    REPLAY = "replay"
    """A stretch of the source's history, once more."""
    DEAD_LETTERS = "dead_letters"
    """Dead letters that match a query, once more."""
    RELEASE = "release"
    """Events that were held behind a dead letter which is replayed or discarded by now."""
    SNAPSHOT = "snapshot"
    """Documents that are there already, beside the changes of the live routes."""
    MOVE = "move"
    """Nothing: the route goes on from another position, and nothing runs beside it."""


class OperationStatus(StrEnum):
    """How far an operation has come."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens."""
        return self not in {OperationStatus.WAITING, OperationStatus.RUNNING}


@dataclass(frozen=True, slots=True)
class Progress:
    """What an operation has done so far.

    Args:
        delivered: Events that the sink has.
        parked: Events that became dead letters, or stayed such.
        filtered: Events that were deliberately left out.
        total: How many there will be in all, where that is known before.
        reached: Cluster time up to which everything is settled.
        read: Documents that were read and have found their end; of a snapshot only, as are the rest.
        per_sec: How many of them come each second at present; None while that cannot be told.
        through: The routes that have all of them.
    """

    delivered: int = 0
    parked: int = 0
    filtered: int = 0
    total: int | None = None
    reached: ClusterTime | None = None
    read: int = 0
    per_sec: float | None = None
    through: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """Sending more than the changes that come: past events once more, or documents that are there already.

    Past events are sent beside the live route and without touching its position; documents by the live route.

    Args:
        id: Short, unique, chosen by whoever asks.
        kind: What is read.
        subscription: Name of the subscription.
        route: Name of the live route whose sink it uses and whose pause it shares; ``*`` for several.
        start: Everything up to here is left out; of a replay, and of a move: where the route goes on.
        until: Everything beyond is left out; of a replay only.
        routes: The routes whose dead letters are sent, or that get the documents of a snapshot.
        match: The query over dead letters, see `eventbus.state.query`; of a snapshot, the source's filter.
        collections: The collections of a snapshot; empty for all that the source reads.
        rate: The most events a second; None for no bound.
        runner: Who runs it: empty for the holder of the subscription's lease, else a process of its own.
        requested_by: Who asked for it, for people.
        only_forward: Of a move: a route that is further by then stays where it is.
        status: How far it has come.
        progress: What it has done.
        problem: Why it failed, for people.
        created_at: When it was asked for, on the store's clock; None before it is stored.
        updated_at: When its status or progress last changed.
    """

    id: str
    kind: OperationKind
    subscription: str
    route: str
    start: Position | None = None
    until: Position | None = None
    routes: Sequence[str] = ()
    match: Mapping[str, Any] = field(default_factory=dict)
    collections: Sequence[str] = ()
    rate: float | None = None
    runner: str = ""
    requested_by: str = ""
    only_forward: bool = False
    status: OperationStatus = OperationStatus.WAITING
    progress: Progress = field(default_factory=Progress)
    problem: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def stored_route(self) -> str:
        """The name under which its own position is kept: no live route has an @ in its name."""
        return f"{self.route}@{self.id}"

    def moved(self, status: OperationStatus, progress: Progress, problem: str = "") -> Operation:
        """The same operation, further on."""
        return replace(self, status=status, progress=progress, problem=problem)


@dataclass(frozen=True, slots=True)
class Control:
    """What operators want of one subscription at this moment.

    Args:
        paused: Reasons by name of the paused route; the name ``*`` stands for all routes.
        operations: What is waiting or running, oldest first.
    """

    paused: Mapping[str, str] = field(default_factory=dict)
    operations: Sequence[Operation] = ()

    def pause_of(self, route: str) -> str | None:
        """Why a route is to be paused, for people; None if it is not."""
        reason = self.paused.get(route, self.paused.get("*"))
        return None if reason is None else reason or "paused"
