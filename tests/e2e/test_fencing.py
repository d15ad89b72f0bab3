"""Two daemons and one subscription: one carries, the other takes over in time, no position ever moves back.

The state document is watched at the server, so that no write of the old owner's could stay unseen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.changes import Changes
from tests.e2e.daemon import DaemonProcess
from tests.e2e.oracle import Expected, judge
from tests.e2e.scene import Scene
from tests.e2e.state_history import StateHistory, Version

pytestmark = [pytest.mark.services, pytest.mark.alone]

LEASE_SECS = 3
WINDOW = 64
PER_SECOND = 200.0
ENDLESS = 1_000_000
"""More changes than a test waits for: it ends the load when it has seen what it waits for."""


@pytest.fixture
def scene(scene: Scene) -> Scene:
    """Without the file, which belongs to one process however long that is frozen."""
    scene.sink_names = ("webhook", "kafka", "feed")
    return scene


@pytest.fixture
def history(scene: Scene) -> StateHistory:
    """Of what the daemons store."""
    return StateHistory(scene.client[scene.state_database]["subscriptions"])


@pytest.fixture
def owner(scene: Scene, history: StateHistory) -> Iterator[DaemonProcess]:
    """Instance a, which carries the subscription."""
    with _daemon(scene, "a") as daemon:
        yield daemon.start()


@pytest.fixture
def heir(scene: Scene, owner: DaemonProcess) -> Iterator[DaemonProcess]:
    """Instance b, which stands by."""
    with _daemon(scene, "b") as daemon:
        daemon.start()
        daemon.wait_for(lambda: daemon.events("subscription_standing_by"), "the word that it stands by")
        yield daemon


def test_a_frozen_owner_moves_no_position(
    scene: Scene, history: StateHistory, owner: DaemonProcess, heir: DaemonProcess
) -> None:
    """SIGSTOP; the other takes over and passes it by; SIGCONT: its late write matches nothing."""
    with Changes(scene.collection, ENDLESS, per_second=PER_SECOND) as changes:
        owner.wait_for(lambda: len(scene.webhook.arrivals) > 2 * PER_SECOND, "arrivals from the owner")
        owner.freeze()
        _wait_until_passed(scene, heir, changes)
        assert not owner.events("lease_lost")
        owner.thaw()
        owner.wait_for(lambda: owner.events("lease_lost"), "the word that the lease is lost")
        owner.wait_for(lambda: owner.events("subscription_standing_by"), "the word that it stands by")
        _wait_until_passed(scene, heir, changes)
    expected = scene.expected(changes.done)
    scene.wait_for_arrivals({change.id for change in expected})
    assert owner.get("/readyz")[0] == heir.get("/readyz")[0] == 200
    assert '"standby"' in owner.get("/readyz")[1]
    assert '"running"' in heir.get("/readyz")[1]
    assert owner.terminate() == heir.terminate() == 0
    (lost,) = owner.events("lease_lost")
    assert "held by another daemon" in lost["reason"]
    _check_takeover(history.versions("orders"))
    _check_arrivals(scene, expected, history.versions("orders"))


def test_after_kill_9_the_other_takes_over(
    scene: Scene, history: StateHistory, owner: DaemonProcess, heir: DaemonProcess
) -> None:
    """Within the lease time; the first, started again, leaves the lease where it is."""
    with Changes(scene.collection, ENDLESS, per_second=PER_SECOND) as changes:
        owner.wait_for(lambda: len(scene.webhook.arrivals) > 2 * PER_SECOND, "arrivals from the owner")
        owner.kill()
        _wait_until_passed(scene, heir, changes)
        owner.start()
        owner.wait_for(lambda: owner.events("subscription_standing_by"), "the word that it stands by")
        _wait_until_passed(scene, heir, changes)
    expected = scene.expected(changes.done)
    scene.wait_for_arrivals({change.id for change in expected})
    assert owner.terminate() == heir.terminate() == 0
    _check_takeover(history.versions("orders"))
    _check_arrivals(scene, expected, history.versions("orders"))


def test_a_second_daemon_on_one_sqlite_file(scene: Scene) -> None:
    """It exits 2 with a sentence, and the first goes on."""
    state: dict[str, Any] = {"type": "sqlite", "path": str(scene.directory / "state.db")}
    with _daemon(scene, "a", state=state) as first, _daemon(scene, "b", state=state) as second:
        first.start()
        assert second.start(wait=False).wait() == 2
        said = second.log()
        assert f"is in use by another daemon (process {first.process.pid}): " in said
        assert "state.type mongodb for several" in said
        assert "Traceback" not in said
        scene.collection.insert_one({"_id": 1})
        scene.wait_for_arrivals({change.id for change in scene.expected(1)})
        assert first.terminate() == 0


def _daemon(scene: Scene, instance: str, **sections: Any) -> DaemonProcess:
    """A daemon with a configuration and a log of its own."""
    directory: Path = scene.directory / instance
    directory.mkdir()
    daemon = {"instance": instance, "lease": f"{LEASE_SECS}s"}
    sinks = scene.sinks()
    for name in ("webhook", "feed"):
        sinks[name]["timeout"] = "2s"  # an attempt may not outlast the lease
    return DaemonProcess(directory, scene.config(window=WINDOW, daemon=daemon, sinks=sinks, **sections))


def _wait_until_passed(scene: Scene, heir: DaemonProcess, changes: Changes) -> None:
    """Wait until the other's stored positions lie beyond all changes that are made by now."""
    newest = scene.expected(changes.done + 1)[-1].token

    def passed() -> bool:
        stored = Version.of(scene.stored())
        return stored.owner == "b" and all(token >= newest for token in stored.positions.values())

    heir.wait_for(passed, "positions of the other daemon")


