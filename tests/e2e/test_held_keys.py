"""`on_dead_letter: hold_key` in the real process: a document waits behind its dead letter, then flows."""

from __future__ import annotations

from typing import Any

import bson
import orjson
import pytest

from eventbus.model import DeadLetter, Failure
from eventbus.state.store import LetterQuery, LetterStatus, Store
from tests.e2e.command import Operator
from tests.e2e.daemon import DaemonProcess
from tests.e2e.oracle import judge
from tests.e2e.scene import Scene

pytestmark = pytest.mark.services

POISON = 3
LAST = 12
DEAD = '{"held_behind": {"$exists": false}}'


@pytest.mark.parametrize("state", ["mongodb", "sqlite"])
@pytest.mark.parametrize("verb", ["discard", "replay"])
def test_a_document_waits_behind_its_dead_letter(scene: Scene, state: str, verb: str) -> None:
    """In order, through a kill, until that one is discarded or replayed; others never wait."""
    scene.sink_names = ("webhook",)
    scene.webhook.answer = lambda event: 422 if _revision(event) == POISON else 200
    with DaemonProcess(scene.directory, _config(scene, state)) as daemon:
        operator = Operator(daemon)
        daemon.start()
        _change(scene, range(1, 7))
        daemon.wait_for(lambda: len(operator.on_store(_parked)) == 4, "dead letters")
        daemon.kill()
        _change(scene, range(7, 9))
        daemon.start()
        daemon.wait_for(lambda: len(operator.on_store(_parked)) == 6, "what waits after a kill")
        assert operator.on_store(_parked) == [(POISON, False), *((number, True) for number in range(4, 9))]
        assert _revisions(scene, "held") == [1, 2]
        scene.webhook.answer = lambda _event: 200
        operator.do("dlq", verb, "--yes", "--match", DEAD)
        _change(scene, range(9, LAST))
        daemon.wait_for(lambda: not operator.on_store(_parked), "release")
        daemon.wait_for(lambda: daemon.events("keys_released"), "the word that the key is free")
        _change(scene, range(LAST, LAST + 1))
        daemon.wait_for(lambda: LAST in _revisions(scene, "held"), "an event that need not wait")
        assert not operator.on_store(_parked)
        assert daemon.terminate() == 0
    skipped = {POISON} if verb == "discard" else set()
    assert _revisions(scene, "held") == [number for number in range(1, LAST + 1) if number not in skipped]
    assert _revisions(scene, "free") == list(range(101, 101 + LAST))
    verdict = judge(scene.expected(2 * LAST), scene.webhook.arrivals)
    assert len(verdict.lost) == len(skipped)
    verdict.lost.clear()
    assert verdict.is_clean


def _config(scene: Scene, state: str) -> dict[str, Any]:
    """A route that holds keys, with its state in one of the stores."""
    config = scene.config()
    if state == "sqlite":
        config["state"] = {"type": "sqlite", "path": str(scene.directory / "state.db")}
    config["subscriptions"]["orders"]["routes"] = [{"sink": "webhook", "on_dead_letter": "hold_key"}]
    return config


def _change(scene: Scene, revisions: range) -> None:
    """Give both documents these revisions, one after another."""
    for revision in revisions:
        for name, number in (("held", revision), ("free", 100 + revision)):
            scene.collection.replace_one({"_id": name}, {"revision": number}, upsert=True)


def _revision(event: dict[str, Any]) -> int:
    return int(event["data"]["document"]["revision"])


def _revisions(scene: Scene, name: str) -> list[int]:
    """The revisions of a document in the order in which they first arrived: a kill lets some come again."""
    events = [orjson.loads(arrival.body) for arrival in list(scene.webhook.arrivals)]
    found = [_revision(event) for event in events if event["subject"] == name]
    return list(dict.fromkeys(found))


async def _parked(store: Store) -> list[tuple[int, bool]]:
    """Revisions that are dead letters, in order, and whether they only wait."""
    query = LetterQuery(statuses=(LetterStatus.PARKED,))
    letters = [stored.letter async for stored in store.find_letters(query, by_token=True)]
    return [(_parked_revision(letter), letter.kind is Failure.HELD) for letter in letters]


def _parked_revision(letter: DeadLetter) -> int:
    assert isinstance(letter.event.document, bytes)
    return int(bson.decode(letter.event.document)["revision"])
