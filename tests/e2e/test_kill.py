"""The daemon is killed at random moments: nothing is lost, order holds, duplicates stay in their bound."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import UTC
from random import Random

import pytest

from tests.e2e.changes import Changes
from tests.e2e.daemon import DaemonProcess
from tests.e2e.oracle import judge
from tests.e2e.scene import SINKS, Scene

pytestmark = [pytest.mark.services, pytest.mark.proof]

WINDOW = 64
KILLS = 5
FULL = os.environ.get("EVENTBUS_PROOF") == "full"
CHANGES = 20_000 if FULL else 6_000
PER_SECOND = 400.0


def test_five_kills_lose_nothing(scene: Scene) -> None:
    """Every change reaches every sink, first deliveries of a key in order, same id, same body."""
    seed = int(os.environ.get("EVENTBUS_SEED", time.time_ns() % 10_000))
    print(f"seed {seed}")
    rng = Random(seed)
    moments = sorted(rng.randrange(CHANGES // 20, CHANGES * 19 // 20) for _ in range(KILLS))
    kills: list[Kill] = []
    with (
        DaemonProcess(scene.directory, scene.config(window=WINDOW)).start() as daemon,
        Changes(scene.collection, CHANGES, per_second=PER_SECOND, seed=seed) as changes,
    ):
        for moment in moments:
            daemon.wait_for(lambda moment=moment: len(scene.webhook.arrivals) >= moment, f"arrival {moment}")
            daemon.kill()
            kills.append(Kill.now(scene, kills[-1] if kills else None))
            daemon.start()
        changes.wait()
        expected = scene.expected(CHANGES)
        scene.wait_for_arrivals({change.id for change in expected})
        assert daemon.terminate() == 0
    assert scene.webhook.unverified == 0
    tokens = {change.id: change.token for change in expected}
    for sink, arrivals in scene.arrivals().items():
        verdict = judge(expected, arrivals)
        print(f"{sink}: {len(arrivals)} arrivals, {verdict.duplicates} duplicates")
        assert verdict.is_clean, f"{sink}: {verdict}"
        _check_duplicates(sink, [arrival.id for arrival in arrivals], tokens, kills)


@dataclass(frozen=True)
class Kill:
    """What stood where when the daemon died.

    Args:
        positions: The stored position of each route.
        saved_at: When they were stored, in seconds since 1970.
        arrived: How many messages each sink had.
        since_checkpoint: How many of them came after the last checkpoint was written.
    """

    positions: dict[str, str]
    saved_at: float
    arrived: dict[str, int]
    since_checkpoint: dict[str, int]

    @classmethod
    def now(cls, scene: Scene, last: Kill | None) -> Kill:
        """Look at the store and at the sinks."""
        stored = scene.stored()
        positions = {name: route["token"] for name, route in stored["routes"].items()}
        saved_at = stored["updated_at"].replace(tzinfo=UTC).timestamp()
        if last is not None and positions == last.positions:
            saved_at = last.saved_at  # this life took the lease and died before its first checkpoint
        arrivals = scene.arrivals()
        since = {sink: sum(arrival.at >= saved_at for arrival in arrivals[sink]) for sink in SINKS}
        # A line of a file does not tell when it came; but one flow feeds all routes, so that none gets
        # further ahead of the others than its window.
        since["archive"] = max(since.values()) + WINDOW
        return cls(
            positions,
            saved_at,
            {sink: len(arrivals[sink]) for sink in SINKS},
            since,
        )


def _check_duplicates(sink: str, ids: list[str], tokens: dict[str, str], kills: list[Kill]) -> None:
    """After each kill nothing comes again from before the checkpoint, and no more than the bound at all."""
    ends = [kill.arrived[sink] for kill in kills[1:]] + [len(ids)]
    for kill, end in zip(kills, ends, strict=True):
        first = kill.arrived[sink]
        again = set(ids[:first]).intersection(ids[first:end])
        bound = WINDOW + kill.since_checkpoint[sink]
        print(f"{sink}: {len(again)} came again after a kill, bound {WINDOW} + {kill.since_checkpoint[sink]}")
        assert all(tokens[event_id] > kill.positions[sink] for event_id in again)
        assert len(again) <= bound
