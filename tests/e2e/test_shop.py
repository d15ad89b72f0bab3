"""config/shop.yaml on real servers: every classification, route, payload and cache key, against an oracle."""

from __future__ import annotations

import json
import os
import re
import uuid
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest
import redis
import yaml

from eventbus.devservices import KafkaService, MongoService, RedisService
from tests.e2e.daemon import DaemonProcess
from tests.e2e.endpoints import Services
from tests.e2e.oracle import client_of
from tests.e2e.receivers import from_files, from_kafka
from tests.e2e.shop_oracle import Body, Expected, Shop
from tests.sinks.kafka_topics import create_topic

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]

CONFIG = Path(__file__).parents[2] / "config/shop.yaml"
FULL = os.environ.get("EVENTBUS_PROOF") == "full"
THINGS = 3000 if FULL else 240
CACHE = 9
COLLECTIONS = ("products", "orders", "customers", "inventory")
TOKEN = re.compile(r"[a-z2-7]{26}")


@pytest.fixture
def cache(redis_service: RedisService) -> Iterator[redis.Redis]:
    """A database of its own on the shared server, with an entry for whatever the shop may ever name."""
    with redis.Redis.from_url(_url(redis_service)) as client:
        client.flushdb()
        for key in range(2 * THINGS):
            client.mset({f"product:{key}": "x", f"order:{key}": "x", f"customer:{key}:orders": "x"})
        client.mset({f"products:category:{category}": "x" for category in "abcd"})
        client.mset({"products:featured": "x", "products:search:mug": "x", "products:hits": "x"})
        yield client
        client.flushdb()


def test_every_service_hears_what_it_must_and_nothing_else(
    mongo: MongoService,
    redis_service: RedisService,
    cache: redis.Redis,
    kafka_service: KafkaService,
    tmp_path: Path,
) -> None:
    """In the order of each document, with the daemon killed on the way; and what is stale is gone."""
    name = f"shop{uuid.uuid4().hex[:8]}"
    seed = Random().randrange(10_000)
    print(f"seed {seed}")
    topics = {"search": f"{name}.search-updates", "analytics": f"{name}.customer-events"}
    for topic in topics.values():
        anyio.run(partial(create_topic, kafka_service.bootstrap_servers, name=topic))
    reports = tmp_path / "reporting.jsonl"
    cached = _keys(cache)
    with Services().running() as services, client_of(mongo.uri) as client:
        shop = Shop(client[name], Random(seed))
        environment = {
            "SHOP_MONGODB_URI": mongo.uri,
            "SHOP_DATABASE": name,
            "SHOP_HTTP": services.url,
            "SHOP_KAFKA": kafka_service.bootstrap_servers,
            "SHOP_REDIS_URL": _url(redis_service),
            "SHOP_FILE": str(reports),
            "SHOP_SALT": "of the test",
        }

        def told() -> dict[str, list[Body]]:
            servers = kafka_service.bootstrap_servers
            read = {sink: from_kafka(servers, topic) for sink, topic in topics.items()}
            from_topics = {sink: [json.loads(one.body) for one in found] for sink, found in read.items()}
            lines = [json.loads(one.body) for one in from_files(reports)]
            return {**services.bodies, **from_topics, "reporting": lines}

        with DaemonProcess(tmp_path, yaml.safe_load(CONFIG.read_text()), environment) as daemon:
            daemon.start()
            shop.work(THINGS // 2)
            daemon.kill()
            shop.work(THINGS // 2)
            daemon.start()
            fresh = {key for key in cached if not _is_stale(key, shop.expected)}
            daemon.wait_for(lambda: _keys(cache) == fresh, "stale entries gone, and no other")
            daemon.wait_for(lambda: _count(told()) >= shop.expected.count, "end of what is told")
            assert daemon.terminate() == 0
            assert daemon.events("event_parked") == []
        assert _by_key(told()) == shop.expected.told
        assert _keys(cache) == fresh
        assert services.sources == {f"{name}.{part}" for part in COLLECTIONS}
        client.drop_database(name)
        client.drop_database(f"{name}_eventbus")


def _url(service: RedisService) -> str:
    return f"{service.url.rpartition('/')[0]}/{CACHE}"


def _keys(cache: redis.Redis) -> set[str]:
    return {key.decode() for key in cache.scan_iter(count=1000)}


def _is_stale(key: str, expected: Expected) -> bool:
    return key in expected.stale or any(key.startswith(start) for start in expected.stale_patterns)


def _once(bodies: list[Body]) -> list[Body]:
    """Each message where it came first: after a kill some come again, the same ones."""
    first: dict[str, Body] = {}
    for body in bodies:
        assert first.setdefault(body["id"], body) == body, "a message that comes again is the same"
    return list(first.values())


def _count(told: dict[str, list[Body]]) -> int:
    return sum(len(_once(bodies)) for bodies in told.values())


def _by_key(told: dict[str, list[Body]]) -> dict[str, dict[int, list[Body]]]:
    """What each receiver got of each document, in order."""
    found: dict[str, dict[int, list[Body]]] = defaultdict(lambda: defaultdict(list))
    for receiver, bodies in told.items():
        for body in _once(bodies):
            found[receiver][_key_of(body)].append(_shown(body))
    return {receiver: dict(keys) for receiver, keys in found.items()}


def _key_of(body: Body) -> int:
    if "data" in body and "order" in body["data"]:
        return int(body["data"]["order"])
    named = next(body[name] for name in ("item", "product", "customer", "order") if name in body)
    return int(named["id"] if isinstance(named, dict) else named)


def _shown(body: Body) -> Body:
    """Without its id, and tokens by what they are."""
    shown: dict[str, Any] = {name: value for name, value in body.items() if name != "id"}
    data = shown.get("data", {})
    if isinstance(data, dict) and TOKEN.fullmatch(str(data.get("email"))):
        shown["data"] = {**data, "email": "<a token>"}
    return shown
