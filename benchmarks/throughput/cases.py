"""Everything that is measured. A further case is a few lines here; what it must reach stands in `bars`."""

from __future__ import annotations

from typing import Final

from benchmarks.throughput.backlog import daemon_to, needs_of, snapshot_to, with_customers
from benchmarks.throughput.baselines import run_baseline
from benchmarks.throughput.debezium import run_debezium
from benchmarks.throughput.live import catch_up, idle, latency_to, recovery
from benchmarks.throughput.scene import Case, Kind
from benchmarks.throughput.servers import KAFKA, REDIS, WEBHOOK
from benchmarks.throughput.stages import SAMPLES, stage_cases

__all__ = ["CASES", "DEBEZIUM"]

DEBEZIUM: Final = "debezium"
"""What cases need that run it."""
_ANY: Final = "operation != 'delete'"
_ALL: Final = "operation == 'update' || document.total >= 0"
"""Conditions that are true of every change of the backlog; the first looks into no document."""
_ONE_IN_TWO: Final = 2
_ONE_IN_TEN: Final = 10
"""What is slow gets a part of the events."""


def _loops() -> list[Case]:
    """What anybody would write, and Debezium."""
    kafka, webhook = frozenset({KAFKA}), frozenset({WEBHOOK})
    return [
        Case(
            "watch",
            "pymongo `watch()`, raw documents, nothing done",
            Kind.BACKLOG,
            lambda scene: run_baseline("watch", scene.task()),
        ),
        Case(
            "raw-bsonjs",
            "raw batches by command, bsonjs, thrown away",
            Kind.BACKLOG,
            lambda scene: run_baseline("raw-bsonjs", scene.task()),
        ),
        Case(
            "decode-orjson",
            "`watch()`, decoded, orjson, thrown away",
            Kind.BACKLOG,
            lambda scene: run_baseline("decode-orjson", scene.task()),
        ),
        Case(
            "kafka-loop",
            "`watch()`, bsonjs, aiokafka `send`, 128 KiB batches",
            Kind.BACKLOG,
            lambda scene: run_baseline(
                "kafka-loop", scene.task(kafka=scene.servers.kafka, topic=scene.target)
            ),
            kafka,
            share=_ONE_IN_TWO,
        ),
        Case(
            "webhook-loop",
            "`watch()`, bsonjs, aiohttp `post`, 64 in flight",
            Kind.BACKLOG,
            lambda scene: run_baseline("webhook-loop", scene.task(webhook=scene.servers.webhook)),
            webhook,
            share=_ONE_IN_TEN,
        ),
        Case(
            "debezium",
            "Debezium's engine, tuned, JSON, discarded",
            Kind.BACKLOG,
            lambda scene: run_debezium(scene.task()),
            frozenset({DEBEZIUM}),
        ),
        Case(
            "debezium-kafka",
            "Debezium's engine, tuned, to Kafka, 128 KiB batches",
            Kind.BACKLOG,
            lambda scene: run_debezium(scene.task(kafka=scene.servers.kafka, topic=scene.target)),
            kafka | {DEBEZIUM},
        ),
    ]


def _backlog() -> list[Case]:
    """The daemon on a backlog."""
    three = ("kafka", "redis", "file")
    return [
        Case("discard", "eventbus, JSON, discarded", Kind.BACKLOG, daemon_to("discard")),
        Case(
            "discard-tenth",
            "the same, with a tenth of the events",
            Kind.BACKLOG,
            daemon_to("discard"),
            share=_ONE_IN_TEN,
            only_full=True,
        ),
        Case("file", "eventbus to a file", Kind.BACKLOG, daemon_to("file")),
        *(
            Case(
                f"{kind}{name}",
                f"eventbus to {where}, {delivery.replace('_', ' ')}",
                Kind.BACKLOG,
                daemon_to(kind, route={"delivery": delivery}),
                frozenset({kind}),
            )
            for name, delivery in (("", "at_least_once"), ("-exactly-once", "exactly_once"))
            for kind, where in ((REDIS, "a Redis stream"), (KAFKA, "Kafka"))
        ),
        Case(
            "webhook",
            "eventbus to a webhook, 64 in flight",
            Kind.BACKLOG,
            daemon_to("webhook", sink={"concurrency": 64}),
            frozenset({WEBHOOK}),
            share=_ONE_IN_TEN,
        ),
        Case(
            "webhook-100",
            "eventbus to a webhook, arrays of 100",
            Kind.BACKLOG,
            daemon_to("webhook", sink={"body": "array", "max_batch": 100}),
            frozenset({WEBHOOK}),
        ),
        Case(
            "three",
            "eventbus to Kafka, Redis and a file at once",
            Kind.BACKLOG,
            daemon_to(*three),
            needs_of(three),
            share=_ONE_IN_TWO,
        ),
        Case(
            "three-together",
            "the same, with patience: `catch_up: {isolate_after: 1m}`",
            Kind.BACKLOG,
            daemon_to(*three, subscription={"catch_up": {"isolate_after": "1m"}}),
            needs_of(three),
            share=_ONE_IN_TWO,
        ),
    ]


def _piped() -> list[Case]:
    """The daemon on a backlog, with something to do on the way."""
    lookup = daemon_to("discard", subscription={"pipeline": SAMPLES["lookup"]})
    mask = daemon_to("discard", subscription={"pipeline": SAMPLES["mask"]})
    return [
        Case(name, f"eventbus, discarded, {words}", Kind.BACKLOG, measure, share=_ONE_IN_TWO)
        for name, words, measure in (
            ("discard-when", "`when` of the operation", daemon_to("discard", route={"when": _ANY})),
            ("discard-when-document", "`when` of a field", daemon_to("discard", route={"when": _ALL})),
            ("discard-mask", "a field masked", mask),
            ("discard-lookup", "a document looked up", with_customers(lookup)),
        )
    ]


def _others() -> list[Case]:
    """The daemon otherwise."""
    return [
        Case("snapshot", "documents that are there, discarded", Kind.SNAPSHOT, snapshot_to("discard")),
        *(
            Case(
                f"latency-{kind}-{per_sec}",
                f"{per_sec:,} changes a second, {'discarded' if kind == 'discard' else 'to Kafka'}",
                Kind.LATENCY,
                latency_to(kind, per_sec=per_sec),
                needs_of([kind]),
            )
            for per_sec in (1000, 5000)
            for kind in ("discard", "kafka")
        ),
        Case("recovery", "killed under 1,000 changes a second and started at once", Kind.RECOVERY, recovery),
        Case(
            "catch-up",
            "resumed after a pause under 1,000 changes a second, until it is with the others again",
            Kind.RECOVERY,
            catch_up,
        ),
        *(
            Case(
                f"idle-{count}",
                f"{count} idle subscription{'s' * (count > 1)}",
                Kind.IDLE,
                idle(count),
                only_full=count == 10,
            )
            for count in (1, 10, 100)
        ),
    ]


CASES: Final[dict[str, Case]] = {
    case.name: case for case in (*_loops(), *_backlog(), *_piped(), *_others(), *stage_cases())
}
