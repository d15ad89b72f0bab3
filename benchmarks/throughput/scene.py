"""What a case is given to measure in, and what a case is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from benchmarks.throughput.baselines import Task
from benchmarks.throughput.measuring import Numbers
from benchmarks.throughput.servers import Servers

__all__ = ["Case", "Kind", "Measure", "Scene"]


class Kind(StrEnum):
    """What is measured; the cases of one kind follow one another, run by run."""

    BACKLOG = "backlog"
    """How fast a long backlog is worked off."""
    SNAPSHOT = "snapshot"
    """How fast documents that are there already are read and delivered."""
    LATENCY = "latency"
    """How long a change takes at a steady pace."""
    RECOVERY = "recovery"
    """How long a daemon that was killed takes."""
    IDLE = "idle"
    """What a daemon costs while nothing happens."""
    STAGE = "stage"
    """What a stage costs, by itself."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One run of one case.

    Args:
        servers: Where everything is.
        start: The operation time before the backlog: seconds and increment.
        events: How many changes of the backlog this case is to read.
        run: A number that no other run has: a name for what it writes to.
        live_secs: How long live changes are written.
    """

    servers: Servers
    start: tuple[int, int]
    events: int
    run: int
    live_secs: float

    @property
    def target(self) -> str:
        """The name of the topic, stream or file of this run alone."""
        return f"orders-{self.run}"

    def task(self, **sinks: str) -> Task:
        """What a loop is to do."""
        return Task(self.servers.mongodb, self.start, self.events, **sinks)

    def config(self, sinks: Mapping[str, Any], subscriptions: Mapping[str, Any]) -> dict[str, Any]:
        """A daemon's configuration, with what all have in common."""
        return {
            "mongodb": {"uri": self.servers.mongodb},
            "state": {"database": f"eventbus_{self.run}"},
            "sinks": dict(sinks),
            "subscriptions": dict(subscriptions),
        }


Measure: TypeAlias = Callable[[Scene], Numbers]


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that is measured.

    Args:
        name: How it is asked for.
        says: What it is, for readers of a table.
        kind: What is measured.
        measure: Measures it once.
        needs: Servers besides MongoDB, and what else must be there.
        share: It gets one part of so many of the events: it is slow, or shows whether time grows with them.
        only_full: Whether it is left out unless it is asked for, or everything is.
    """

    name: str
    says: str
    kind: Kind
    measure: Measure
    needs: frozenset[str] = frozenset()
    share: int = 1
    only_full: bool = False
