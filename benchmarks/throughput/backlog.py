"""The daemon on a long backlog: how fast each kind of sink takes it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.throughput.arrived import all_arrived
from benchmarks.throughput.daemon import Daemon
from benchmarks.throughput.measuring import Numbers, follow
from benchmarks.throughput.scene import Measure, Scene
from benchmarks.throughput.servers import KAFKA, REDIS, WEBHOOK
from benchmarks.throughput.workload import COLLECTION, DATABASE, documents_of, make_customers

__all__ = ["SINKS", "daemon_to", "needs_of", "snapshot_to", "with_customers"]

SINKS: Final[dict[str, Callable[[Scene, Path], dict[str, Any]]]] = {
    "discard": lambda _scene, _directory: {"type": "discard"},
    "file": lambda scene, directory: {"type": "file", "path": str(directory / f"{scene.target}.jsonl")},
    REDIS: lambda scene, _directory: {
        "type": "redis",
        "url": scene.servers.redis,
        "mode": "stream",
        "stream": scene.target,
    },
    KAFKA: lambda scene, _directory: {
        "type": "kafka",
        "bootstrap_servers": scene.servers.kafka,
        "topic": scene.target,
        "topics": {"create": True, "partitions": 1, "replication": 1},
    },
    WEBHOOK: lambda scene, _directory: {"type": "webhook", "url": scene.servers.webhook},
}
"""How each kind of sink is written, for one run."""


def needs_of(sinks: Sequence[str]) -> frozenset[str]:
    """The servers that sinks of these kinds need."""
    return frozenset(sinks) & {KAFKA, REDIS, WEBHOOK}


def daemon_to(
    *kinds: str,
    sink: Mapping[str, Any] | None = None,
    route: Mapping[str, Any] | None = None,
    subscription: Mapping[str, Any] | None = None,
) -> Measure:
    """Work off the backlog into sinks of these kinds.

    Args:
        kinds: Of `SINKS`, each a route of its own.
        sink: Further options of each sink.
        route: Further options of each route.
        subscription: Further options of the subscription.
    """

    def measure(scene: Scene) -> Numbers:
        with tempfile.TemporaryDirectory(prefix="eventbus-bench-") as directory:
            config = scene.config(
                {kind: {**SINKS[kind](scene, Path(directory)), **(sink or {})} for kind in kinds},
                {
                    "orders": {
                        "source": {"database": DATABASE, "collections": [COLLECTION]},
                        "start": "oldest",
                        "routes": [{"sink": kind, **(route or {})} for kind in kinds],
                        **(subscription or {}),
                    }
                },
            )
            with Daemon.running(config) as daemon:
                numbers = follow(daemon.process.pid, lambda: daemon.settled(len(kinds)), scene.events)
            all_arrived(kinds, scene, Path(directory))
            return numbers

    return measure


def with_customers(measure: Measure) -> Measure:
    """The same, where there is a collection to look something up in."""

    def prepared(scene: Scene) -> Numbers:
        make_customers(scene.servers.mongodb)
        return measure(scene)

    return prepared


def snapshot_to(kind: str) -> Measure:
    """Read the documents that are there already into a sink of this kind."""

    def measure(scene: Scene) -> Numbers:
        with tempfile.TemporaryDirectory(prefix="eventbus-bench-") as directory:
            source = {"database": DATABASE, "collections": [COLLECTION], "snapshot": "initial"}
            config = scene.config(
                {kind: SINKS[kind](scene, Path(directory))}, {"orders": {"source": source, "routes": [kind]}}
            )
            with Daemon.running(config) as daemon:
                return follow(daemon.process.pid, daemon.settled, documents_of(scene.events))

    return measure
