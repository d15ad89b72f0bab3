"""Notices of one running daemon, with real servers: to a webhook, and after a reload to Redis."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from pymongo import MongoClient

from eventbus.devservices import MongoService, RedisService
from eventbus.state.access import Access
from eventbus.state.store import LetterQuery, Store
from tests.e2e.command import Operator
from tests.e2e.daemon import DaemonProcess
from tests.e2e.receivers import SECRET, WebhookReceiver, from_redis
from tests.sources.test_mongodb_faults import roll_over

pytestmark = pytest.mark.services


class Shop:
    """A daemon, whom it tells of changes, and whom of its state.

    Args:
        mongo: A server that forgets soon.
        redis: A server.
        directory: For files.
        hook: Gets changes.
        ops: Gets notices, until Redis does.
    """

    def __init__(
        self,
        mongo: MongoService,
        redis: RedisService,
        directory: Path,
        hook: WebhookReceiver,
        ops: WebhookReceiver,
    ) -> None:
        self.hook, self.ops = hook, ops
        self.client = MongoClient[dict[str, Any]](mongo.uri)
        self.stream = f"notices-{uuid.uuid4().hex}"
        self.archive = directory / "archive.jsonl"
        self._redis_url = redis.url
        self._inserted = 0
        webhook = {"type": "webhook", "signing": {"secrets": [SECRET]}}
        self.config: dict[str, Any] = {
            "mongodb": {"uri": mongo.uri},
            "state": {"type": "sqlite", "path": str(directory / "state.db")},
            "log": {"format": "json"},
            "daemon": {"instance": "e2e"},
            "sinks": {
                "hook": {**webhook, "url": hook.url},
                "ops": {**webhook, "url": ops.url},
                "ops_stream": {"type": "redis", "url": redis.url, "stream": self.stream},
                "archive": {"type": "file", "path": str(self.archive)},
            },
            "subscriptions": {
                "orders": {
                    "source": {"database": "shop", "collections": ["orders"], "on_position_lost": "now"},
                    "routes": [
                        "archive",
                        {
                            "sink": "hook",
                            "circuit": {"failures": 2, "initial_open": "100ms", "max_open": "200ms"},
                        },
                    ],
                }
            },
            "notices": {
                "sink": "ops",
                "min_interval": "0s",
                "dead_letters_above": 2,
                "headroom_below": "365d",
            },
        }
        self.daemon = DaemonProcess(directory, self.config)
        self.operator = Operator(self.daemon)

    def insert(self, count: int = 1) -> None:
        """So many changes."""
        first, self._inserted = self._inserted, self._inserted + count
        self.client.shop.orders.insert_many([{"_id": number} for number in range(first, self._inserted)])

    def archived(self) -> int:
        """How many changes are in the file."""
        return len(self.archive.read_bytes().splitlines()) if self.archive.exists() else 0

    def all_archived(self) -> None:
        """Wait for the last change."""
        self.daemon.wait_for(lambda: self.archived() == self._inserted, "every change in the archive")

    def told(self) -> list[dict[str, Any]]:
        """What the webhook was told, in order."""
        return [orjson.loads(arrival.body) for arrival in self.ops.arrivals]

    def told_to_redis(self) -> list[dict[str, Any]]:
        """What the stream was told, in order."""
        return [orjson.loads(arrival.body) for arrival in from_redis(self._redis_url, self.stream)]

    def wait_for(
        self, kind: str, *, route: str | None = None, told: Callable[[], list[dict[str, Any]]] | None = None
    ) -> dict[str, Any]:
        """The last notice of a kind, as soon as there is one, and no other of its kind before."""
        every = told or self.told

        def found() -> list[dict[str, Any]]:
            data = [one["data"] for one in every()]
            return [one for one in data if (one["kind"], one["route"]) == (kind, route)]

        self.daemon.wait_for(found, f"notice {kind}")
        return found()[-1]

    def set_paused(self, route: str, reason: str | None) -> None:
        """Pause a route, or resume it."""

        async def stored(store: Store) -> None:
            await store.set_paused("orders", route, reason)

        self.operator.on_store(stored, Access.OPERATE)


@pytest.fixture(scope="module")
def shop(redis_service: RedisService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One daemon for all tests, which runs."""
    forgets = MongoService.start(oplog_mb=1, extra_args=["--syncdelay", "1"], own=True)
    with forgets as mongo, WebhookReceiver() as hook, WebhookReceiver() as ops:
        made = Shop(mongo, redis_service, tmp_path_factory.mktemp("shop"), hook, ops)
        with made.client, made.daemon:
            made.daemon.start()
            yield made
            assert made.daemon.terminate() == 0
            assert made.told_to_redis()[-1]["type"] == "eventbus.notice.subscription_stopped"


