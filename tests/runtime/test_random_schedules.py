"""Random schedules of changes, faults, crashes, stops and lost leases keep every invariant of the engine.

``EVENTBUS_PROOF_RUNS`` sets the number of schedules for the long proof. The ordinary suite plays the same ones each time; the long proof plays new ones. What
fails is printed as a schedule that `play` plays again.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings

from tests.runtime.schedules import Schedule, play, schedules

_PROOF_RUNS = int(os.environ.get("EVENTBUS_PROOF_RUNS", "0"))


@pytest.mark.timeout(0 if _PROOF_RUNS else 600)
@settings(
    max_examples=_PROOF_RUNS or 150,
    derandomize=not _PROOF_RUNS,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
@given(schedules)
def test_every_schedule_keeps_the_invariants(schedule: Schedule) -> None:
    """Nothing is lost, overtaken or needlessly delivered again, whatever fails and whenever it dies."""
    play(schedule)
