"""What a daemon has counted since it was started, read from what it serves under ``/metrics``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

__all__ = ["Throughput", "throughput_in"]


@dataclass(slots=True)
class Throughput:
    """What one route has done.

    Args:
        since: When it began to count, in seconds since 1970; 0 if that is not known.
        delivered: Events that the sink has.
        filtered: Events that were deliberately left out.
        parked: Events that became dead letters.
        waiting: Events that were read and have not found their end.
        failed_attempts: Messages whose attempt failed.
        calls: Calls to the sink.
        call_secs: How long they took in all.
    """

    since: float = 0.0
    delivered: float = 0.0
    filtered: float = 0.0
    parked: float = 0.0
    waiting: float = 0.0
    failed_attempts: float = 0.0
    calls: float = 0.0
    call_secs: float = 0.0

    @property
    def settled(self) -> float:
        """Events that have found their end."""
        return self.delivered + self.filtered + self.parked

    @property
    def error_share(self) -> float | None:
        """Which part of them became dead letters; None if there are none."""
        return self.parked / self.settled if self.settled else None

    @property
    def processed_share(self) -> float | None:
        """Which part of what was read is delivered or left out; None if nothing was read."""
        read = self.settled + self.waiting
        return (self.delivered + self.filtered) / read if read else None

    @property
    def mean_call_secs(self) -> float | None:
        """How long a call takes; None if there was none."""
        return self.call_secs / self.calls if self.calls else None


def throughput_in(text: str) -> Mapping[tuple[str, str], Throughput]:
    """By subscription and route.

    Args:
        text: In the text format of Prometheus.

    Raises:
        ValueError: It is not.
    """
    found: dict[tuple[str, str], Throughput] = defaultdict(Throughput)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = sample.labels
            if "subscription" in labels and "route" in labels:
                route = found[labels["subscription"], labels["route"]]
                _add(route, sample.name, labels.get("outcome", ""), sample.value)
    return dict(found)


def _add(route: Throughput, name: str, outcome: str, value: float) -> None:
    match name.removeprefix("eventbus_"):
        case "events_settled_total" if outcome in {"delivered", "filtered", "parked"}:
            setattr(route, outcome, getattr(route, outcome) + value)
        case "events_settled_created":
            route.since = min(route.since, value) if route.since else value
        case "attempts_failed_total":
            route.failed_attempts += value
        case "window_events":
            route.waiting += value
        case "send_seconds_count":
            route.calls += value
        case "send_seconds_sum":
            route.call_secs += value