def test_a_circuit_that_opens_and_closes(shop: Shop) -> None:
    """Once each, with the sink and what to type; the start was told before."""
    shop.hook.answer = lambda _: 503
    shop.insert(4)
    opened = shop.wait_for("circuit_opened", route="hook")
    shop.hook.answer = lambda _: 200
    closed = shop.wait_for("circuit_closed", route="hook")
    assert opened["instance"] == "e2e"
    assert opened["next"] == "eventbus sink test -c eventbus.yaml hook"
    assert "503" in opened["reason"]
    assert closed["began"] == opened["since"]
    kinds = [one["data"]["kind"] for one in shop.told()]
    assert kinds[0] == "subscription_started"
    assert kinds.count("circuit_opened") == kinds.count("circuit_closed") == 1
    shop.all_archived()


def test_more_dead_letters_than_wanted_and_fewer_again(shop: Shop) -> None:
    """The third one is told of, and so is what an operator does about it."""
    shop.hook.answer = lambda _: 422
    shop.insert(3)
    above = shop.wait_for("dead_letters_above", route="hook")
    shop.hook.answer = lambda _: 200
    assert above["details"] == {"more_than": 2}
    shop.operator.on_store(_discard, Access.OPERATE)
    below = shop.wait_for("dead_letters_below", route="hook")
    assert below["details"] == {"dead_letters": 0}


async def _discard(store: Store) -> None:
    await store.discard_letters(LetterQuery(routes=["hook"]), by="an operator")


def test_a_pause_and_its_end(shop: Shop) -> None:
    """With the operator's reason."""
    shop.set_paused("archive", "stock-taking")
    assert shop.wait_for("route_paused", route="archive")["reason"] == "stock-taking"
    shop.set_paused("archive", None)
    shop.wait_for("route_resumed", route="archive")


def test_the_notices_own_sink_that_is_down_disturbs_nothing(shop: Shop) -> None:
    """Changes arrive meanwhile; what was told meanwhile arrives later, in its order, and nothing twice."""
    before = len(shop.told())
    shop.ops.answer = lambda _: 503
    shop.set_paused("hook", "one")
    shop.daemon.wait_for(lambda: shop.daemon.events("notice_sink_away"), "a line on the sink")
    shop.insert(5)
    shop.all_archived()
    shop.set_paused("hook", None)
    shop.daemon.wait_for(lambda: len(shop.daemon.events("route_resumed")) == 2, "the end of the pause")
    assert shop.daemon.get("/readyz")[0] == 200
    shop.ops.answer = lambda _: 200
    shop.wait_for("route_resumed", route="hook")
    told = shop.told()[before:]
    kinds = [one["data"]["kind"] for one in told if one["data"]["kind"].endswith(("paused", "resumed"))]
    assert kinds == ["route_paused", "route_resumed"]
    assert len({one["id"] for one in told}) == len(told)
    assert len(shop.daemon.events("notice_sink_away")) == 1


def test_a_reload_has_them_sent_elsewhere(shop: Shop) -> None:
    """To Redis: a gap, little headroom. Nothing is begun anew for it."""
    shop.config["notices"]["sink"] = "ops_stream"
    shop.daemon.config_path.write_text(yaml.safe_dump({**shop.config, "server": {"port": 0}}))
    before = len(shop.told())
    shop.daemon.process.send_signal(1)
    done = shop.wait_for("reload_done", told=shop.told_to_redis)
    assert done["details"] == {"added": [], "removed": [], "restarted": [], "sinks": []}
    shop.set_paused("archive", "until it is lost")
    shop.wait_for("route_paused", route="archive", told=shop.told_to_redis)
    shop.insert()
    for _ in range(3):
        roll_over(shop.client)
    low = shop.wait_for("headroom_low", route="archive", told=shop.told_to_redis)
    assert low["runbook"] == "docs/runbook.md#headroom-is-low"
    shop.set_paused("archive", None)
    gap = shop.wait_for("gap_recorded", route="archive", told=shop.told_to_redis)
    assert gap["details"]["policy"] == "now"
    assert len(shop.told()) == before
    assert len(shop.daemon.events("subscription_started")) == 1
