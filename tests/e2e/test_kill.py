"""The daemon is killed at random moments: nothing is lost, order holds, duplicates stay in their bound."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from random import Random

import pytest

from tests.e2e.changes import Changes
from tests.e2e.daemon import DaemonProcess
from tests.e2e.oracle import judge
from tests.e2e.scene import SINKS, Scene
from tests.e2e.state_history import StateHistory

pytestmark = [pytest.mark.services, pytest.mark.heavy, pytest.mark.proof]

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
    history = StateHistory(scene.client[scene.state_database]["subscriptions"])
    with (
        DaemonProcess(scene.directory, scene.config(window=WINDOW)).start() as daemon,
        Changes(scene.collection, CHANGES, per_second=PER_SECOND, seed=seed) as changes,
    ):
        for moment in moments:
            daemon.wait_for(lambda moment=moment: len(scene.webhook.arrivals) >= moment, f"arrival {moment}")
            daemon.kill()
            kills.append(Kill.now(scene, history))
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
        arrived: How many messages each sink had.
        since_checkpoint: How many of them came after the watermarks of the last checkpoint were read.
    """

    positions: Mapping[str, str]
    arrived: Mapping[str, int]
    since_checkpoint: Mapping[str, int]

    @classmethod
    def now(cls, scene: Scene, history: StateHistory) -> Kill:
        """Look at the store and at the sinks."""
        versions = history.versions("orders")
        positions = versions[-1].positions
        # They were read at some time after the write before theirs; a write of no position is not theirs.
        before = next(version for version in reversed(versions) if version.positions != positions)
        read_at = before.written_at.replace(tzinfo=UTC).timestamp()
        arrivals = scene.arrivals()
        since = {sink: sum(arrival.at >= read_at for arrival in arrivals[sink]) for sink in SINKS}
        # A line of a file does not tell when it came; but one flow feeds all routes, so that none gets
        # further ahead of the others than its window.
        since["archive"] = max(since.values()) + WINDOW
        return cls(positions, {sink: len(arrivals[sink]) for sink in SINKS}, since)


def _check_duplicates(sink: str, ids: list[str], tokens: dict[str, str], kills: list[Kill]) -> None:
    """Of what a life delivered nothing comes again from before its checkpoint, and no more than the bound.

    Counted for the life that delivered it first, since one that is soon killed may not get so far itself.
    """
    begins = [0, *(kill.arrived[sink] for kill in kills)]
    for begin, kill in zip(begins, kills, strict=False):
        end = kill.arrived[sink]
        first_then = set(ids[begin:end]).difference(ids[:begin])
        again = first_then.intersection(ids[end:])
        bound = WINDOW + kill.since_checkpoint[sink]
        print(f"{sink}: {len(again)} came again after a kill, bound {WINDOW} + {kill.since_checkpoint[sink]}")
        assert all(tokens[event_id] > kill.positions[sink] for event_id in again)
        assert len(again) <= bound
