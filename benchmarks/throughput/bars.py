"""What the numbers of one invocation must reach, relative to each other or, beside them, in units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from benchmarks.throughput.measuring import Numbers

__all__ = ["Verdict", "verdicts"]

_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Bar:
    """One of them.

    Args:
        says: What it is about.
        case: The case that must reach it.
        number: Which of its numbers.
        bound: The bar, as a ratio, or in the number's unit where there is nothing to compare with.
        of: The cases whose same number it is a ratio to; of several, the smallest counts.
        at_most: Whether less is better.
        full_bound: The bar on a million events, where it is another.
        is_for_full: Whether there is a bar on a million events.
    """

    says: str
    case: str
    number: str
    bound: float
    of: tuple[str, ...] = ()
    at_most: bool = False
    full_bound: float | None = None
    is_for_full: bool = True


_BARS: Final = (
    Bar("discarded JSON, to raw batches + bsonjs", "discard", "per_sec", 0.85, ("raw-bsonjs",)),
    Bar("discarded JSON, to Debezium", "discard", "per_sec", 1.4, ("debezium",), full_bound=1.15),
    Bar("Kafka, to Debezium", "kafka", "per_sec", 1.6, ("debezium-kafka",), full_bound=1.3),
    Bar("Kafka, to the bare loop", "kafka", "per_sec", 1.5, ("kafka-loop",)),
    Bar(
        "Kafka, CPU, to Debezium",
        "kafka",
        "cpu_us",
        0.35,
        ("debezium-kafka",),
        at_most=True,
        is_for_full=False,  # a long run pays Debezium's compiling back
    ),
    Bar("Kafka, peak memory, to Debezium", "kafka", "peak_mb", 0.15, ("debezium-kafka",), at_most=True),
    Bar("Kafka exactly once, to at least once", "kafka-exactly-once", "per_sec", 0.8, ("kafka",)),
    Bar("Redis stream, to discarded", "redis", "per_sec", 0.6, ("discard",)),
    Bar("single webhooks, to the bare aiohttp loop", "webhook", "per_sec", 0.8, ("webhook-loop",)),
    Bar("webhooks of 100, to discarded", "webhook-100", "per_sec", 0.6, ("discard",)),
    *(
        Bar(f"{words}, to the slowest alone", name, "per_sec", 0.6, ("kafka", "redis", "file"))
        for words, name in (("three sinks at once", "three"), ("three that stay together", "three-together"))
    ),
    *(
        Bar(
            f"{share} above the floor, {name}, 1,000/s, ms",
            f"latency-{kind}-1000",
            number,
            bound,
            at_most=True,
        )
        for kind, name in (("discard", "discarded"), ("kafka", "Kafka"))
        for share, number, bound in (("p50", "p50_above_ms", 3.0), ("p99", "p99_above_ms", 15.0))
    ),
    Bar("100 idle subscriptions, % of a core", "idle-100", "cpu_percent", 3.0, at_most=True),
    Bar("100 idle subscriptions, MB", "idle-100", "peak_mb", 250.0, at_most=True),
    Bar("one idle subscription, % of a core", "idle-1", "cpu_percent", 0.5, at_most=True),
    Bar("one idle subscription, MB", "idle-1", "peak_mb", 80.0, at_most=True),
    Bar("ten times the events, rate", "discard", "per_sec", 0.87, ("discard-tenth",)),
    Bar("ten times the events, peak memory", "discard", "peak_mb", 1.15, ("discard-tenth",), at_most=True),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a bar was met.

    Args:
        says: What it is about.
        bound: The bar.
        measured: What was measured.
        at_most: Whether less is better.
    """

    says: str
    bound: float
    measured: float
    at_most: bool

    @property
    def is_met(self) -> bool:
        return self.measured <= self.bound if self.at_most else self.measured >= self.bound


def verdicts(middle: Mapping[str, Numbers], events: int) -> Iterator[Verdict]:
    """One for each bar whose cases were all measured.

    Args:
        middle: The medians, by case.
        events: How many there were.
    """
    for bar in _BARS:
        is_full = events >= _MILLION
        if not {bar.case, *bar.of} <= set(middle) or (is_full and not bar.is_for_full):
            continue
        measured = middle[bar.case][bar.number]
        if bar.of:
            measured /= min(middle[other][bar.number] for other in bar.of)
        bound = bar.full_bound if is_full and bar.full_bound is not None else bar.bound
        yield Verdict(bar.says, bound, round(measured, 3), bar.at_most)
