"""The daemon keeps up with a bare loop: `make bench` in short, judged by a ratio and never by a time."""

from __future__ import annotations

import pytest

from benchmarks.throughput.backlog import daemon_to
from benchmarks.throughput.baselines import run_baseline
from benchmarks.throughput.scene import Scene
from benchmarks.throughput.servers import servers_for
from benchmarks.throughput.workload import make_backlog

EVENTS = 60_000
RUNS = 2
SHARE = 0.5
"""Of the bare loop's rate. The benchmark wants 0.85; no busy machine takes half of it, and a blunder does."""


@pytest.mark.services
@pytest.mark.alone
@pytest.mark.timeout(240)
def test_the_daemon_is_not_far_behind_a_bare_loop() -> None:
    """It decodes, encodes, settles and saves at no less than half the rate of printing raw changes in C."""
    to_null = daemon_to("discard")
    with servers_for(set(), oplog_mb=990) as servers:
        start = make_backlog(servers.mongodb, EVENTS)
        bare, ours = [], []
        for run in range(RUNS):
            scene = Scene(servers, (start.time, start.inc), EVENTS, run, live_secs=0.0)
            bare.append(run_baseline("raw-bsonjs", scene.task())["per_sec"])
            ours.append(to_null(scene)["per_sec"])
    assert max(ours) >= SHARE * max(bare), (ours, bare)
