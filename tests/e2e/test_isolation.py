"""A webhook receiver fails in some way: Kafka and Redis hardly notice, it catches up, nothing comes twice.

The bar: the others' p99 while it fails is at most one and a half times their healthy one in the same run, or
`isolate_after` and one catch-up cycle, whichever is more. Without routes of their own they would wait for it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from eventbus.devservices import MongoService
from tests.e2e.isolation import OTHERS, Course, Phase, Size, quantile, run_through
from tests.e2e.oracle import judge
from tests.e2e.scene import Scene
from tests.e2e.webhook_process import Behaviour

pytestmark = [pytest.mark.services, pytest.mark.alone, pytest.mark.proof, pytest.mark.timeout(1800)]

FULL = os.environ.get("EVENTBUS_PROOF") == "full"
SIZE = Size(1000, 4096, 900.0) if FULL else Size(200, 256, 60.0)
ISOLATE_AFTER_SECS = 0.3
BATCH = 1000
"""Changes in one reply to a reader, at most."""

HEALTHY_FOR = Phase("healthy", secs=20.0 if FULL else 5.0)
UNTIL_THEN = Phase("still healthy", secs=1.0)
"""What is committed just before the fault may be late by it, and is not to count for the healthy."""
BACK = Phase("catching up")
MERGED = Phase("merged", secs=10.0 if FULL else 2.0)
SLOW = Phase("slow", Behaviour(after_secs=2.0), 20.0 if FULL else 5.0)
FAILING_SECS = 60.0 if FULL else 5.0
"""Ten times the bound on the others: who waited for the receiver would be seen."""
UNAVAILABLE = Phase("unavailable", Behaviour(status=503), FAILING_SECS)
FAULTS = {
    "hangs": Behaviour(hangs=True),
    "resets": Behaviour(resets=True),
    "ten a second": Behaviour(per_second=10.0),
}


@pytest.fixture(scope="module")
def mongo() -> Iterator[MongoService]:
    """One with room for what a route that is behind has yet to read."""
    with MongoService.start(oplog_mb=1024, own=True) as service:
        yield service


def test_slow_then_unavailable_then_back(scene: Scene) -> None:
    """Healthy, answers after 2 s, answers 503, healthy: all in one run."""
    _check(_run(scene, [HEALTHY_FOR, UNTIL_THEN, SLOW, UNAVAILABLE, BACK, MERGED]))


@pytest.mark.parametrize("fault", FAULTS)
def test_other_faults(scene: Scene, fault: str) -> None:
    """A receiver that never answers, one that resets connections, one that gets ten a second done."""
    failing = Phase(fault, FAULTS[fault], FAILING_SECS)
    _check(_run(scene, [HEALTHY_FOR, UNTIL_THEN, failing, BACK, MERGED]))


def _run(scene: Scene, phases: list[Phase]) -> Course:
    seed = int(os.environ.get("EVENTBUS_SEED", time.time_ns() % 10_000))
    print(f"\nseed {seed}")
    course = run_through(scene, phases, SIZE, seed=seed)
    print(course.report())
    return course


def _check(course: Course) -> None:
    assert course.pace >= 0.9 * SIZE.per_second, "the load was not what it should have been"
    for sink, arrivals in course.arrivals.items():
        verdict = judge(course.expected, arrivals)
        assert verdict.is_clean, f"{sink}: {verdict}"
        assert verdict.duplicates == 0, sink
    assert course.dead_letters == 0
    for sink in OTHERS:
        bound = max(1.5 * course.p99(sink, HEALTHY_FOR), ISOLATE_AFTER_SECS + _catch_up_cycle_secs(course))
        for phase in course.begun:
            # While the route comes back the main flow may hold for it, for a moment that has its own bound.
            part = 0.99 if phase.secs is not None else 0.5
            late_secs = quantile(course.lateness(sink, phase), part)
            assert late_secs <= bound, f"{sink}, {phase.name}, bound {bound:.3f} s"
    assert course.logged["route_detached"] >= 1
    assert course.logged["route_merged"] >= 1


def _catch_up_cycle_secs(course: Course) -> float:
    """How long a full reply to the catch-up flow's reader lasted at the pace at which the webhook caught up.

    At most `isolate_after`: a webhook that is slow to catch up would make a bound that says little.
    """
    events, secs = course.caught_up
    return min(BATCH * secs / max(events, 1), ISOLATE_AFTER_SECS)
