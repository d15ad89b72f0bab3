"""The daemon carries changes of a real MongoDB into a real OpenSearch, through SIGKILL and a replay."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from eventbus.devservices import MongoService, OpenSearchService
from tests.e2e.command import Operator
from tests.e2e.daemon import DaemonProcess
from tests.e2e.recipes import cooked

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]

COUNT = 160
KEYS = 40


def _config(mongo: MongoService, service: OpenSearchService, database: str) -> Mapping[str, Any]:
    return {
        "mongodb": {"uri": mongo.uri},
        "state": {"type": "mongodb", "database": f"{database}_state"},
        "log": {"format": "json"},
        "daemon": {"instance": "e2e"},
        "defaults": {"window": {"events": 64}},
        "sinks": {
            "search": {
                "type": "opensearch",
                "hosts": [service.url],
                "index": f"{database}-{{collection}}",
                "max_batch": 20,
            }
        },
        "subscriptions": {
            "orders": {
                "source": {
                    "database": database,
                    "full_document": "update_lookup",
                    "lookup_missing": "skip",
                },
                "routes": [{"sink": "search", "encoding": {"json": "plain", "envelope": "document"}}],
            }
        },
    }


def _change(orders: Any, number: int) -> None:
    """Inserts, updates, replacements and deletes of a few documents in turn."""
    key = {"_id": f"k{number % KEYS}"}
    if number % 7 == 3:
        orders.delete_one(key)
    elif number % 5 == 2:
        orders.replace_one(key, {"number": number, "kind": "replaced"}, upsert=True)
    else:
        orders.update_one(key, {"$set": {"number": number}}, upsert=True)


def test_the_index_is_what_the_collection_is(
    mongo: MongoService, opensearch: OpenSearchService, fresh_database: str, tmp_path: Path
) -> None:
    """Though the daemon is killed, and half is replayed; what the mapping refuses is a dead letter."""
    index = f"{opensearch.url}/{fresh_database}-orders"
    _ask("PUT", index, {"mappings": {"properties": {"number": {"type": "integer"}}}})
    _ask("PUT", f"{index}/_settings", {"index.gc_deletes": "1h"})
    config = _config(mongo, opensearch, fresh_database)
    with MongoClient[dict[str, Any]](mongo.uri) as client, DaemonProcess(tmp_path, config) as daemon:
        orders = client[fresh_database]["orders"]
        operator, begin, middle = Operator(daemon), _now(client), ""
        daemon.start()
        for number in range(COUNT):
            _change(orders, number)
            if number == COUNT // 2:
                daemon.wait_for(lambda: len(_indexed(index)) > KEYS // 4, "some of them")
                daemon.kill()
                middle = _now(client)
                daemon.start(wait=False)
        orders.insert_one({"_id": "poison", "number": "no number"})
        orders.insert_one({"_id": "last", "number": 0})
        daemon.wait_for(lambda: "last" in _indexed(index), "the last one")
        wanted = {one.pop("_id"): one for one in orders.find({"_id": {"$ne": "poison"}})}
        daemon.wait_for(lambda: _indexed(index) == wanted, "the same as in the collection")
        letters = client[f"{fresh_database}_state"]["dead_letters"]
        daemon.wait_for(lambda: letters.count_documents({}) == 1, "dead letter")
        letter = letters.find_one({}, {"reason": 1, "_id": 0})
        operator.do("replay", "orders", "--route", "search", "--from", begin, "--to", middle, "--yes")
        assert _indexed(index) == wanted
        assert daemon.terminate() == 0
        client.drop_database(f"{fresh_database}_state")
    assert "the field number of type integer" in str(letter)
    assert "no number" not in daemon.log()


def test_the_recipe_does_what_it_says(
    mongo: MongoService, opensearch: OpenSearchService, tmp_path: Path
) -> None:
    """What was there, what came and what went, by the page's own configuration."""
    index = f"{opensearch.url}/shop-products"
    _ask("PUT", index)
    with MongoClient[dict[str, Any]](mongo.uri) as client:
        products = client["shop"]["products"]
        products.insert_one({"_id": 1, "name": "mug", "price": 9, "status": "active", "cost": 4})
        try:
            with cooked("search-index", mongo, tmp_path, {"SEARCH_URL": opensearch.url}) as daemon:
                daemon.wait_for(lambda: len(_indexed(index)) == 1, "what is there already")
                products.insert_one({"_id": 2, "name": "pen", "price": 2, "status": "draft"})
                products.update_one({"_id": 1}, {"$set": {"status": "draft"}})
                products.insert_one({"_id": 3, "name": "cap", "price": 5, "status": "active"})
                products.delete_one({"_id": 2})
                daemon.wait_for(
                    lambda: (
                        {key: (one["name"], one["searchable"]) for key, one in _indexed(index).items()}
                        == {"1": ("mug", False), "3": ("cap", True)}
                    ),
                    "the index as the collection is",
                )
            assert "cost" not in str(_indexed(index))
        finally:
            for name in ("shop", "eventbus"):
                client.drop_database(name)


def _now(client: MongoClient[dict[str, Any]]) -> str:
    time = client.admin.command("ping")["operationTime"]
    return f"{time.time}.{time.inc}"


def _ask(method: str, url: str, body: Any = None) -> Any:
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, content, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def _indexed(index: str) -> dict[str, Any]:
    _ask("POST", f"{index}/_refresh")
    hits = _ask("POST", f"{index}/_search", {"size": 1000})["hits"]["hits"]
    return {hit["_id"]: hit["_source"] for hit in hits}