def _check_takeover(versions: Sequence[Version]) -> None:
    """Two epochs, the second begun in its time; no write of the first owner's after that, none backwards."""
    owners = [(version.owner, version.epoch) for version in versions if version.owner]
    (first_owner, first_epoch), (second_owner, second_epoch) = dict.fromkeys(owners)
    assert (first_owner, second_owner) == ("a", "b")
    assert first_epoch < second_epoch == versions[-1].epoch
    assert owners == sorted(owners), "the old owner wrote"
    for before, after in pairwise(versions):
        for route, token in before.positions.items():
            assert token <= after.positions[route], "a position went back"
    last, first = _around_the_takeover(versions)
    assert last.lease_until is not None
    late_secs = (first.written_at - last.lease_until).total_seconds()
    print(f"taken over {late_secs:.2f} s after the lease of {LEASE_SECS} s had run out")
    assert late_secs >= 0, "taken over before the lease had run out"
    assert late_secs <= LEASE_SECS, "not taken over within the lease time after it had run out"


def _check_arrivals(scene: Scene, expected: Sequence[Expected], versions: Sequence[Version]) -> None:
    """Nothing lost, order kept; what came again lies beyond what the old owner had stored.

    How much that is has no bound of its own: an owner that wakes up goes on until its first write is refused.
    """
    last, _first = _around_the_takeover(versions)
    tokens = {change.id: change.token for change in expected}
    for sink, arrivals in scene.arrivals().items():
        verdict = judge(expected, arrivals)
        print(f"{sink}: {len(arrivals)} arrivals, {verdict.duplicates} duplicates")
        assert verdict.is_clean, f"{sink}: {verdict}"
        times = Counter(arrival.id for arrival in arrivals)
        assert all(tokens[event] > last.positions[sink] for event, count in times.items() if count > 1)


def _around_the_takeover(versions: Sequence[Version]) -> tuple[Version, Version]:
    """The last that the old owner wrote, and the first that the new one did."""
    last = [version for version in versions if version.owner == "a"][-1]
    return last, next(version for version in versions if version.owner == "b")
