"""Each recipe of the documents, run by the daemon on the real servers it is for.

`search-index` needs OpenSearch, and is run by the tests of its package.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
import redis
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from standardwebhooks import Webhook

from eventbus.devservices import KafkaService, MongoService, RedisService
from tests.e2e.receivers import SECRET
from tests.e2e.recipes import FOLDER, Client, Requests, cooked, receiving

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]

ELSEWHERE = {"search-index"}
IMAGES = {"enabled": True}


@pytest.fixture(scope="module")
def mongo() -> Iterator[MongoService]:
    """One whose databases have the names that the recipes give them."""
    with MongoService.start(own=True) as service:
        yield service


@pytest.fixture
def client(mongo: MongoService) -> Iterator[Client]:
    """With nothing in it but what the test makes; the last recipe's state is gone, too."""
    with Client(mongo.uri) as client:
        for name in ("bank", "shop", "audit", "reports", "eventbus"):
            client.drop_database(name)
        yield client


def test_every_recipe_is_run() -> None:
    """Here, or by the tests of the package that it is for."""
    run = {name.removeprefix("test_").replace("_", "-") for name in globals() if name.startswith("test_")}
    assert {page.stem for page in FOLDER.glob("*.md")} - {"README"} <= run | ELSEWHERE


def test_audit(mongo: MongoService, client: Client, tmp_path: Path) -> None:
    """Old values beside new ones, in the files as in the collection; the PIN nowhere, the IBAN as a token."""
    client.bank.create_collection("accounts", changeStreamPreAndPostImages=IMAGES)
    accounts, trail = client.bank.accounts, client.audit.trail
    with cooked("audit", mongo, tmp_path, {}) as daemon:
        accounts.insert_one({"_id": 7, "owner": "Jo", "limit": 100, "iban": "DE0012345", "pin": "p-1-p"})
        accounts.update_one({"_id": 7}, {"$set": {"limit": 500, "pin": "p-2-p"}})
        accounts.delete_one({"_id": 7})
        accounts.drop()
        daemon.wait_for(lambda: trail.count_documents({}) == 4, "the whole trail")
        daemon.wait_for(lambda: len(_lines(tmp_path / "audit.jsonl")) == 4, "the whole file")
    told, kept = _lines(tmp_path / "audit.jsonl"), list(trail.find())
    assert [line["type"] for line in told] == [
        f"mongodb.{name}" for name in ("insert", "update", "delete", "drop")
    ]
    assert {line["id"] for line in told} == {str(one["_id"]) for one in kept}
    assert told[1]["data"]["changed"]["limit"] == {"old": 100, "new": 500}
    everything = (tmp_path / "audit.jsonl").read_text() + str(kept)
    assert "Jo" in everything
    assert not any(secret in everything for secret in ("p-1-p", "p-2-p", "DE0012345"))


def test_cache_invalidation(
    mongo: MongoService, client: Client, redis_service: RedisService, tmp_path: Path
) -> None:
    """The entry is the newest state; lists are thrown away; what nobody caches leaves both alone."""
    client.shop.create_collection("products", changeStreamPreAndPostImages=IMAGES)
    url = redis_service.url.rsplit("/", 1)[0] + "/9"
    with (
        redis.Redis.from_url(url, decode_responses=True) as cache,
        cooked("cache-invalidation", mongo, tmp_path, {"REDIS_URL": url}) as daemon,
    ):
        cache.flushdb()
        lists = {f"products:category:{name}": "cached" for name in ("cups", "gifts", "books")}
        cache.mset(lists)
        client.shop.products.insert_one({"_id": 7, "name": "mug", "price": 9, "category": "cups", "cost": 4})
        daemon.wait_for(lambda: cache.get("product:7"), "an entry")
        daemon.wait_for(lambda: not cache.exists("products:category:cups"), "a list thrown away")
        assert json.loads(str(cache.get("product:7"))) == {
            "_id": 7,
            "name": "mug",
            "price": 9,
            "category": "cups",
        }
        cache.mset(lists)
        client.shop.products.update_one({"_id": 7}, {"$set": {"cost": 5}})
        client.shop.products.update_one({"_id": 7}, {"$set": {"category": "gifts"}})
        daemon.wait_for(lambda: cache.keys("products:*") == ["products:category:books"], "both lists gone")
        daemon.wait_for(lambda: '"gifts"' in str(cache.get("product:7")), "the new category")
        assert _delivered(daemon.get("/metrics")[1], "lists") == 2, "what nobody caches is no event"
        client.shop.products.delete_one({"_id": 7})
        daemon.wait_for(lambda: not cache.exists("product:7"), "an entry that is gone")
        cache.flushdb()


