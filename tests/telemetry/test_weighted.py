"""An observation that stands for many is as good as many."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Histogram, generate_latest

from eventbus.telemetry.weighted import WeightedHistogram


def test_what_is_scraped_is_the_same() -> None:
    """On a bound, between two, and beyond all."""
    amounts = {0.5: 3, 1.0: 2, 1.5: 4, 9.0: 1}
    scrapes = []
    for cls in (WeightedHistogram, Histogram):
        registry = CollectorRegistry()
        histogram = cls("secs", "text", ["route"], registry=registry, buckets=(1.0, 2.0))
        child = histogram.labels("feed")
        for amount, count in amounts.items():
            if isinstance(child, WeightedHistogram):
                child.observe_many(amount, count)
            else:
                for _ in range(count):
                    child.observe(amount)
        scrapes.append([line for line in generate_latest(registry).splitlines() if b"_created" not in line])
    assert scrapes[0] == scrapes[1]
