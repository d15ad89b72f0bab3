"""One subscription, three sinks, a webhook receiver that misbehaves for a while: what the others see of it.

How late an event is, is measured at the receivers: from the moment at which the server recorded its commit to
the one at which Kafka appended it, Redis added it or the webhook acknowledged it, all by one machine's clock.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.e2e.daemon import DEADLINE_SECS, DaemonProcess
from tests.e2e.load import Load
from tests.e2e.oracle import Arrival, Expected
from tests.e2e.scene import Scene
from tests.e2e.webhook_process import HEALTHY, Behaviour, WebhookProcess
from tests.sinks.kafka_topics import create_topic

OTHERS = ("kafka", "feed")
WARM_UP_SECS = 3.0
"""First connections, first topics: nobody's everyday lateness."""
LOGGED = ("route_detached", "catch_up_started", "route_merged")


@dataclass(frozen=True)
class Phase:
    """How the receiver behaves for how long; without a length, until its route has caught up and merged."""

    name: str
    behaviour: Behaviour = HEALTHY
    secs: float | None = None


@dataclass(frozen=True)
class Size:
    """How much of it.

    Args:
        per_second: Changes.
        window: Open events of a route.
        patience_secs: How long catching up may take before the test says that it did not.
    """

    per_second: int
    window: int
    patience_secs: float


@dataclass(frozen=True)
class Course:
    """What happened.

    Args:
        expected: Every change.
        arrivals: What each sink got.
        begun: When each phase began, in seconds since 1970; the next one ends it.
        ended: When the last one ended.
        caught_up: How many events the webhook got while it caught up, and how many seconds that took.
        logged: How often the daemon said what in `LOGGED`.
        dead_letters: How many there were.
        pace: Changes in a second that were really made.
    """

    expected: Sequence[Expected]
    arrivals: Mapping[str, Sequence[Arrival]]
    begun: Mapping[Phase, float]
    ended: float
    caught_up: tuple[int, float]
    logged: Mapping[str, int]
    dead_letters: int
    pace: float

    def lateness(self, sink: str, phase: Phase) -> list[float]:
        """Of what was committed in a phase, in seconds, sorted."""
        begin = self.begun[phase]
        end = min((begun for begun in self.begun.values() if begun > begin), default=self.ended)
        at: dict[str, float] = {}
        for arrival in self.arrivals[sink]:
            at.setdefault(arrival.id, arrival.at)
        return sorted(
            at[change.id] - change.committed_at
            for change in self.expected
            if begin <= change.committed_at < end and change.id in at
        )

    def p99(self, sink: str, phase: Phase) -> float:
        """The lateness that one in a hundred exceeds."""
        return quantile(self.lateness(sink, phase), 0.99)

    def report(self) -> str:
        """Every phase and sink, in milliseconds."""
        lines = [f"{self.pace:.0f} changes a second, {len(self.expected)} in all; {dict(self.logged)}"]
        for phase in self.begun:
            for sink in ("webhook", *OTHERS):
                late = self.lateness(sink, phase)
                half, most = (1000 * quantile(late, part) for part in (0.5, 0.99))
                lines.append(
                    f"{phase.name:>14} {sink:<8} p50 {half:7.0f} ms  p99 {most:7.0f} ms  ({len(late)} events)"
                )
        return "\n".join(lines)


def quantile(ordered: Sequence[float], part: float) -> float:
    """The value at that part of an ordered sequence."""
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def run_through(scene: Scene, phases: Sequence[Phase], size: Size, *, seed: int) -> Course:
    """Start everything, go through the phases under load, and wait until every sink has every change."""
    _make_topic(scene)
    begun: dict[Phase, float] = {}
    caught_up = (0, 0.0)
    with (
        WebhookProcess(scene.directory) as webhook,
        DaemonProcess(scene.directory, _config(scene, webhook.url, size)).start() as daemon,
        Load(scene.mongo.uri, scene.name, per_second=size.per_second, seed=seed) as load,
    ):
        time.sleep(WARM_UP_SECS)
        for phase in phases:
            webhook.behave(phase.behaviour)
            begun[phase] = time.time()
            if phase.secs is None:
                caught_up = _catch_up(daemon, webhook, load, size)
            else:
                time.sleep(phase.secs)
        ended = time.time()
        made, pace = load.stop()
        expected = scene.expected(made)
        _wait_for(lambda: webhook.count() >= made, size.patience_secs, "arrival of all at the webhook")
        _wait_for_others(scene, expected)
        logged = Counter({name: len(_of_webhook(daemon, name)) for name in LOGGED})
        assert daemon.terminate() == 0
        arrivals = {**scene.arrivals(), "webhook": webhook.arrivals()}
    dead = scene.client[scene.state_database]["dead_letters"].count_documents({})
    return Course(expected, arrivals, begun, ended, caught_up, logged, dead, pace)


def _make_topic(scene: Scene) -> None:
    """Such that the broker says when it appended a record, not the producer when it made it."""
    servers = scene.kafka.bootstrap_servers
    topic = create_topic(servers, name=f"{scene.name}.orders", message_timestamp_type="LogAppendTime")
    asyncio.run(topic)


def _config(scene: Scene, url: str, size: Size) -> dict[str, Any]:
    scene.sink_names = ("webhook", *OTHERS)
    webhook = {"type": "webhook", "url": url, "timeout": "4s"}
    config = scene.config(window=size.window, sinks={**scene.sinks(), "webhook": webhook})
    config["defaults"]["retry"]["attempts"] = (
        20  # what goes out while the receiver recovers is not to be parked
    )
    return config


def _catch_up(daemon: DaemonProcess, webhook: WebhookProcess, load: Load, size: Size) -> tuple[int, float]:
    """Wait until the webhook has what is made by now, but for a window, and its route has merged."""
    first, begun = webhook.count(), time.monotonic()
    _wait_for(lambda: webhook.count() >= load.made() - size.window, size.patience_secs, "catching up")
    caught_up = webhook.count() - first, time.monotonic() - begun
    _wait_for(lambda: _has_merged(daemon), size.patience_secs, "merge of the webhook's route")
    return caught_up


def _has_merged(daemon: DaemonProcess) -> bool:
    detached, merged = (_of_webhook(daemon, name) for name in ("route_detached", "route_merged"))
    return not detached or (bool(merged) and merged[-1]["timestamp"] > detached[-1]["timestamp"])


def _of_webhook(daemon: DaemonProcess, name: str) -> list[dict[str, Any]]:
    lines = daemon.events(name)
    return [line for line in lines if "webhook" in (line.get("route"), *line.get("routes", ()))]


def _wait_for_others(scene: Scene, expected: Sequence[Expected]) -> None:
    ids = {change.id for change in expected}

    def arrived() -> bool:
        arrivals = scene.arrivals()
        return all(ids <= {arrival.id for arrival in arrivals[sink]} for sink in OTHERS)

    _wait_for(arrived, DEADLINE_SECS, "arrival of all at the others")


def _wait_for(condition: Callable[[], bool], patience_secs: float, what: str) -> None:
    deadline = time.monotonic() + patience_secs
    while not condition():
        assert time.monotonic() < deadline, f"no {what} in {patience_secs:g} s"
        time.sleep(0.1)