def test_etl(mongo: MongoService, client: Client, tmp_path: Path) -> None:
    """What was there and what comes is clean and summed up; what nobody can have meant is a dead letter."""
    client.shop.create_collection("orders", changeStreamPreAndPostImages=IMAGES)
    client.shop.customers.insert_one({"_id": "c-1", "tier": "gold", "email": "jo@example.com"})
    orders, clean, totals = client.shop.orders, client.reports.orders, client.reports.totals
    orders.insert_one({"_id": 1, "custId": "c-1", "qty": "3", "unitPrice": "9.50", "state": " PAID "})
    letters = client.eventbus.dead_letters
    with cooked("etl", mongo, tmp_path, {}) as daemon:
        orders.insert_one({"_id": 2, "custId": "c-1", "qty": "9000", "unitPrice": "1", "state": "new"})
        orders.insert_one({"_id": 3, "custId": "c-2", "qty": 2, "unitPrice": "1.25", "state": "Paid"})
        daemon.wait_for(lambda: clean.count_documents({}) == 2, "clean orders")
        daemon.wait_for(lambda: _total(totals, "paid") == {"orders": 2, "revenue": 31.0}, "their sum")
        orders.update_one({"_id": 3}, {"$set": {"state": "shipped"}})
        daemon.wait_for(lambda: _total(totals, "shipped") == {"orders": 1, "revenue": 2.5}, "a move")
        daemon.wait_for(lambda: _total(totals, "paid") == {"orders": 1, "revenue": 28.5}, "the rest")
        daemon.wait_for(lambda: len(letters.distinct("route")) == 2, "a dead letter of each route")
        orders.delete_one({"_id": 1})
        daemon.wait_for(lambda: not clean.count_documents({"_id": 1, "_eventbus.until": None}), "a delete")
    first = clean.find_one({"_id": 3})
    assert first is not None
    assert (first["customer"], first["quantity"], first["status"]) == ("c-2", 2, "shipped")
    assert "email" not in str(list(clean.find()))
    assert {(letter["route"], "sane quantity" in letter["reason"]) for letter in letters.find()} == {
        ("clean", True),
        ("totals", True),
    }


def test_notifications(mongo: MongoService, client: Client, tmp_path: Path) -> None:
    """The partner hears of each status once, signed; support of what is cancelled and large."""
    client.shop.create_collection("orders", changeStreamPreAndPostImages=IMAGES)
    orders = client.shop.orders
    with receiving() as server:
        environment = {
            "PARTNER_URL": f"{server.url}/partner",
            "PARTNER_SECRET": SECRET,
            "SUPPORT_URL": f"{server.url}/support",
        }
        with cooked("notifications", mongo, tmp_path, environment) as daemon:
            orders.insert_one({"_id": 7, "status": "new", "total": 12, "number": "A-7"})
            orders.update_one({"_id": 7}, {"$set": {"status": "cancelled"}})
            orders.update_one({"_id": 7}, {"$set": {"note": "nobody is told"}})
            orders.insert_one(
                {"_id": 8, "status": "paid", "total": 1200, "number": "B-8", "customer": {"name": "Jo"}}
            )
            orders.update_one({"_id": 8}, {"$set": {"status": "cancelled"}})
            daemon.wait_for(lambda: len(server.bodies["/partner"]) == 4, "what the partner is told")
            daemon.wait_for(lambda: server.bodies["/support"], "what support is told")
    by_order = {key: [one for one in server.bodies["/partner"] if one["order"] == key] for key in (7, 8)}
    assert by_order == {
        7: [{"order": 7, "status": "new", "was": None}, {"order": 7, "status": "cancelled", "was": "new"}],
        8: [{"order": 8, "status": "paid", "was": None}, {"order": 8, "status": "cancelled", "was": "paid"}],
    }
    assert server.bodies["/support"] == [{"text": "Order B-8 over 1200 was cancelled by Jo."}]
    for body, headers in server.raw["/partner"]:
        Webhook(SECRET).verify(body, {name.lower(): value for name, value in headers.items()})


