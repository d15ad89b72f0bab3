"""A subscription's filter is edited between two runs of the daemon: no gap, no repetition."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.daemon import DaemonProcess
from tests.e2e.oracle import Expected
from tests.e2e.scene import Scene

pytestmark = pytest.mark.services

DOCUMENTS = 100
CHANGES = 3 * DOCUMENTS

RUNS: list[tuple[dict[str, Any], Callable[[Expected], bool]]] = [
    ({"match": {"documentKey._id": {"$mod": [2, 0]}}}, lambda change: number_of(change) % 2 == 0),
    ({"match": {"documentKey._id": {"$mod": [2, 1]}}}, lambda change: number_of(change) % 2 == 1),
    ({"operations": ["update"]}, lambda change: change.operation == "update"),
    ({"fields": ["payment"], "project": ["payment"]}, lambda change: change.operation != "update"),
    (
        {"fields": ["revision"], "classify": {"a": {"cases": [{"changed": "revision", "then": 1}]}}},
        lambda _: True,
    ),
]
"""What the source says in each run, and which changes that lets in: none that ends the run before."""


def number_of(change: Expected) -> int:
    """The ``_id`` of the changed document."""
    return int(json.loads(change.key)["_id"])


def test_a_filter_edited_between_two_runs(scene: Scene) -> None:
    """Up to the position at which a run ended its filter holds, and behind it that of the next one."""
    scene.sink_names = ("webhook",)
    made, end, wanted = 0, "", set[str]()
    for source, lets_in in RUNS:
        if made:
            made += change(scene, made)
        with DaemonProcess(scene.directory, configured(scene, source)).start() as daemon:
            made += change(scene, made)
            coming = [one for one in scene.expected(made) if one.token > end and lets_in(one)]
            daemon.wait_for(lambda coming=coming: arrived(scene) >= ids(coming), "arrivals")
            assert daemon.terminate() == 0
        end = scene.stored()["routes"]["webhook"]["token"]
        wanted |= ids([one for one in coming if one.token <= end])
    assert wanted == arrived(scene)
    assert len(wanted) > CHANGES
    assert len(scene.webhook.arrivals) == len(wanted), "something came twice"


def change(scene: Scene, made: int) -> int:
    """Insert, update and delete some documents; how many changes that is."""
    numbers = list(range(made, made + DOCUMENTS))
    scene.collection.insert_many([{"_id": number} for number in numbers])
    scene.collection.update_many({"_id": {"$in": numbers}}, {"$set": {"revision": 2}})
    scene.collection.delete_many({"_id": {"$in": numbers}})
    return CHANGES


def configured(scene: Scene, source: dict[str, Any]) -> dict[str, Any]:
    config = scene.config()
    config["subscriptions"]["orders"]["source"] |= source
    return config


def arrived(scene: Scene) -> set[str]:
    return {arrival.id for arrival in scene.webhook.arrivals}


def ids(changes: list[Expected]) -> set[str]:
    return {change.id for change in changes}
