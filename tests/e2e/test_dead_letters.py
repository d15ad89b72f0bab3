"""Dead letters by the tens of thousands, and the commands about them, against a daemon that is running.

Memory is held against what the same program takes for a few of them in the same run.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import bson
import orjson
import pytest
import redis

from eventbus.model import DeadLetter, Failure
from eventbus.state.access import Access
from eventbus.state.operations import Operation, OperationStatus
from eventbus.state.store import LetterQuery, LetterStatus, Store
from tests.e2e.changes import Changes
from tests.e2e.command import Operator, peak_bytes
from tests.e2e.daemon import DaemonProcess
from tests.e2e.oracle import Arrival, judge, start_watching
from tests.e2e.scene import Scene
from tests.state.letters import event

pytestmark = [pytest.mark.services, pytest.mark.proof, pytest.mark.timeout(1200)]

FULL = os.environ.get("EVENTBUS_PROOF") == "full"
LETTERS = 100_000 if FULL else 4_000
TENTH = LETTERS // 10
FEW = 300
"""More than are read at once."""
DOCUMENT_BYTES = 4_000 if FULL else 20_000
"""So much that whoever keeps all of a tenth of them is noticed."""
PER_SECOND = 1_000 if FULL else 150
WINDOW = 64
MOST_MEMORY = 1.25
"""Times what the same program takes for a few."""
ENDLESS = 1_000_000

REFUSED: Final = '{"reason": {"$regex": "^HTTP 422:"}, "kind": {"$in": ["rejected"]}}'
"""What a tenth of them are found by."""


@pytest.fixture(params=["mongodb", "sqlite"] if FULL else ["mongodb"])
def daemon(request: pytest.FixtureRequest, scene: Scene) -> Iterator[DaemonProcess]:
    """One with a single sink, a Redis stream, and its state in one of the stores; not yet started."""
    scene.sink_names = ("feed",)
    state = {
        "mongodb": {"type": "mongodb", "database": scene.state_database},
        "sqlite": {"type": "sqlite", "path": str(scene.directory / "state.db")},
    }[request.param]
    with DaemonProcess(scene.directory, scene.config(window=WINDOW, state=state)) as made:
        yield made


@pytest.fixture
def operator(daemon: DaemonProcess) -> Operator:
    """Whoever types beside it."""
    return Operator(daemon)


@dataclass(frozen=True)
class Stored:
    """What the store knows at one moment.

    Args:
        position: Token of the live route's position.
        replayed: Ids of the events that are replayed.
        operation: The newest operation.
    """

    position: str
    replayed: frozenset[str]
    operation: Operation

    @classmethod
    def now(cls, operator: Operator) -> Stored:
        """Look."""

        async def look(store: Store) -> Stored:
            replayed = LetterQuery(statuses=(LetterStatus.REPLAYED,))
            return cls(
                (await store.positions("orders"))["feed"].token,
                frozenset([stored.letter.event.id async for stored in store.find_letters(replayed)]),
                (await store.find_operations(limit=1))[0],
            )

        return operator.on_store(look)


def test_a_tenth_of_very_many_is_sent_again_through_a_kill(
    scene: Scene, daemon: DaemonProcess, operator: Operator
) -> None:
    """Listed, counted, searched, sent again: each once but for a window, in the memory of a few."""
    operator.on_store(_park_all, Access.DAEMON)
    with daemon.start():
        _check_lists(operator)
        few = operator.do("dlq", "replay", "--yes", "--match", orjson.dumps(_numbered(FEW)).decode())
        small = peak_bytes(daemon.process.pid)
        before = Stored.now(operator)
        scene.beginning = start_watching(scene.collection)  # so many dead letters fill the oplog
        words = ("dlq", "replay", "--yes", "--match", REFUSED, "--rate", f"{PER_SECOND}/s")
        with Changes(scene.collection, ENDLESS, per_second=20) as changes, operator.begin(*words) as command:
            operation = operator.operation_of(command)
            _wait_for_replays(scene, daemon, operation, TENTH // 3)
            large = peak_bytes(daemon.process.pid)
            daemon.kill()
            then = Stored.now(operator)
            daemon.start()
            command.end()
            large = max(large, peak_bytes(daemon.process.pid))
        expected = scene.expected(changes.done)
        scene.wait_for_arrivals({change.id for change in expected})
        after = Stored.now(operator)
        assert operator.count() == LETTERS - TENTH - FEW
        assert daemon.terminate() == 0
    live, replays = _divided(scene.arrivals()["feed"])
    _check_sent_again(replays[operation], before, then, after)
    assert judge(expected, live).is_clean
    assert before.position <= then.position <= after.position
    assert after.operation.id == operation
    assert after.operation.status is OperationStatus.DONE
    assert after.operation.progress.delivered == TENTH
    assert f"{operation} orders/feed: done, {TENTH} of {TENTH} delivered\n" in command.out
    print(f"daemon: {small >> 20} MB with {FEW}, {large >> 20} MB with {TENTH} of {LETTERS}")
    print(f"command: {few.peak_bytes >> 20} MB with {FEW}, {command.peak_bytes >> 20} MB with {TENTH}")
    assert large <= MOST_MEMORY * small
    assert command.peak_bytes <= MOST_MEMORY * few.peak_bytes


def _letters(numbers: range) -> list[DeadLetter]:
    """Of events that are older than all that the daemon will read; every tenth one was refused."""
    return [_letter(number) for number in numbers]


def _letter(number: int) -> DeadLetter:
    key = {"_id": f"parked {number}"}
    document = bson.encode({**key, "number": number, "text": "x" * DOCUMENT_BYTES})
    parked = event(number, document_key=bson.encode(key), document=document, size=len(document))
    refused = number % 10 == 0
    reason = "HTTP 422: no such customer" if refused else "HTTP 500: out of order"
    kind = Failure.REJECTED if refused else Failure.SERVER
    return DeadLetter("orders", "feed", parked, reason, attempts=1, kind=kind)


def _numbered(count: int) -> dict[str, Any]:
    """A query for so many of those that were not refused."""
    numbers = [number for number in range(1, 2 * count) if number % 10][:count]
    return {"document_key._id": {"$in": [f"parked {number}" for number in numbers]}}


async def _park_all(store: Store) -> None:
    for first in range(1, LETTERS + 1, 100):
        await store.park(_letters(range(first, first + 100)))


def _check_lists(operator: Operator) -> None:
    """Each of them once, by whichever command, and the memory of a few."""
    assert operator.count("--match", REFUSED) == TENTH
    few = operator.do("dlq", "list", "--json", "--limit", str(FEW))
    for words in (("list", "--json"), ("export",)):
        every = operator.do("dlq", *words, "--limit", "0")
        print(f"{words[0]}: {few.peak_bytes >> 20} MB with {FEW}, {every.peak_bytes >> 20} MB with {LETTERS}")
        assert every.peak_bytes <= MOST_MEMORY * few.peak_bytes
        assert len({row["id"] for row in every.rows}) == len(every.rows) == LETTERS
    found = operator.do("dlq", "list", "--json", "--limit", "0", "--match", REFUSED)
    assert len({row["id"] for row in found.rows}) == len(found.rows) == TENTH
    assert {row["reason"] for row in found.rows} == {"HTTP 422: no such customer"}


def _wait_for_replays(scene: Scene, daemon: DaemonProcess, operation: str, count: int) -> None:
    """Wait until the sink has so many of an operation's events."""
    mark = orjson.dumps({"replay": operation})[1:-1]
    last, found = "-", 0

    def came() -> bool:
        nonlocal last, found
        for entry, fields in client.xrange(scene.name, min=last):
            last = f"({entry.decode()}"
            found += mark in fields[b"event"]
        return found >= count

    with redis.Redis.from_url(scene.redis.url) as client:
        daemon.wait_for(came, f"replay {count}")


def _divided(arrivals: Sequence[Arrival]) -> tuple[list[Arrival], dict[str, list[Arrival]]]:
    """What the live route sent, and what each operation did."""
    live: list[Arrival] = []
    replays: dict[str, list[Arrival]] = {}
    for arrival in arrivals:
        operation = orjson.loads(arrival.body).get("replay")
        (live if operation is None else replays.setdefault(operation, [])).append(arrival)
    return live, replays


def _check_sent_again(arrivals: Sequence[Arrival], before: Stored, then: Stored, after: Stored) -> None:
    """All that was asked for and nothing else; what was replayed at the kill came no second time."""
    wanted = {letter.event.id for letter in _letters(range(10, LETTERS + 1, 10))}
    times = Counter(arrival.id for arrival in arrivals)
    twice = {event_id for event_id, count in times.items() if count > 1}
    print(f"{len(then.replayed - before.replayed)} replayed at the kill, {len(twice)} came twice")
    assert times.keys() == wanted == after.replayed - before.replayed
    assert 0 < len(then.replayed - before.replayed) < TENTH, "not killed in the middle"
    assert not twice & then.replayed
    assert len(twice) <= WINDOW
    assert max(times.values()) <= 2