def test_outbox(mongo: MongoService, client: Client, kafka_service: KafkaService, tmp_path: Path) -> None:
    """Each aggregate's events are in its topic, by its key, in order, once, though the daemon is killed."""
    run, outbox = uuid.uuid4().hex, client.shop.outbox
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def event(number: int, aggregate: str) -> dict[str, Any]:
        key = f"{run}-{number % 3}"
        payload = {"number": number}
        return {"aggregate": aggregate, "aggregate_id": key, "type": "Made", "at": at, "payload": payload}

    with cooked("outbox", mongo, tmp_path, {"KAFKA": kafka_service.bootstrap_servers}) as daemon:
        for number in range(60):
            kept = outbox.insert_one(event(number, "payment" if number % 10 == 9 else "order"))
            outbox.delete_one({"_id": kept.inserted_id})
            if number == 30:
                daemon.wait_for(lambda: _delivered(daemon.get("/metrics")[1], "orders"), "a first event")
                daemon.kill()
                daemon.start()
        orders = anyio.run(_records, kafka_service, "order.events", run, 54)
        payments = anyio.run(_records, kafka_service, "payment.events", run, 6)
    assert len(orders) == 54
    assert len(payments) == 6
    for key in {record.key for record in orders}:
        numbers = [json.loads(record.value)["payload"]["number"] for record in orders if record.key == key]
        assert numbers == sorted(set(numbers))
    assert dict(orders[0].headers)["type"] == b"Made"
    assert set(json.loads(orders[0].value)) == {"type", "at", "payload"}


def test_search_index_http(mongo: MongoService, client: Client, tmp_path: Path) -> None:
    """The index is what the collection is: what was there, what came, what went."""
    products = client.shop.products
    products.insert_one({"_id": 1, "name": "mug", "category": "cups", "price": 9, "status": "active"})
    with receiving() as server:
        environment = {"SEARCH_URL": server.url, "SEARCH_KEY": "the-key"}
        with cooked("search-index-http", mongo, tmp_path, environment) as daemon:
            products.insert_one({"_id": 2, "name": "pen", "price": 2, "status": "draft"})
            products.update_one({"_id": 2}, {"$set": {"status": "active"}})
            products.insert_one({"_id": 3, "name": "cap", "price": 5, "status": "active"})
            products.delete_one({"_id": 3})
            found = {1: ("mug", True), 2: ("pen", True), 3: (None, False)}
            daemon.wait_for(lambda: _index(server) == found, "the whole index")
    ((path, requests),) = server.raw.items()
    assert path == "/indexes/products/documents?primaryKey=id"
    assert {headers["Authorization"] for _, headers in requests} == {"Bearer the-key"}


def _lines(path: Path) -> list[Any]:
    """What a file has, less what tells up to when it is complete."""
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [line for line in lines if line["type"] != "eventbus.watermark"]


def _total(totals: Any, status: str) -> dict[str, float]:
    found = totals.find_one({"_id": {"status": status}}) or {}
    return {name: float(str(found.get(name, 0))) for name in ("orders", "revenue")}


def _delivered(metrics: str, route: str) -> int:
    """How many events a route has delivered."""
    rows = [row for row in metrics.splitlines() if row.startswith("eventbus_events_settled_total")]
    mine = [row for row in rows if f'route="{route}"' in row and 'outcome="delivered"' in row]
    return sum(round(float(row.split()[-1])) for row in mine)


def _index(server: Requests) -> dict[int, tuple[str | None, bool]]:
    """What an index has that keeps the last document of each id."""
    every = [one for bodies in server.bodies.values() for body in bodies for one in body]
    return {one["id"]: (one["name"], one["searchable"]) for one in every}


async def _records(service: KafkaService, topic: str, run: str, count: int) -> list[ConsumerRecord]:
    """What a reader of committed transactions finds of this run, once it is so much."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=service.bootstrap_servers,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    await consumer.start()
    try:
        found: list[ConsumerRecord] = []
        deadline = time.monotonic() + 60
        while len(found) < count and time.monotonic() < deadline:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += [record for record in records if record.key.startswith(run.encode())]
        return found
    finally:
        await consumer.stop()
