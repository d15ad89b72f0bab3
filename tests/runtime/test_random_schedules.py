"""Random schedules of changes, faults, crashes, stops and lost leases keep every invariant of the engine.

The ordinary suite plays the same schedules each time. ``EVENTBUS_PROOF_RUNS`` sets the number for the long
proof, which plays new ones and prints the seed of a failure. What fails is shown as a `Schedule`, shrunk;
`play(Schedule(...))` plays it again, step for step.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.runtime.schedules import Schedule, play, schedules

_PROOF_RUNS = int(os.environ.get("EVENTBUS_PROOF_RUNS", "0"))
_IS_MUTANT = "EVENTBUS_MUTANT" in os.environ
"""A mutant's failure interests nobody in its smallest form."""


@pytest.mark.proof
@pytest.mark.slow
@pytest.mark.timeout(0 if _PROOF_RUNS else 600)
@settings(
    max_examples=_PROOF_RUNS or 150,
    derandomize=not _PROOF_RUNS,
    deadline=None,
    database=None,
    print_blob=True,
    phases=[Phase.explicit, Phase.generate] if _IS_MUTANT else [*Phase],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
@given(schedules)
def test_every_schedule_keeps_the_invariants(schedule: Schedule) -> None:
    """Nothing is lost, overtaken or needlessly delivered again, whatever fails and whenever it dies."""
    play(schedule)
