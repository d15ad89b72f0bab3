"""`eventbus dlq replay --with edited.yaml`: the command sends what the daemon's configuration could not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml

from eventbus.state.operations import OperationStatus
from eventbus.state.store import LetterQuery, LetterStatus, Store
from tests.e2e.command import Operator
from tests.e2e.daemon import DaemonProcess
from tests.e2e.oracle import judge
from tests.e2e.scene import Scene

pytestmark = pytest.mark.services

LETTERS = 400
PER_SECOND = 100
WINDOW = 64


def test_a_killed_command_is_gone_on_with(scene: Scene) -> None:
    """Nothing is lost, and no more than a window comes twice, while the daemon carries the live route."""
    scene.sink_names = ("webhook",)
    with DaemonProcess(scene.directory, _with_wrong_url(scene)) as daemon:
        operator = Operator(daemon)
        daemon.start()
        scene.collection.insert_many([{"_id": number} for number in range(LETTERS // 2)])
        scene.collection.update_many({}, {"$set": {"revision": 2}})
        expected = scene.expected(LETTERS)
        daemon.wait_for(lambda: operator.on_store(_parked) == LETTERS, "dead letters")
        edited = ("--with", str(_edited(scene)))
        words = ("dlq", "replay", "--yes", "--rate", f"{PER_SECOND}/s", *edited)
        with operator.begin(*words) as command:
            operation = operator.operation_of(command)
            daemon.wait_for(lambda: len(scene.webhook.arrivals) > LETTERS // 3, "replays")
            command.kill()
        replayed = operator.on_store(_replayed)
        resumed = operator.do("dlq", "replay", "--resume", operation, *edited)
        assert daemon.terminate() == 0
    assert f"{operation} orders/webhook: done, {LETTERS} " in resumed.out
    assert all(line.startswith(operation) for line in resumed.out.splitlines()), "a log line in the answer"
    arrivals = scene.webhook.arrivals
    assert judge(expected, arrivals).is_clean
    times = Counter(arrival.id for arrival in arrivals)
    twice = {event_id for event_id, count in times.items() if count > 1}
    print(f"{len(replayed)} replayed at the kill, {len(twice)} came twice")
    assert 0 < len(replayed) < LETTERS, "not killed in the middle"
    assert not twice & replayed
    assert len(twice) <= WINDOW
    assert operator.on_store(_replayed) == times.keys()
    (record,) = operator.on_store(lambda store: store.find_operations())
    assert (record.status, record.progress.delivered) == (OperationStatus.DONE, LETTERS)


def _with_wrong_url(scene: Scene) -> dict[str, object]:
    """The daemon's configuration: nobody knows that path, which is a refusal of each event."""
    sinks = scene.sinks()
    sinks["webhook"]["url"] += "/misspelt"
    return scene.config(window=WINDOW, sinks=sinks)


def _edited(scene: Scene) -> Path:
    path = scene.directory / "edited.yaml"
    path.write_text(yaml.safe_dump(scene.config(window=WINDOW)))
    return path


async def _parked(store: Store) -> int:
    return (await store.count_letters(LetterQuery(statuses=(LetterStatus.PARKED,)))).letters


async def _replayed(store: Store) -> set[str]:
    query = LetterQuery(statuses=(LetterStatus.REPLAYED,))
    return {stored.letter.event.id async for stored in store.find_letters(query)}
