"""The log tells of changes of state and never of events, even where it says all that it can say."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from redis import Redis

from eventbus.devservices import MongoService, RedisService
from tests.e2e.daemon import DaemonProcess
from tests.e2e.oracle import client_of
from tests.e2e.receivers import SECRET, WebhookReceiver

pytestmark = pytest.mark.services

EVENTS: Final = 10_000
TOLD_EVERY: Final = 50
"""Of so many events one goes to the webhook."""
RETRIED_EVERY: Final = 100
"""Of so many events one fails there at its first try."""
REFUSED: Final = frozenset({1_050, 5_050, 9_050})
"""Events that it never takes."""

ONCE: Final = frozenset(
    {
        "admin_server_started",
        "daemon_started",
        "daemon_draining",
        "daemon_stopped",
        "subscription_started",
        "subscription_drained",
    }
)
"""What happens once in the life of a daemon."""
MOVES: Final = frozenset(
    {
        "catch_up_started",
        "circuit_closed",
        "circuit_opened",
        "route_attached",
        "route_detached",
        "route_merged",
        "sink_opened",
        "stream_opened",
    }
)
"""What says that a route, a sink or a reader is in another state than before."""
MOST_MOVES: Final = 60
"""On a machine however slow: a route that is detached and comes back has five lines."""


@dataclass(frozen=True)
class Told:
    """What a daemon had to say of its life, and how many tries failed in it.

    Args:
        lines: All of its log.
        failed: The failed tries that its metrics have counted.
    """

    lines: list[dict[str, Any]]
    failed: int


@pytest.fixture(scope="module")
def told(
    mongo: MongoService, redis_service: RedisService, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Told]:
    """One life, with so many events."""
    name, directory = f"quiet{uuid.uuid4().hex[:10]}", tmp_path_factory.mktemp("quiet")
    with (
        WebhookReceiver() as receiver,
        client_of(mongo.uri) as client,
        Redis.from_url(redis_service.url) as redis,
        DaemonProcess(directory, _config(name, directory, mongo, redis_service, receiver)) as daemon,
    ):
        tried: Counter[int] = Counter()

        def answer(event: dict[str, Any]) -> int:
            number = event["data"]["document"]["number"]
            tried[number] += 1
            if number in REFUSED:
                return 422
            return 500 if number % RETRIED_EVERY == 0 and tried[number] == 1 else 200

        receiver.answer = answer
        daemon.start()
        for first in range(0, EVENTS, 1000):
            client[name].orders.insert_many([{"number": number} for number in range(first, first + 1000)])
        archive = directory / "archive.jsonl"
        daemon.wait_for(lambda: redis.xlen(name) == EVENTS, "end of the stream")
        daemon.wait_for(lambda: archive.read_bytes().count(b"\n") == EVENTS, "end of the file")
        sent = EVENTS // TOLD_EVERY - len(REFUSED)
        daemon.wait_for(lambda: len({one.id for one in receiver.arrivals}) == sent, "end of the webhook's")
        daemon.wait_for(lambda: _counted(daemon, 'route="nothing"') == EVENTS, "end of what is discarded")
        failed = _failed(daemon)
        assert daemon.terminate() == 0
        yield Told([json.loads(line) for line in daemon.log().splitlines()], failed)
        for database in (name, f"{name}_state"):
            client.drop_database(database)
        redis.delete(name)


def _config(
    name: str, directory: Path, mongo: MongoService, redis_service: RedisService, receiver: WebhookReceiver
) -> dict[str, Any]:
    return {
        "mongodb": {"uri": mongo.uri},
        "state": {"database": f"{name}_state"},
        "log": {"format": "json", "level": "debug"},
        "defaults": {
            "retry": {"initial_delay": "20ms", "max_delay": "100ms"},
            "circuit": {"initial_open": "50ms", "max_open": "200ms"},
        },
        "sinks": {
            "nothing": {"type": "discard"},
            "archive": {"type": "file", "path": str(directory / "archive.jsonl")},
            "feed": {"type": "redis", "url": redis_service.url, "stream": name},
            "hook": {"type": "webhook", "url": receiver.url, "signing": {"secrets": [SECRET]}},
        },
        "subscriptions": {
            "orders": {
                "source": {"database": name, "collections": ["orders"]},
                "catch_up": {"isolate_after": "5s"},
                "routes": [
                    *("nothing", "archive", "feed"),
                    {"sink": "hook", "when": f"document.number % {TOLD_EVERY} == 0"},
                ],
            }
        },
    }


def _metric(daemon: DaemonProcess, name: str, *labels: str) -> int:
    lines = daemon.get("/metrics")[1].splitlines()
    of_name = [line for line in lines if line.startswith(f"{name}{{")]
    return sum(int(float(line.rpartition(" ")[2])) for line in of_name if all(one in line for one in labels))


def _counted(daemon: DaemonProcess, route: str) -> int:
    return _metric(daemon, "eventbus_events_settled_total", route, 'outcome="delivered"')


def _failed(daemon: DaemonProcess) -> int:
    return _metric(daemon, "eventbus_attempts_failed_total", 'route="hook"')


def test_every_line_tells_of_a_change_of_state(told: Told) -> None:
    """None is of an event, of a batch or of a try that failed, though the level is debug."""
    of_letters = [line for line in told.lines if line["event"] == "event_parked"]
    names = Counter(line["event"] for line in told.lines if line["event"] != "event_parked")

    assert told.failed >= EVENTS // RETRIED_EVERY, "tries failed, and nothing was said of each"
    assert sorted(line["kind"] for line in of_letters) == ["rejected"] * len(REFUSED)
    assert set(names) <= ONCE | MOVES, "a line that tells of no change of state"
    assert all(names[name] <= 1 for name in ONCE), names
    assert sum(names[name] for name in MOVES) <= MOST_MOVES, names


def test_only_a_dead_letter_names_an_event(told: Told) -> None:
    """A line that has an id, a key or a token in it is one line too many, were there an event for it."""
    naming = [line["event"] for line in told.lines if {"event_id", "key", "token"} & line.keys()]
    assert naming == ["event_parked"] * len(REFUSED)
